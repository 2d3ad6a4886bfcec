"""The service as a program outside sees it: HTTP and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import httpx_sse
from pydantic import BaseModel, ConfigDict, ValidationError

from infra.demo.errors import DemoError
from infra.demo.material import Item

D = TypeVar("D", bound="Document")
TERMINAL = frozenset({"published", "rejected", "failed", "deleted"})
TRIES = 5
RETRY_S = 1.0
TIMEOUT = httpx.Timeout(15.0, read=30.0)


class Document(BaseModel):
    """What an answer holds; members that the demo has no use for are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Stage(Document):
    """One entry of an upload's timeline."""

    stage: str
    state: str
    at: datetime


class Reason(Document):
    code: str
    text: str


class Label(Document):
    name: str
    score: float


class Media(Document):
    """`GET /v1/media/{id}`."""

    media_id: str
    kind: str
    state: str
    title: str = ""
    reasons: tuple[Reason, ...] = ()
    labels: tuple[Label, ...] = ()
    timeline: tuple[Stage, ...] = ()
    accepted_at: datetime | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing more happens without a person."""
        return self.state in TERMINAL or self.state == "review"


class Found(Document):
    """One item of an answer."""

    item_id: str
    kind: str
    score: float
    cold: bool
    reason: str


class Answer(Document):
    """`GET /v1/recommendations` and its relatives."""

    items: tuple[Found, ...]
    degraded: tuple[str, ...] = ()
    model_version: str = ""


class Near(Document):
    """An item that lies near another, and how near: cosine, -1 to 1."""

    item_id: str
    likeness: float


class Explanation(Document):
    """`GET /v1/explanations/{item}`: why the recommender offers an item."""

    score: float
    boundary: float
    cold: bool
    source: str
    parts: dict[str, float] = {}
    neighbours: tuple[Near, ...] = ()
    played: tuple[Near, ...] = ()


class AvatarStatus(Document):
    """`GET /v1/avatars/{user}`."""

    event_id: str
    state: str
    decided_by: str
    reasons: tuple[Reason, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nothing more happens without a person."""
        return self.state != "received"


class Case(Document):
    """`GET /v1/review/cases/{id}`; in a list, without the members."""

    review_id: str
    state: str
    members: tuple[str, ...] = ()
    scores: dict[str, float] = {}


class Cases(Document):
    """`GET /v1/review/cases`."""

    cases: tuple[Case, ...]


class Refusal(Document):
    """An RFC 9457 problem document."""

    status: int
    code: str
    detail: str = ""


