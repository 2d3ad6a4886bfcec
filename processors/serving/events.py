"""Plays and interactions: JSON in, one event each, all or nothing checked before the first is published."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from processors.runtime.processor import Emit
from processors.serving.documentation import json_body, responses
from processors.serving.fields import Id
from processors.serving.json_edge import read_json, validate
from processors.serving.parts import ServiceParts
from processors.serving.problems import ProblemError, pointer_of
from schemas.common import Exposure
from schemas.ids import stable_id
from schemas.interaction import ItemInteracted
from schemas.play import SongPlayed
from schemas.topics import ITEM_INTERACTED, SONG_PLAYED

OLDEST = timedelta(days=30)
NEWEST = timedelta(minutes=5)
DAY_MS = 86_400_000
MAX_LABEL_CHARS = 64


def _text_only(value: Any) -> Any:
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("must be an ISO 8601 time as text")
    return value


def _canonical(value: str) -> str:
    if str(uuid.UUID(value)) != value.lower():
        raise ValueError("must be a UUID")
    return value.lower()


Time = Annotated[AwareDatetime, BeforeValidator(_text_only), Field(strict=False)]
ClientId = Annotated[str, AfterValidator(_canonical), Field(min_length=36, max_length=36)]
Label = Annotated[str, Field(max_length=MAX_LABEL_CHARS)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ExposureIn(Strict):
    """Where the listener met the item."""

    surface: Label = ""
    position: int = Field(-1, ge=-1, le=100_000)
    request_id: Label = ""
    experiment: Label = ""

    def record(self) -> Exposure:
        return Exposure(**self.model_dump())


class EventIn(Strict):
    """What plays and interactions share."""

    event_id: ClientId | None = Field(None, description="UUID of the client, so that a repeat counts once.")
    user_id: Id
    occurred_at: Time | None = Field(None, description="With time zone; the time of arrival if left out.")
    exposure: ExposureIn | None = None


class PlayIn(EventIn):
    """One play."""

    song_id: Id
    played_ms: int = Field(ge=0, le=DAY_MS, description="Time listened, milliseconds.")
    duration_ms: int = Field(gt=0, le=DAY_MS, description="Length of the item, milliseconds.")
    completion: float | None = Field(None, ge=0, le=1, description="Computed if left out.")


class InteractionIn(EventIn):
    """One interaction."""

    item_id: Id
    action: Literal["exposed", "clicked", "liked", "shared", "followed"]


M = TypeVar("M", bound=EventIn)
PLAY_EXAMPLE = {"user_id": "u-7", "song_id": "s-1", "played_ms": 61000, "duration_ms": 180000}
INTERACTION_EXAMPLE = {"user_id": "u-7", "item_id": "s-1", "action": "liked"}


class EventRoutes:
    """``POST /v1/plays`` and ``POST /v1/interactions``."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self._limits = parts.settings.limits
        self._play: TypeAdapter[PlayIn] = TypeAdapter(PlayIn)
        self._interaction: TypeAdapter[InteractionIn] = TypeAdapter(InteractionIn)
        self.router = APIRouter(tags=["ingest"])
        for path, endpoint, model, example in (
            ("/v1/plays", self.plays, PlayIn, PLAY_EXAMPLE),
            ("/v1/interactions", self.interactions, InteractionIn, INTERACTION_EXAMPLE),
        ):
            one = model.model_json_schema(ref_template="#/components/schemas/{model}")
            one.pop("$defs", None)
            schema = {"oneOf": [one, {"type": "array", "items": one, "maxItems": self._limits.batch_records}]}
            self.router.add_api_route(
                path,
                endpoint,
                methods=["POST"],
                status_code=202,
                response_class=Response,
                dependencies=parts.gate.needs("ingest"),
                responses=responses({"accepted": 1}, 400, 408, 413, 415, 422, 503, status=202),
                openapi_extra=json_body(schema, example),
            )

    async def plays(self, request: Request) -> Response:
        """Record plays: one object or an array, all accepted or none."""
        read = await self._read(request, self._play)
        return await self._publish([self._play_event(play, at) for play, at in read])

    async def interactions(self, request: Request) -> Response:
        """Record interactions: one object or an array, all accepted or none."""
        read = await self._read(request, self._interaction)
        return await self._publish([self._interaction_event(interaction, at) for interaction, at in read])

    async def _read(self, request: Request, adapter: TypeAdapter[M]) -> list[tuple[M, datetime]]:
        body = await read_json(request, self._limits.json_bytes)
        now = self._parts.now()
        if not isinstance(body, list):
            model = validate(adapter, body)
            return [(model, _time_of(model, now, ()))]
        if not 1 <= len(body) <= self._limits.batch_records:
            raise ProblemError(
                422, "batch-size", f"{len(body)} elements; 1 to {self._limits.batch_records} are accepted.", pointer=""
            )
        models = [validate(adapter, element, (index,)) for index, element in enumerate(body)]
        return [(model, _time_of(model, now, (index,))) for index, model in enumerate(models)]

    async def _publish(self, events: list[Emit]) -> Response:
        await self._parts.publisher.publish(events)
        return Response(orjson.dumps({"accepted": len(events)}), 202, media_type="application/json")

    def _play_event(self, play: PlayIn, at: datetime) -> Emit:
        completion = play.completion
        if completion is None:
            completion = min(1.0, play.played_ms / play.duration_ms)
        record = SongPlayed(
            event_id=_event_id("play", play),
            occurred_at=at,
            user_id=play.user_id,
            song_id=play.song_id,
            played_ms=play.played_ms,
            duration_ms=play.duration_ms,
            completion=completion,
            exposure=play.exposure.record() if play.exposure else None,
        )
        return Emit(SONG_PLAYED, play.user_id, record)

    def _interaction_event(self, interaction: InteractionIn, at: datetime) -> Emit:
        record = ItemInteracted(
            event_id=_event_id("interaction", interaction),
            occurred_at=at,
            user_id=interaction.user_id,
            item_id=interaction.item_id,
            action=interaction.action,
            exposure=interaction.exposure.record() if interaction.exposure else None,
        )
        return Emit(ITEM_INTERACTED, interaction.user_id, record)


def _event_id(kind: str, event: EventIn) -> str:
    """The client's id bound to its user, so that nobody can make another's event look like a repeat."""
    if event.event_id is not None:
        return stable_id(kind, event.user_id, event.event_id)
    return stable_id(kind, event.model_dump_json(), str(uuid.uuid4()))


def _time_of(event: EventIn, now: datetime, prefix: tuple[int, ...]) -> datetime:
    if event.occurred_at is None:
        return now
    try:
        at = event.occurred_at.astimezone(UTC)
    except OverflowError:
        at = None
    if at is None or not now - OLDEST <= at <= now + NEWEST:
        extra: dict[str, Any] = {"pointer": pointer_of((*prefix, "occurred_at"))}
        if prefix:
            extra["index"] = prefix[0]
        raise ProblemError(422, "time-out-of-range", "occurred_at: at most 30 days ago and 5 minutes ahead.", **extra)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
