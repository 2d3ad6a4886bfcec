"""Vectors of prompts from a large language or vision-language model behind an address.

The protocol is OpenAI's ``POST /v1/embeddings``, which vLLM, Text Embeddings Inference, llama.cpp and others serve. A
text model gets batches of texts as ``input``. A vision-language model gets one prompt a request as ``messages`` in the
form of a chat, the picture as a data URL before the text: vLLM's extension of the same address.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import TracebackType
from typing import Self

import httpx
import numpy as np
import stamina
from numpy.typing import NDArray
from pydantic import BaseModel, SecretStr, ValidationError

from models.song_prompt import Prompt, versioned
from schemas.errors import AppError, UnavailableError

PICTURE_BYTES = 4 << 20
_BYTES_A_NUMBER = 64
_BYTES_AROUND = 1 << 16
_FORMATS = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"RIFF", "image/webp"))
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_TRY_AGAIN = {
    httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND,
    httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS,
}  # fmt: skip
"""Not the prompt's fault: a key or a model that is being changed, a server that is busy."""


AWAY = "embedding-unavailable"
"""Code of the errors of a server that may answer later."""


class EmbeddingRefusedError(AppError):
    """The server will not embed this, or answers something that is no embedding: asking again is no use."""

    code = "embedding-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the model is, and how patiently to ask.

    Attributes:
        url: Address up to and without ``/v1``; https, or plain http where no key is sent or on this machine.
        model: Name of the model at the server.
        dim: Width of its vectors.
        api_key: Sent as a bearer token.
        pictures: Whether it is a vision-language model.
        instruction: What the model was trained to be told before a text; stands before every prompt.
        batch: Texts of a request; a vision-language model gets one.
        timeout_s: Longest wait for an answer, s.
        attempts: Tries in all.
        wait_s: Wait before the second try, s; doubles from then on.
    """

    url: str
    model: str
    dim: int
    api_key: SecretStr | None = None
    pictures: bool = False
    instruction: str = ""
    batch: int = 16
    timeout_s: float = 30.0
    attempts: int = 3
    wait_s: float = 0.2


class _Vector(BaseModel):
    index: int
    embedding: list[float]


class _Answer(BaseModel):
    data: list[_Vector]


class RemoteEmbedder:
    """Embeds prompts over HTTP. May be used by several threads at once; close it, or use it as a context.

    Args:
        endpoint: The server.

    Raises:
        ValueError: A key would go over the network in the clear or stands in the address, or the address is none.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        address = httpx.URL(endpoint.url)
        if address.userinfo:
            raise ValueError(f"{address.host}: an address holds no credentials, the key is a setting of its own")
        if address.scheme not in ("http", "https") or not address.host:
            raise ValueError(f"{endpoint.url}: no address of a server")
        if endpoint.api_key is not None and address.scheme != "https" and address.host not in _LOOPBACK:
            raise ValueError(f"{endpoint.url}: a key is sent over https only")
        headers = {}
        if endpoint.api_key is not None:
            headers["Authorization"] = f"Bearer {endpoint.api_key.get_secret_value()}"
        self._endpoint = endpoint
        self._url = f"{endpoint.url.rstrip('/')}/v1/embeddings"
        self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(endpoint.timeout_s))

    @property
    def version(self) -> str:
        """Model, how it is asked, and template; the server's own name for the model is all that is known of it."""
        asked = f"{self.dim}\n{self.reads_pictures}\n{self._endpoint.instruction}"
        return versioned(f"{self._endpoint.model}@remote-{blake2b(asked.encode(), digest_size=4).hexdigest()}")

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self._endpoint.dim

    @property
    def reads_pictures(self) -> bool:
        """Whether pictures are sent."""
        return self._endpoint.pictures

    def embed(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Vectors of the prompts.

        Returns:
            float32 [N, dim], norm 1.

        Raises:
            ValueError: A picture is too large or of a format that the protocol does not carry.
            UnavailableError: The server cannot be reached, is too slow, or says what another try may heal (401, 403,
                404, 408, 425, 429, 5xx).
            EmbeddingRefusedError: Any other status, or an answer without exactly one finite vector of the right width
                for each prompt.
        """
        size = 1 if self.reads_pictures else self._endpoint.batch
        vectors = np.empty((len(prompts), self.dim), np.float32)
        for first in range(0, len(prompts), size):
            some = prompts[first : first + size]
            vectors[first : first + len(some)] = self._vectors(self._body(some), len(some))
        return vectors

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _body(self, prompts: Sequence[Prompt]) -> dict[str, object]:
        body: dict[str, object] = {"model": self._endpoint.model, "encoding_format": "float"}
        texts = [f"{self._endpoint.instruction}{prompt.text}" for prompt in prompts]
        if not self.reads_pictures:
            return body | {"input": texts}
        content: list[dict[str, object]] = [{"type": "text", "text": texts[0]}]
        if (picture := prompts[0].picture) is not None:
            content.insert(0, {"type": "image_url", "image_url": {"url": data_url(picture)}})
        return body | {"messages": [{"role": "user", "content": content}]}

    def _vectors(self, body: dict[str, object], count: int) -> NDArray[np.float32]:
        patient = stamina.retry_context(
            on=UnavailableError,
            attempts=self._endpoint.attempts,
            timeout=self._endpoint.timeout_s * self._endpoint.attempts,
            wait_initial=self._endpoint.wait_s,
            wait_jitter=self._endpoint.wait_s,
        )
        for attempt in patient:
            with attempt:
                return self._parsed(self._asked(body, count), count)
        raise AssertionError("stamina always returns or raises")

    def _asked(self, body: dict[str, object], count: int) -> bytes:
        """Body of the answer, of bounded length."""
        limit = _BYTES_AROUND + count * self.dim * _BYTES_A_NUMBER
        try:
            with self._client.stream("POST", self._url, json=body) as answer:
                self._check_status(answer)
                content = bytearray()
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > limit:
                        raise EmbeddingRefusedError(
                            f"{self._url}: more than {limit} bytes for {count} vectors of {self.dim} numbers"
                        )
        except httpx.HTTPError as error:
            raise UnavailableError(f"{self._url}: {type(error).__name__}: {error}", code=AWAY) from error
        return bytes(content)

    def _check_status(self, answer: httpx.Response) -> None:
        if answer.status_code == httpx.codes.OK:
            return
        said = f"{self._url}: status {answer.status_code} for model {self._endpoint.model}"
        if answer.is_server_error or answer.status_code in _TRY_AGAIN:
            raise UnavailableError(said, code=AWAY)
        raise EmbeddingRefusedError(said)

    def _parsed(self, content: bytes, count: int) -> NDArray[np.float32]:
        try:
            found = _Answer.model_validate_json(content).data
        except ValidationError as error:
            raise EmbeddingRefusedError(f"{self._url}: the answer is no list of embeddings") from error
        ordered = sorted(found, key=lambda each: each.index)
        if [each.index for each in ordered] != list(range(count)):
            raise EmbeddingRefusedError(f"{self._url}: {len(found)} vectors for {count} prompts")
        return np.stack([self._unit(each.embedding) for each in ordered])

    def _unit(self, values: list[float]) -> NDArray[np.float32]:
        if len(values) != self.dim:
            raise EmbeddingRefusedError(f"{self._url}: a vector of {len(values)} numbers, {self.dim} expected")
        vector = np.array(values, np.float64)
        norm = float(np.linalg.norm(vector))
        if not (math.isfinite(norm) and norm > 0):
            raise EmbeddingRefusedError(f"{self._url}: a vector that is zero or not finite")
        return (vector / norm).astype(np.float32)


def data_url(picture: bytes) -> str:
    """A picture as a data URL.

    Raises:
        ValueError: It is larger than ``PICTURE_BYTES`` or neither JPEG, PNG nor WebP.
    """
    if len(picture) > PICTURE_BYTES:
        raise ValueError(f"picture: {len(picture)} bytes, {PICTURE_BYTES} are carried at most")
    kind = next((kind for start, kind in _FORMATS if picture.startswith(start)), None)
    if kind is None:
        raise ValueError("picture: neither JPEG, PNG nor WebP")
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"
