"""State of a capability: where it lies, and when it changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from processors.runtime.lease import Lease
from processors.runtime.processor import Emit
from schemas import topics
from schemas.media import MediaStatus
from tests.fakes.runtime import NOW
from tests.unit.processors.runtime.runner_bench import FIRST_RETRY, Bench, Work, answer, fine, record, refusing

pytestmark = pytest.mark.usefixtures("no_waits")


def status(seq: int, media: str = "m1") -> MediaStatus:
    return MediaStatus(media_id=media, kind="post", state="processing", seq=seq, changed_at=NOW)


async def counting(event: Any, *, state: Any, log: list[str]) -> list[Emit]:
    """One more."""
    before = state.get(event.media_id)
    seq = 1 if before is None else before.seq + 1
    log.append(f"seq {seq}")
    return [Emit(topics.MEDIA_STATUS, event.media_id, status(seq, event.media_id), partition=1)]


def stateful(work: Work = counting, **more: Any) -> Bench:
    return Bench(work, state=topics.MEDIA_STATUS, **more)


async def test_state_lies_in_the_partition_of_its_events_whatever_the_emit_says() -> None:
    bench = stateful()
    await bench.runner.handle(record(partition=6))
    assert [s.partition for s in bench.sender.sent] == [6]
    assert bench.state is not None
    assert bench.state.partitions[6].get("m1") == status(1)
    assert list(bench.state.partitions) == [6]


async def test_other_emits_of_a_stateful_capability_keep_their_partition() -> None:
    async def work(event: Any, *, state: Any) -> list[Emit]:
        return [Emit(topics.MEDIA_STATUS, "m1", status(1)), answer(), answer(partition=2)]

    bench = stateful(work)
    await bench.runner.handle(record())
    assert [s.partition for s in bench.sender.sent] == [5, None, 2]


async def test_the_next_event_sees_what_the_last_one_left() -> None:
    bench = stateful()
    await bench.runner.handle(record())
    await bench.runner.handle(record(offset=2))
    assert [x for x in bench.log if x.startswith("seq")] == ["seq 1", "seq 2"]


@pytest.mark.parametrize("topic", [topics.MEDIA_STATUS.name, topics.MEDIA_REJECTED.name])
async def test_state_changes_only_when_everything_is_acknowledged(topic: str) -> None:
    async def work(event: Any, *, state: Any) -> list[Emit]:
        return [Emit(topics.MEDIA_STATUS, "m1", status(1)), answer()]

    bench = stateful(work)
    bench.sender.refuse = refusing(1, topic)
    await bench.runner.handle(record())
    assert bench.state is not None
    assert bench.state.partitions[5].get("m1") is None
    await bench.runner.handle(bench.next_try(bench.sender.to(FIRST_RETRY)[0]))
    assert bench.state.partitions[5].get("m1") == status(1)


async def test_a_tombstone_forgets_state() -> None:
    async def work(event: Any, *, state: Any) -> list[Emit]:
        return [Emit(topics.MEDIA_STATUS, "m1", None if state.get("m1") else status(1))]

    bench = stateful(work)
    await bench.runner.handle(record())
    await bench.runner.handle(record())
    assert bench.state is not None
    assert bench.state.partitions[5].get("m1") is None


async def test_state_of_a_batch_counts_once_when_an_ack_is_missing() -> None:
    async def work(events: Any, *, state: Any) -> list[Emit]:
        before = state.get("m1")
        return [Emit(topics.MEDIA_STATUS, "m1", status((before.seq if before else 0) + len(events)))]

    bench = stateful(work, batch=True)
    bench.sender.refuse = refusing(3)
    await bench.runner.handle_batch([record(i) for i in (1, 2, 3)])
    assert bench.state is not None
    found = bench.state.partitions[5].get("m1")
    assert found is not None
    assert found.seq == 3


def test_state_can_be_forgotten() -> None:
    bench = stateful()
    bench.runner.forget_state()
    assert bench.state is not None
    assert bench.state.forgotten == 1
    Bench(fine).runner.forget_state()


async def test_what_is_written_after_the_lease_ended_waits_for_a_new_one() -> None:
    """The process was stopped between two stages; by then somebody else may write the same state."""
    now = 100.0
    lease = Lease(4.0, lambda: now)
    lease.renew(now)

    async def work(event: Any, *, state: Any) -> list[Emit]:
        return [Emit(topics.MEDIA_STATUS, "m1", status(1)), Emit(topics.MEDIA_STATUS, "m2", status(1, "m2"), stage=1)]

    def stop_for_a_while(_topic: str) -> None:
        nonlocal now
        now += 30.0

    bench = stateful(work)
    bench.runner.lease = lease
    bench.sender.refuse = stop_for_a_while
    working = asyncio.ensure_future(bench.runner.handle(record()))
    done, _ = await asyncio.wait([working], timeout=0.3)
    assert not done
    assert [sent.key for sent in bench.sender.sent] == [b"m1"]
    lease.renew(now)
    await asyncio.wait_for(working, 30)
    assert [sent.key for sent in bench.sender.sent] == [b"m1", b"m2"]