class Service:
    """The HTTP API.

    Args:
        address: For example `http://127.0.0.1:8000`.
        transport: Another way to the service, for tests.
        key: API key with the scopes ingest and read; empty where the service asks for none.
    """

    def __init__(self, address: str, transport: httpx.AsyncBaseTransport | None = None, *, key: str = "") -> None:
        self.address = address
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
        self._http = httpx.AsyncClient(
            base_url=address,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=TIMEOUT,
            limits=limits,
            transport=transport,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def unready_parts(self) -> list[str]:
        """Parts that `/readyz` calls unusable; `["service"]` when nothing answers."""
        try:
            answer = await self._http.get("/readyz")
            probes: dict[str, Any] = answer.json().get("probes", {})
        except (httpx.HTTPError, ValueError, AttributeError):
            return ["service"]
        if answer.is_success:
            return []
        return [name for name, probe in probes.items() if not probe.get("ok")] or ["service"]

    async def upload(self, item: Item, uploader: str, idempotency_key: str) -> str | Refusal:
        """Send an item; its media id, or the 4xx that refuses it.

        503 and lost connections are tried again with the same key, so the item is accepted once.

        Raises:
            DemoError: the service does not take it after some tries.
        """
        content = None if item.file is None else await asyncio.to_thread(item.file.read_bytes)
        fields: list[tuple[str, tuple[str | None, bytes]]] = [
            (name, (None, value.encode()))
            for name, value in (
                ("kind", item.kind),
                ("uploader", uploader),
                ("title", item.title),
                ("text", item.text),
                ("language", item.language or ""),
                *(("tags", tag) for tag in item.tags),
            )
            if value
        ]
        if content is not None:
            fields.append(("file", (item.sent_as, content)))
        answer = await self._send("POST", "/v1/uploads", files=fields, headers={"Idempotency-Key": idempotency_key})
        if answer.status_code == httpx.codes.ACCEPTED:
            return str(answer.json()["media_id"])
        return _document(Refusal, answer)

    async def media(self, media_id: str) -> Media:
        """How far an upload is."""
        return _document(Media, _good(await self._send("GET", f"/v1/media/{media_id}")))

    async def title(self, item_id: str) -> str:
        """Title of an item; its id where it was no upload."""
        answer = await self._send("GET", f"/v1/media/{item_id}")
        return item_id if answer.status_code == httpx.codes.NOT_FOUND else _document(Media, _good(answer)).title

    async def watch(self, media_id: str) -> AsyncIterator[Media]:
        """Each change of an upload until its end, from the server-sent events; connects again when cut off."""
        last, tries = "", 0
        while tries < TRIES:
            headers = {"Last-Event-ID": last} if last else {}
            url = f"/v1/media/{media_id}/events"
            try:
                async with httpx_sse.aconnect_sse(self._http, "GET", url, headers=headers, timeout=TIMEOUT) as events:
                    if events.response.status_code == httpx.codes.NO_CONTENT:
                        return
                    _good(events.response)
                    async for event in events.aiter_sse():
                        if event.event != "status":
                            continue
                        media = Media.model_validate_json(event.data)
                        last, tries = event.id, 0
                        yield media
                        if media.state in TERMINAL:
                            return
            except httpx.TransportError:
                pass
            tries += 1
            await asyncio.sleep(RETRY_S)
        raise DemoError(f"the events of {media_id} break off again and again")

    async def change_avatar(self, user: str, file: Path, idempotency_key: str) -> str | Refusal:
        """Send an avatar; the id of its event, or the 4xx that refuses it.

        Raises:
            DemoError: the service does not take it after some tries.
        """
        content = await asyncio.to_thread(file.read_bytes)
        answer = await self._send(
            "POST",
            "/v1/avatars",
            files=[("user", (None, user.encode())), ("file", (file.name, content))],
            headers={"Idempotency-Key": idempotency_key},
        )
        if answer.status_code == httpx.codes.ACCEPTED:
            return str(answer.json()["event_id"])
        return _document(Refusal, answer)

    async def avatar(self, user: str) -> AvatarStatus | None:
        """Where a user's newest avatar stands; None if the service knows of none."""
        answer = await self._send("GET", f"/v1/avatars/{user}")
        return None if answer.status_code == httpx.codes.NOT_FOUND else _document(AvatarStatus, _good(answer))

    async def rings(self) -> list[Case] | None:
        """Cases of rings that wait for people, then those that were decided; None if the key may not see cases."""
        found: list[Case] = []
        for more in ({}, {"state": "decided"}):
            answer = await self._send("GET", "/v1/review/cases", params={"subject": "ring", **more})
            if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                return None
            for each in _document(Cases, _good(answer)).cases:
                whole = await self._send("GET", f"/v1/review/cases/{each.review_id}")
                # erased meanwhile
                if whole.status_code != httpx.codes.NOT_FOUND:
                    found.append(_document(Case, _good(whole)))
        return found

    async def play(self, plays: Sequence[dict[str, object]]) -> int:
        """Post plays; how many were accepted."""
        answer = _good(await self._send("POST", "/v1/plays", json=list(plays)))
        return int(answer.json()["accepted"])

    async def recommendations(self, user: str, limit: int) -> Answer:
        """Items for a user, best first."""
        return _document(
            Answer, _good(await self._send("GET", "/v1/recommendations", params={"user": user, "limit": limit}))
        )

    async def explain(self, user: str, item_id: str) -> Explanation | None:
        """Why an item is offered; None if the recommender does not hold it."""
        answer = await self._send("GET", f"/v1/explanations/{item_id}", params={"user": user})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return _document(Explanation, _good(answer))

    async def recall(self, user: str, limit: int) -> Answer:
        """Candidates for a user by content alone, so that no recommender's boundary keeps new items from him."""
        asked = {"user": user, "limit": limit, "recaller": "content"}
        return _document(Answer, _good(await self._send("POST", "/v1/recall", json=asked)))

    async def features(self, view: str, entity: str) -> dict[str, Any]:
        """Values of one row of a feature view; empty when there is none yet."""
        answer = await self._send("GET", f"/v1/features/{view}/{entity}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        values: dict[str, Any] = _good(answer).json()["values"]
        return values

    async def withdraw(self, media_id: str) -> bool:
        """Take an upload away; False when the service does not know it."""
        answer = await self._send("DELETE", f"/v1/media/{media_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        _good(answer)
        return True

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        problem = ""
        for _ in range(TRIES):
            wait_s = RETRY_S
            try:
                answer = await self._http.request(method, path, **more)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__} {error}".strip()
            else:
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return answer
                problem = answer.text[:300]
                wait_s = float(answer.headers.get("Retry-After", RETRY_S))
            await asyncio.sleep(wait_s)
        raise DemoError(f"{method} {path} at {self.address}: {problem}")


def _good(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        text = "" if answer.is_stream_consumed is False else answer.text[:300]
        raise DemoError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {text}")
    return answer


def _document(kind: type[D], answer: httpx.Response) -> D:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as error:
        raise DemoError(f"{answer.request.method} {answer.request.url.path} answers something else: {error}") from error
