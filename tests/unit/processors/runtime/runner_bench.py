"""A runner with its surroundings: broker and attempt log are fakes, nothing else is."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from processors.runtime.processor import Capability, Emit, RetryPolicy, capability
from processors.runtime.runner import Runner
from schemas import topics
from schemas.codec import Codec
from schemas.errors import BadEventError, UnavailableError
from schemas.media import MediaRejected, MediaStatus, MediaWithdrawn
from schemas.pipeline import DeadLettered
from tests.fakes.runtime import NOW, KafkaRecord, MemoryAttempts, MemoryPartitions, MemorySender, Sent, codec

KNOWN = codec()
RETRY = RetryPolicy((timedelta(seconds=2), timedelta(seconds=15), timedelta(minutes=2)))
SOURCE = topics.MEDIA_WITHDRAWN
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DEAD = "cap.dead-letter.v1"
FIRST_RETRY, SECOND_RETRY, THIRD_RETRY = "cap.retry-2000ms.v1", "cap.retry-15000ms.v1", "cap.retry-120000ms.v1"
Work = Callable[..., Awaitable[list[Emit]]]


class KilledError(BaseException):
    """The process died: nothing of ours runs any more."""


def event(number: int = 1) -> MediaWithdrawn:
    return MediaWithdrawn(event_id=f"e{number}", occurred_at=NOW, media_id=f"m{number}", requested_by="u")


def record(number: int = 1, **more: Any) -> KafkaRecord:
    values: dict[str, Any] = {
        "value": KNOWN.encode(event(number)),
        "key": f"m{number}".encode(),
        "partition": 5,
        "offset": number,
    }
    return KafkaRecord(SOURCE.name, **values | more)


def rejection(number: int = 1) -> MediaRejected:
    return MediaRejected(
        event_id=f"r{number}",
        source_event_id=f"e{number}",
        occurred_at=NOW,
        produced_at=NOW,
        media_id=f"m{number}",
        stage="cap",
        reasons=(),
    )


def answer(number: int = 1, **more: Any) -> Emit:
    return Emit(topics.MEDIA_REJECTED, f"m{number}", rejection(number), **more)


class Bench:
    """A runner with a capability made of ``work`` and its surroundings."""

    def __init__(self, work: Work, *, known: Codec | None = None, max_deliveries: int = 2, **declared: Any) -> None:
        values: dict[str, Any] = {
            "consumes": (SOURCE, topics.SONG_PLAYED),
            "produces": (topics.MEDIA_REJECTED, topics.MEDIA_STATUS),
            "retry": RETRY,
        }
        made: Capability = capability(**values | declared)(work)
        self.capability = dataclasses.replace(made, name="cap")
        self.log: list[str] = []
        self.sender = MemorySender(log=self.log)
        self.attempts = MemoryAttempts(log=self.log)
        self.codec = known or codec()
        self.fetched: list[int] = []
        self.schemas: dict[int, str] = {}
        self.fetch: Callable[[int], str] = self._fetch
        self.state = MemoryPartitions(lambda b: self.codec.decode(b, MediaStatus)) if made.state else None
        self.max_deliveries = max_deliveries
        self.start()

    def start(self) -> None:
        """A new process: what is in memory is gone."""
        if self.state:
            self.state.partitions.clear()
        self.runner = Runner(
            self.capability,
            sender=self.sender,
            codec=self.codec,
            fetch_schema=lambda i: self.fetch(i),
            attempts=self.attempts,
            needs={"log": self.log, "unused": 1},
            state=self.state,  # type: ignore[arg-type]
            max_deliveries=self.max_deliveries,
        )

    def _fetch(self, schema_id: int) -> str:
        self.fetched.append(schema_id)
        try:
            return self.schemas[schema_id]
        except KeyError:
            raise BadEventError("no such id", code="schema-unknown") from None

    def next_try(self, sent: Sent) -> KafkaRecord:
        """The record as its retry topic gives it."""
        assert sent.partition is not None
        return KafkaRecord(sent.topic, sent.value, sent.key, sent.partition, 9, list(sent.headers.items()))

    def notice(self) -> DeadLettered:
        (sent,) = self.sender.to(topics.DEAD_LETTERED.name)
        return KNOWN.decode(sent.value, DeadLettered)


def failing(error: BaseException) -> Work:
    async def work(event: Any) -> list[Emit]:
        raise error

    return work


async def fine(event: Any, *, log: list[str]) -> list[Emit]:
    """Answers."""
    log.append("worked")
    return [answer()]


def refusing(times: int, only: str = "") -> Callable[[str], None]:
    left = [times]

    def refuse(topic: str) -> None:
        if topic.startswith(only) and left[0] > 0:
            left[0] -= 1
            raise UnavailableError("no ack")

    return refuse
