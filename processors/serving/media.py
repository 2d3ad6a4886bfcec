"""Progress of uploads: read, watched, withdrawn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from processors.runtime import tracing
from processors.runtime.processor import Emit
from processors.serving.documentation import responses
from processors.serving.fields import is_media_id
from processors.serving.parts import ServiceParts
from processors.serving.problems import ProblemError
from processors.serving.receipts import Receipts
from schemas.ids import stable_id
from schemas.media import MediaStatus, MediaWithdrawn, TimelineEntry
from schemas.topics import MEDIA_WITHDRAWN
from schemas.upload import UploadCreated

OWNER = "owner"
TERMINAL = frozenset({"published", "rejected", "failed", "deleted"})
PING_S = 15
SEND_TIMEOUT_S = 30.0
MAX_SEQ_DIGITS = 18
EXAMPLE: dict[str, Any] = {
    "media_id": "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f77",
    "kind": "video",
    "state": "published",
    "reasons": [],
    "labels": [{"name": "piano", "score": 0.91}],
    "timeline": [{"stage": "ingest", "state": "received", "at": "2026-11-21T08:00:00Z"}],
    "title": "First try",
    "uploader": "u-1",
    "song_id": None,
    "language": "en",
    "accepted_at": "2026-11-21T08:00:00Z",
    "changed_at": "2026-11-21T08:00:04Z",
    "seq": 5,
    "item_id": "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f77",
}


class MediaRoutes:
    """``/v1/media/{id}`` and its events."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self._receipts = Receipts(parts.objects, UploadCreated)
        self.router = APIRouter(tags=["media"])
        add = self.router.add_api_route
        watch = parts.gate.needs("ingest", "operate")
        add(
            "/v1/media/{media_id}",
            self.read,
            methods=["GET"],
            response_class=Response,
            dependencies=watch,
            responses=responses(EXAMPLE, 404, 422, 503),
        )
        add(
            "/v1/media/{media_id}/events",
            self.events,
            methods=["GET"],
            response_class=Response,
            dependencies=watch,
            responses=responses(
                "id: 5\r\nevent: status\r\ndata: {...}\r\n\r\n", 400, 404, 422, 503, media_type="text/event-stream"
            ),
        )
        add(
            "/v1/media/{media_id}",
            self.withdraw,
            methods=["DELETE"],
            status_code=202,
            response_class=Response,
            dependencies=parts.gate.needs("ingest", "operate"),
            responses=responses({"media_id": EXAMPLE["media_id"], "state": "withdrawing"}, 404, 422, 503, status=202),
        )

    async def read(self, media_id: str) -> Response:
        """How far an upload is, and why it ended as it did."""
        status = await self._find(media_id)
        return Response(status_json(status), media_type="application/json")

    async def events(self, media_id: str, request: Request) -> Response:
        """The same document as server-sent events, at once and on each change, until the end is reached.

        A client that comes back names the last `id` it saw in `Last-Event-ID`; 204 tells it that nothing
        more will come.
        """
        last = _last_seq(request)
        status = await self._find(media_id)
        if status.state in TERMINAL and status.seq <= last:
            return Response(status_code=204)
        return EventSourceResponse(self._changes(status, last), ping=PING_S, send_timeout=SEND_TIMEOUT_S)

    async def withdraw(self, media_id: str) -> Response:
        """Take an upload away: it disappears from answers within seconds, and its file and all made of it go too."""
        await self._find(media_id)
        event = MediaWithdrawn(
            event_id=stable_id("withdrawn", media_id),
            occurred_at=self._parts.now(),
            media_id=media_id,
            requested_by=OWNER,
            erase=True,
        )
        await self._parts.publisher.publish([Emit(MEDIA_WITHDRAWN, media_id, event, headers=tracing.headers())])
        body = orjson.dumps({"media_id": media_id, "state": "withdrawing"})
        return Response(body, 202, media_type="application/json")

    async def _changes(self, first: MediaStatus, last: int) -> AsyncIterator[ServerSentEvent]:
        if first.seq > last:
            yield _sse(first)
            last = first.seq
            if first.state in TERMINAL:
                return
        async for status in self._parts.status.watch(first.media_id):
            if status.seq > last:
                yield _sse(status)
                last = status.seq
            if status.state in TERMINAL:
                return

    async def _find(self, media_id: str) -> MediaStatus:
        if is_media_id(media_id):
            status = await self._parts.status.get(media_id)
            if status is not None:
                return status
            event = await self._receipts.find(media_id)
            if event is not None:
                return _received(event)
        raise ProblemError(404, "media-unknown", "There is no such upload.")


def status_json(status: MediaStatus) -> bytes:
    """The document a client sees; the vectors and our object keys stay inside."""
    document = {
        "media_id": status.media_id,
        "kind": status.kind,
        "state": status.state,
        "reasons": status.reasons,
        "labels": status.labels,
        "timeline": [{"stage": e.stage, "state": e.state, "at": e.at} for e in status.timeline],
        "title": status.title,
        "uploader": status.uploader,
        "song_id": status.song_id,
        "language": status.language,
        "accepted_at": status.accepted_at,
        "changed_at": status.changed_at,
        "seq": status.seq,
    }
    if status.state == "published":
        document["item_id"] = status.media_id
    return orjson.dumps(document, option=orjson.OPT_UTC_Z)


def _received(event: UploadCreated) -> MediaStatus:
    """What is known before the first status arrives; ``seq`` 0 lies below every real one."""
    return MediaStatus(
        media_id=event.media_id,
        kind=event.kind,
        uploader=event.uploader,
        state="received",
        seq=0,
        accepted_at=event.occurred_at,
        changed_at=event.occurred_at,
        timeline=(TimelineEntry(stage="upload", state="received", at=event.occurred_at),),
        title=event.title,
        song_id=event.song_id,
        language=event.language,
        object=event.object,
        source_event_id=event.event_id,
    )


def _sse(status: MediaStatus) -> ServerSentEvent:
    return ServerSentEvent(status_json(status).decode(), event="status", id=str(status.seq))


def _last_seq(request: Request) -> int:
    text = request.headers.get("last-event-id", "")
    if not text:
        return -1
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_SEQ_DIGITS):
        raise ProblemError(400, "last-event-id", "Last-Event-ID must be an id that an earlier event carried.")
    return int(text)
