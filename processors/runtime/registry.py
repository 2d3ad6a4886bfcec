"""The schema registry, over its Confluent-compatible API."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import httpx
import orjson
import stamina

from schemas import contracts
from schemas.codec import Codec
from schemas.errors import AppError, BadEventError, UnavailableError
from schemas.topics import Topic

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
TIMEOUT_S = 10.0
WORTH_WAITING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
WAIT_MAX_S = 1.0
"""Longest pause between two questions whether the registry is back."""


class IncompatibleSchemaError(AppError):
    """The registry refuses a schema that older readers or writers could not live with."""

    code = "schema-incompatible"


class RegistryRefusedError(AppError):
    """What answers at the registry's address does not let us in, or is no registry."""

    code = "registry-refused"


class SchemaRegistry:
    """Registers, looks up and fetches schemas.

    Every method but ``wait`` raises ``UnavailableError`` when the registry does not answer.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(base_url=self._url, timeout=TIMEOUT_S, headers={"Content-Type": MEDIA_TYPE})

    def close(self) -> None:
        self._client.close()

    def wait(self) -> None:
        """Return once the registry answers, however long that takes.

        Raises:
            RegistryRefusedError: it answers, and refuses.
        """
        patient = stamina.retry_context(
            on=UnavailableError, attempts=None, timeout=None, wait_initial=0.5, wait_max=WAIT_MAX_S
        )
        for attempt in patient:
            with attempt:
                answer = self._call("GET", "/subjects")
                if answer.is_client_error and answer.status_code not in WORTH_WAITING:
                    raise RegistryRefusedError(f"registry {self._url}: HTTP {answer.status_code} {answer.text[:200]}")
                self._expect_ok(answer)

    def register(self, topic: Topic) -> int:
        """Register the newest contract of ``topic``; its id. Registering again changes nothing.

        Raises:
            IncompatibleSchemaError: the change breaks BACKWARD_TRANSITIVE.
        """
        self._put(f"/config/{topic.subject}", {"compatibility": "BACKWARD_TRANSITIVE"})
        body = {"schema": contracts.canonical_json(topic.record.CONTRACT), "schemaType": "AVRO"}
        answer = self._call("POST", f"/subjects/{topic.subject}/versions", body)
        if answer.status_code == HTTPStatus.CONFLICT:
            raise IncompatibleSchemaError(f"{topic.subject}: {answer.text}")
        self._expect_ok(answer)
        return int(answer.json()["id"])

    def lookup(self, topic: Topic) -> int | None:
        """Id of the newest contract of ``topic``; None if it is not registered."""
        body = {"schema": contracts.canonical_json(topic.record.CONTRACT), "schemaType": "AVRO"}
        answer = self._call("POST", f"/subjects/{topic.subject}", body)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        self._expect_ok(answer)
        return int(answer.json()["id"])

    def fetch(self, schema_id: int) -> str:
        """Text of a writer's schema.

        Raises:
            BadEventError: the registry does not know the id.
        """
        answer = self._call("GET", f"/schemas/ids/{schema_id}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise BadEventError(f"schema id {schema_id} is not in the registry", code="schema-unknown")
        self._expect_ok(answer)
        return str(answer.json()["schema"])

    def codec(self, topics: Iterable[Topic]) -> Codec:
        """A codec that can write every topic of ``topics``.

        Raises:
            UnavailableError: a schema is not registered yet; ``overture topics apply`` does that.
        """
        codec = Codec()
        for topic in topics:
            schema_id = self.lookup(topic)
            if schema_id is None:
                raise UnavailableError(
                    f"{topic.subject} is not registered at {self._url}; run `overture topics apply`",
                    code="schema-unregistered",
                )
            codec.assign(topic.record.CONTRACT, schema_id)
        return codec

    def _put(self, path: str, body: dict[str, str]) -> None:
        self._expect_ok(self._call("PUT", path, body))

    def _expect_ok(self, answer: httpx.Response) -> None:
        if answer.is_error:
            raise UnavailableError(
                f"schema registry at {self._url} answered {answer.status_code} to "
                f"{answer.request.method} {answer.request.url.path}: {answer.text[:300]}",
                code="registry-unavailable",
            )

    def _call(self, method: str, path: str, body: dict[str, str] | None = None) -> httpx.Response:
        try:
            for attempt in stamina.retry_context(on=httpx.TransportError, attempts=3, timeout=15):
                with attempt:
                    return self._client.request(method, path, content=None if body is None else orjson.dumps(body))
        except httpx.TransportError as error:
            raise UnavailableError(
                f"schema registry at {self._url} does not answer: {error}",
                code="registry-unavailable",
            ) from error
        raise AssertionError("stamina always returns or raises")
