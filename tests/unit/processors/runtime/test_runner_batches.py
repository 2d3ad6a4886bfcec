"""What becomes of a batch, whole and one by one."""

from __future__ import annotations

from typing import Any

import pytest

from processors.runtime.processor import Emit
from schemas import topics
from schemas.codec import Codec
from schemas.errors import BadEventError, BadMediaError, UnavailableError
from schemas.media import MediaRejected, MediaWithdrawn
from tests.fakes.runtime import schema_text
from tests.unit.processors.runtime.runner_bench import (
    DEAD,
    KNOWN,
    Bench,
    KilledError,
    Work,
    record,
    refusing,
    rejection,
)

pytestmark = pytest.mark.usefixtures("no_waits")


async def many(events: Any, *, log: list[str]) -> list[Emit]:
    """Answers each."""
    log.append(f"worked on {[r.offset for r in events]}")
    return [Emit(topics.MEDIA_REJECTED, r.record.media_id, rejection(r.offset)) for r in events]


def picky(bad: int, error: BaseException) -> Work:
    """Fails on every batch that holds the event ``bad``."""

    async def work(events: Any, *, log: list[str]) -> list[Emit]:
        if any(r.offset == bad for r in events):
            raise error
        return await many(events, log=log)

    return work


async def test_a_batch_is_one_call() -> None:
    bench = Bench(many, batch=True)
    await bench.runner.handle_batch([record(i) for i in (1, 2, 3)])
    assert bench.log == ["begin", "worked on [1, 2, 3]", *[f"sent {topics.MEDIA_REJECTED.name}"] * 3, "finish"]


@pytest.mark.expects_errors
@pytest.mark.parametrize("value", [None, b"x", b"\0\0\0\7\7x", KNOWN.encode(rejection())])
async def test_an_unusable_one_among_good_ones(value: bytes | None) -> None:
    bench = Bench(many, batch=True)
    await bench.runner.handle_batch([record(1), record(2, value=value), record(3)])
    assert "worked on [1, 3]" in bench.log
    assert bench.notice().origin_offset == 2
    assert len(bench.sender.to(topics.MEDIA_REJECTED.name)) == 2
    assert bench.sender.to(DEAD)[0].value == value


@pytest.mark.expects_errors
async def test_a_batch_of_unusable_ones_is_no_work() -> None:
    bench = Bench(many, batch=True)
    await bench.runner.handle_batch([record(1, value=None), record(2, value=None)])
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name] * 2
    assert bench.attempts.starts == {}


@pytest.mark.expects_errors
@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), BadEventError("no"), BadMediaError("no")], ids=lambda e: type(e).__name__
)
async def test_a_batch_that_fails_is_tried_one_by_one(error: Exception) -> None:
    bench = Bench(picky(2, error), batch=True)
    await bench.runner.handle_batch([record(i) for i in (1, 2, 3)])
    assert [x for x in bench.log if x.startswith("worked")] == ["worked on [1]", "worked on [3]"]
    assert bench.notice().origin_offset == 2
    assert len(bench.sender.to(topics.MEDIA_REJECTED.name)) == 2
    assert bench.attempts.starts == {}


async def test_a_batch_waits_for_what_is_away_and_keeps_its_order() -> None:
    left = [5]

    async def work(events: Any, *, log: list[str]) -> list[Emit]:
        if left[0]:
            left[0] -= 1
            raise UnavailableError("Milvus")
        return await many(events, log=log)

    bench = Bench(work, batch=True)
    await bench.runner.handle_batch([record(1), record(2)])
    assert "worked on [1, 2]" in bench.log
    assert set(bench.sender.topics) == {topics.MEDIA_REJECTED.name}


async def test_a_batch_waits_for_acks_and_for_the_registry() -> None:
    fresh = Codec()
    fresh.assign(MediaRejected.CONTRACT, 1)
    bench = Bench(many, batch=True, known=fresh)
    calls: list[int] = []

    def fetch(schema_id: int) -> str:
        calls.append(schema_id)
        if len(calls) < 3:
            raise UnavailableError("registry")
        return schema_text(MediaWithdrawn.CONTRACT)

    bench.fetch = fetch
    bench.sender.refuse = refusing(2)
    await bench.runner.handle_batch([record(1), record(2)])
    assert len(calls) == 3
    assert set(bench.sender.topics) == {topics.MEDIA_REJECTED.name}


@pytest.mark.expects_errors
@pytest.mark.parametrize("deadly", [1, 2, 3])
async def test_one_of_a_batch_that_kills_the_process_is_given_up(deadly: int) -> None:
    """The batch comes again after every death, whole; it must end some time, whichever record it is."""
    bench = Bench(picky(deadly, KilledError()), batch=True)
    for _ in range(30):
        try:
            await bench.runner.handle_batch([record(i) for i in (1, 2, 3)])
        except KilledError:
            bench.start()
        else:
            break
    else:
        pytest.fail(f"still killing the process after 30 deliveries; starts: {bench.attempts.starts}")
    assert bench.notice().origin_offset == deadly
    assert bench.notice().code == "crash-loop"
    done = {KNOWN.decode(s.value, MediaRejected).media_id for s in bench.sender.to(topics.MEDIA_REJECTED.name)}
    assert done == {f"m{i}" for i in (1, 2, 3)} - {f"m{deadly}"}


@pytest.mark.expects_errors
async def test_a_schema_that_is_none_does_not_stop_a_batch() -> None:
    """The registry may hold what is no record; only the event that names it is unusable."""
    bench = Bench(many, batch=True)
    bench.schemas[1799] = '"string"'
    await bench.runner.handle_batch([record(1), record(2, value=b"\0\0\0\7\7\2a"), record(3)])
    assert bench.notice().origin_offset == 2
    assert "worked on [1, 3]" in bench.log
