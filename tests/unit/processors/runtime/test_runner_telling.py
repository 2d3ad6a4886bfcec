"""What the runner tells of its work: metrics, signs of life, traces."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from features.ports import AttemptLog
from processors.runtime.processor import Emit, Milestone, RetryPolicy, capability
from processors.runtime.runner import Runner
from schemas import topics
from schemas.errors import BadEventError, UnavailableError
from schemas.media import MediaRejected, MediaWithdrawn
from tests.fakes.runtime import NOW, KafkaRecord, MemoryAttempts, MemorySender, codec

pytestmark = pytest.mark.usefixtures("no_waits")
KNOWN = codec()
SOURCE = topics.MEDIA_WITHDRAWN
ANSWER = topics.MEDIA_REJECTED
LONG_AGO = NOW - timedelta(days=1)


def record(number: int, trace: int = 0) -> KafkaRecord:
    event = MediaWithdrawn(event_id=f"e{number}", occurred_at=NOW, media_id=f"m{number}", requested_by="u")
    headers = [("traceparent", parent(trace))] if trace else []
    return KafkaRecord(SOURCE.name, KNOWN.encode(event), f"m{number}".encode(), 0, number, headers)


def parent(trace: int) -> bytes:
    return f"00-{trace:032x}-{7:016x}-01".encode()


def answer(key: str, milestone: Milestone | None = None) -> Emit:
    rejected = MediaRejected(
        event_id=key, source_event_id="s", occurred_at=NOW, produced_at=NOW, media_id=key, stage="s", reasons=()
    )
    return Emit(ANSWER, key, rejected, milestone=milestone)


def runner_of(work: Any, sender: MemorySender, attempts: AttemptLog | None = None, **declared: Any) -> Runner:
    declared = {"consumes": (SOURCE,), "produces": (ANSWER,), "retry": RetryPolicy((timedelta(seconds=2),))} | declared
    return Runner(
        capability(**declared)(work),
        sender=sender,
        codec=KNOWN,
        fetch_schema=lambda number: str(number),
        attempts=attempts or MemoryAttempts(),
        needs={},
    )


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_what_a_batch_makes_keeps_the_trace_of_its_own_key() -> None:
    async def work(events: Any) -> list[Emit]:
        return [answer("m1"), answer("m2"), answer("m3"), answer("all")]

    sender = MemorySender()
    await runner_of(work, sender, batch=True).handle_batch([record(1, 11), record(2, 22), record(3), record(2, 23)])
    assert [sent.headers.get("traceparent") for sent in sender.sent] == [parent(11), parent(23), None, None]


async def test_a_milestone_is_measured_when_the_broker_has_it() -> None:
    async def work(event: Any) -> list[Emit]:
        return [answer("m1", Milestone("told", LONG_AGO))]

    seen: list[float] = []
    sender = MemorySender(refuse=lambda _: seen.append(counted("overture_upload_seconds_count", milestone="told")))
    await runner_of(work, sender).handle(record(1))
    assert seen == [0.0]
    assert counted("overture_upload_seconds_count", milestone="told") == 1
    assert counted("overture_upload_seconds_sum", milestone="told") > 86400


async def test_how_long_a_stage_took_counts_from_what_happened() -> None:
    async def work(event: Any) -> list[Emit]:
        return []

    runner = runner_of(work, MemorySender())
    labels = {"capability": runner.capability.name}
    before = counted("overture_stage_seconds_count", **labels)
    await runner.handle(record(1))
    assert counted("overture_stage_seconds_count", **labels) == before + 1


async def test_waiting_for_what_is_away_is_counted_and_is_a_sign_of_life() -> None:
    class Away(MemoryAttempts):
        left = 3

        async def begin(self, capability: str, event: str) -> int:
            if self.left:
                self.left -= 1
                raise UnavailableError("no Redis", code="redis-unavailable")
            return await super().begin(capability, event)

    async def work(event: Any) -> list[Emit]:
        return []

    runner = runner_of(work, MemorySender(), Away())
    labels = {"capability": runner.capability.name, "code": "redis-unavailable"}
    before, never = counted("overture_refusals_total", **labels), runner.progress.refused_at
    await runner.handle(record(1))
    assert counted("overture_refusals_total", **labels) == before + 3
    assert runner.progress.refused_at > never


@pytest.mark.expects_errors
async def test_failures_in_batches_are_counted_by_code() -> None:
    async def work(events: Any) -> list[Emit]:
        raise BadEventError("no", code="telling-bad")

    runner = runner_of(work, MemorySender(), batch=True)
    unreadable = KafkaRecord(SOURCE.name, b"x")
    await runner.handle_batch([record(1), record(2), unreadable])
    labels = {"capability": runner.capability.name}
    assert counted("overture_errors_total", code="telling-bad", **labels) == 2
    assert counted("overture_errors_total", code="value-truncated", **labels) >= 1
