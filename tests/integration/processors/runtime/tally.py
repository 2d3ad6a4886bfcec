"""A capability for tests: it tells of every event it worked on, and misbehaves when its event says so.

Run as a program it is a worker process that a test can kill: ``python tally.py NAME GROUP``, settings in the
environment.
What to do is written in ``requested_by``: ``ok``, ``slow:<seconds>``, ``block:<seconds>`` (and the event loop with
it), ``raise``, ``flaky`` (raises once), ``away`` (UnavailableError), ``bad-media``, ``die`` (kills its process).
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from features.attempts import RedisAttemptLog
from processors.runtime import logs, worker
from processors.runtime.processor import Capability, Emit, Received, RetryPolicy, capability
from processors.runtime.publisher import KafkaPublisher
from processors.runtime.registry import SchemaRegistry
from processors.runtime.runner import Runner
from processors.runtime.settings import Settings
from processors.runtime.state import CompactedState
from schemas import topics
from schemas.common import Reason
from schemas.errors import BadMediaError, UnavailableError
from schemas.media import MediaRejected, MediaStatus, MediaWithdrawn

RETRY = RetryPolicy((timedelta(milliseconds=300), timedelta(milliseconds=600)))


async def behave(event: MediaWithdrawn, memory: dict[str, int]) -> None:
    order, _, argument = event.requested_by.partition(":")
    match order:
        case "slow":
            await asyncio.sleep(float(argument))
        case "block":
            time.sleep(float(argument))  # noqa: ASYNC251 - that is what it is told to do
        case "raise":
            raise RuntimeError("told to raise")
        case "flaky":
            memory[event.media_id] = memory.get(event.media_id, 0) + 1
            if memory[event.media_id] == 1:
                raise RuntimeError("told to raise once")
        case "away":
            raise UnavailableError("told to be away")
        case "bad-media":
            raise BadMediaError("told to reject", code="media-empty")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)


def answer(event: MediaWithdrawn) -> Emit:
    now = datetime.now(UTC)
    record = MediaRejected(
        event_id=event.event_id,
        source_event_id=event.event_id,
        occurred_at=event.occurred_at,
        produced_at=now,
        media_id=event.media_id,
        stage="tally",
        reasons=(Reason(code="ok", text="worked on"),),
    )
    return Emit(topics.MEDIA_REJECTED, event.media_id, record)


@capability(consumes=(topics.MEDIA_WITHDRAWN,), produces=(topics.MEDIA_REJECTED,), retry=RETRY)
async def single(event: MediaWithdrawn, *, memory: dict[str, int]) -> list[Emit]:
    """Answers every event."""
    await behave(event, memory)
    return [answer(event)]


@capability(consumes=(topics.MEDIA_WITHDRAWN,), produces=(topics.MEDIA_REJECTED,), retry=RETRY, concurrency=4)
async def parallel(event: MediaWithdrawn, *, memory: dict[str, int]) -> list[Emit]:
    """Answers every event, four at a time."""
    await behave(event, memory)
    return [answer(event)]


@capability(consumes=(topics.MEDIA_WITHDRAWN,), produces=(topics.MEDIA_REJECTED,), retry=RETRY, batch=True)
async def batch(events: Sequence[Received[MediaWithdrawn]], *, memory: dict[str, int]) -> list[Emit]:
    """Answers all events of a poll at once."""
    for received in events:
        await behave(received.record, memory)
    return [answer(received.record) for received in events]


@capability(consumes=(topics.MEDIA_WITHDRAWN,), produces=(topics.MEDIA_STATUS,), retry=RETRY, state=topics.MEDIA_STATUS)
async def stateful(event: MediaWithdrawn, *, memory: dict[str, int], state: Any) -> list[Emit]:
    """Counts distinct events by media id: ``seq`` is their number, ``labels`` name them."""
    await behave(event, memory)
    before: MediaStatus | None = state.get(event.media_id)
    reasons = () if before is None else before.reasons
    if event.event_id not in {r.code for r in reasons}:
        reasons = (*reasons, Reason(code=event.event_id, text=""))
    status = MediaStatus(
        media_id=event.media_id,
        kind="post",
        state="processing",
        seq=len(reasons),
        changed_at=event.occurred_at,
        reasons=reasons,
    )
    return [Emit(topics.MEDIA_STATUS, event.media_id, status)]


def declared(name: str, group: str) -> Capability:
    """The capability ``name`` of this file under a group of its own, so that tests do not meet."""
    return dataclasses.replace(globals()[name], name=group)


async def main(settings: Settings, name: str, group: str) -> None:
    registry = SchemaRegistry(settings.registry.url)
    codec = registry.codec(topics.ALL)
    tally = declared(name, group)
    publisher = KafkaPublisher(settings.kafka, codec)
    state: CompactedState[Any] | None = None
    if tally.state:
        state = CompactedState(settings.kafka, tally.state, codec, registry.fetch)
    runner = Runner(
        tally,
        sender=publisher,
        codec=codec,
        fetch_schema=registry.fetch,
        attempts=RedisAttemptLog.from_url(settings.redis.url.get_secret_value()),
        needs={"memory": {}},
        state=state,
        max_deliveries=settings.worker.max_deliveries,
    )
    await worker.run([runner], settings)
    publisher.close()


if __name__ == "__main__":
    chosen = Settings()
    logs.configure(chosen.worker)
    asyncio.run(main(chosen, sys.argv[1], sys.argv[2]))
