"""What becomes of an event whose work failed: rejected, tried again later, or given up. No Faust here."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import structlog

from processors.runtime import metrics
from processors.runtime.letters import Letter, clean_text
from processors.runtime.processor import Capability
from processors.runtime.publisher import Sender
from schemas.codec import Codec
from schemas.common import Reason
from schemas.errors import AppError, BadMediaError, BugError, UnavailableError
from schemas.ids import stable_id
from schemas.media import MediaRejected
from schemas.pipeline import DeadLettered
from schemas.record import Record
from schemas.topics import DEAD_LETTERED, MEDIA_REJECTED

BUG_TRIES = 2
T = TypeVar("T")
log = structlog.get_logger(__name__)


class Insist(Protocol):
    """Repeats a step that nothing can do without until it succeeds."""

    async def __call__(self, step: Callable[[], Awaitable[T]], /) -> T: ...


class Failures:
    """Sees to the failed events of one capability."""

    def __init__(self, capability: Capability, sender: Sender, codec: Codec, insist: Insist) -> None:
        self._capability = capability
        self._sender = sender
        self._codec = codec
        self._insist = insist

    def count(self, error: Exception) -> AppError:
        """The error as one of ours, counted."""
        app_error = as_app_error(error)
        metrics.ERRORS.labels(self._capability.name, app_error.code).inc()
        return app_error

    async def settle(self, letter: Letter, record: Record | None, error: Exception) -> str:
        """Reject, retry or give up; what became of the event."""
        app_error = self.count(error)
        letter = letter.failed()
        if isinstance(app_error, BadMediaError) and (rejected := self._rejection(record, app_error)):
            log.info("rejected", code=app_error.code, reason=str(app_error))
            await self._insist(lambda: self._send_record(rejected.media_id, rejected, letter))
            return "rejected"
        delays = self._capability.retry_topics
        tries = len(delays) if isinstance(app_error, UnavailableError) else BUG_TRIES - 1
        may_retry = app_error.retryable or isinstance(app_error, BugError)
        if may_retry and letter.attempt <= min(tries, len(delays)):
            topic, delay = delays[letter.attempt - 1]
            log.warning("will be tried again", code=app_error.code, error=str(app_error), attempt=letter.attempt)
            due_ms = now_ms() + int(delay.total_seconds() * 1000)
            headers = letter.headers(self._capability.name, app_error, due_ms)
            await self._insist(lambda: self._sender.send(topic, letter.key, letter.value, headers, letter.partition))
            return "retried"
        await self.give_up(letter, app_error)
        return "dead-lettered"

    def _rejection(self, record: Record | None, error: BadMediaError) -> MediaRejected | None:
        media_id = getattr(record, "media_id", None)
        if media_id is None:
            return None
        source = str(getattr(record, "source_event_id", "") or getattr(record, "event_id", ""))
        return MediaRejected(
            event_id=stable_id("rejected", source, self._capability.name, error.code),
            source_event_id=source,
            occurred_at=getattr(record, "occurred_at", datetime.now(UTC)),
            produced_at=datetime.now(UTC),
            media_id=media_id,
            stage=self._capability.name,
            reasons=(Reason(code=error.code, text=clean_text(error)),),
        )

    async def give_up(self, letter: Letter, error: AppError) -> None:
        log.error("given up", code=error.code, error=str(error), attempts=letter.attempt, exc_info=error.__cause__)
        topic = self._capability.dead_letter_topic
        headers = letter.headers(self._capability.name, error)
        await self._insist(lambda: self._sender.send(topic, letter.key, letter.value, headers))
        notice = DeadLettered(
            event_id=stable_id("dead-letter", self._capability.name, letter.place),
            occurred_at=datetime.now(UTC),
            capability=self._capability.name,
            key=letter.key_text,
            origin_topic=letter.topic,
            origin_partition=letter.partition,
            origin_offset=letter.offset,
            dead_letter_topic=topic,
            attempts=letter.attempt,
            code=error.code,
            text=clean_text(error),
        )
        await self._insist(lambda: self._send_record(letter.key_text, notice, letter))

    async def _send_record(self, key: str, record: MediaRejected | DeadLettered, letter: Letter) -> None:
        topic = MEDIA_REJECTED if isinstance(record, MediaRejected) else DEAD_LETTERED
        await self._sender.send(topic.name, key.encode(), self._codec.encode(record), letter.carried)


def as_app_error(error: Exception) -> AppError:
    """What nobody foresaw becomes a bug that keeps its traceback as cause."""
    if isinstance(error, AppError):
        return error
    bug = BugError(f"{type(error).__name__}: {error}")
    bug.__cause__ = error
    return bug


def now_ms() -> int:
    return int(time.time() * 1000)
