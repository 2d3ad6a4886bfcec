"""Events that are tried again, and what waits for a broker or a store that is away."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from processors.runtime.processor import Emit, Received, RetryPolicy
from schemas import topics
from schemas.errors import AppError, BadEventError, BadMediaError, BugError, UnavailableError
from tests.fakes.runtime import Sent
from tests.unit.processors.runtime.runner_bench import (
    DEAD,
    FIRST_RETRY,
    KNOWN,
    SECOND_RETRY,
    SOURCE,
    THIRD_RETRY,
    TRACE,
    Bench,
    KilledError,
    answer,
    event,
    failing,
    fine,
    record,
    refusing,
    rejection,
)

pytestmark = pytest.mark.usefixtures("no_waits")


async def walk(bench: Bench, tries: int) -> list[Sent]:
    """Work on an event and its retries; what was sent each time."""
    await bench.runner.handle(record(headers=[("traceparent", TRACE)]))
    found = [bench.sender.sent[-1]]
    for _ in range(tries - 1):
        await bench.runner.handle(bench.next_try(found[-1]))
        found.append(bench.sender.sent[-1])
    return found


@pytest.mark.expects_errors
async def test_unavailable_goes_through_each_delay_and_is_then_given_up() -> None:
    bench = Bench(failing(UnavailableError("Redis is away", code="redis-away")))
    await walk(bench, 4)
    assert bench.sender.topics == [FIRST_RETRY, SECOND_RETRY, THIRD_RETRY, DEAD, topics.DEAD_LETTERED.name]
    for number, sent in enumerate(bench.sender.sent[:4], start=1):
        assert (sent.key, sent.value) == (b"m1", KNOWN.encode(event()))
        assert sent.headers["x-attempt"] == str(number).encode()
        assert sent.headers["x-origin-topic"] == SOURCE.name.encode()
        assert sent.headers["x-origin-offset"] == b"1"
        assert sent.headers["traceparent"] == TRACE
    assert [s.partition for s in bench.sender.sent[:3]] == [5, 5, 5], "where the state of the event lies"
    assert len({s.headers["x-first-seen-ms"] for s in bench.sender.sent[:4]}) == 1
    assert bench.notice().attempts == 4
    assert bench.attempts.starts == {}


async def test_a_retry_waits_as_long_as_its_topic_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.runtime.failures.now_ms", lambda: 1_000_000)
    bench = Bench(failing(UnavailableError("away")))
    first, second = await walk(bench, 2)
    assert first.headers["x-not-before-ms"] == b"1002000"
    assert second.headers["x-not-before-ms"] == b"1015000"


@pytest.mark.expects_errors
@pytest.mark.parametrize("error", [RuntimeError("boom"), BugError("ours", code="decoder-bug")], ids=["foreign", "own"])
async def test_a_bug_is_tried_twice(error: Exception) -> None:
    bench = Bench(failing(error))
    await walk(bench, 2)
    assert bench.sender.topics == [FIRST_RETRY, DEAD, topics.DEAD_LETTERED.name]
    notice = bench.notice()
    assert notice.attempts == 2
    assert (notice.code, notice.text) == (
        ("decoder-bug", "ours") if isinstance(error, AppError) else ("bug", "RuntimeError: boom")
    )


async def test_a_retry_that_works_ends_the_story() -> None:
    tries: list[int] = []

    async def work(event: Any) -> list[Emit]:
        tries.append(1)
        if len(tries) < 3:
            raise UnavailableError("away")
        return [answer()]

    bench = Bench(work)
    await walk(bench, 3)
    assert bench.sender.topics == [FIRST_RETRY, SECOND_RETRY, topics.MEDIA_REJECTED.name]


async def test_the_handler_does_not_see_that_it_is_a_retry() -> None:
    seen: list[Any] = []

    async def work(event: Any, *, received: Received[Any]) -> list[Emit]:
        seen.append(received)
        if len(seen) == 1:
            raise UnavailableError("away")
        return []

    await walk(Bench(work), 2)
    assert seen[0] == seen[1]


@pytest.mark.expects_errors
@pytest.mark.parametrize("error", [UnavailableError("away"), RuntimeError("boom")])
async def test_without_delays_there_is_no_second_try(error: Exception) -> None:
    bench = Bench(failing(error), retry=RetryPolicy(()))
    await bench.runner.handle(record())
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name]


@pytest.mark.expects_errors
async def test_an_emit_that_was_not_declared_is_a_bug_and_nothing_is_sent() -> None:
    async def work(event: Any) -> list[Emit]:
        return [answer(), Emit(topics.ITEM_CHANGED, "m", None)]

    bench = Bench(work)
    await walk(bench, 2)
    assert bench.sender.topics == [FIRST_RETRY, DEAD, topics.DEAD_LETTERED.name]
    assert "item.catalogue.changed.v1" in bench.notice().text


@pytest.mark.expects_errors
async def test_a_record_that_does_not_fit_leaves_nothing_behind() -> None:
    async def work(event: Any) -> list[Emit]:
        bad = dataclasses.replace(rejection(), media_id=None)  # type: ignore[arg-type]
        return [answer(), Emit(topics.MEDIA_REJECTED, "m", bad)]

    bench = Bench(work)
    await bench.runner.handle(record())
    assert bench.sender.topics == [FIRST_RETRY]


async def test_a_handler_that_is_cancelled_leaves_the_event_open() -> None:
    bench = Bench(failing(KilledError()))
    with pytest.raises(KilledError):
        await bench.runner.handle(record())
    assert bench.sender.sent == []
    assert list(bench.attempts.starts.values()) == [1]


async def test_a_stop_is_no_crash_even_while_the_retry_waits_for_the_broker() -> None:
    bench = Bench(failing(UnavailableError("away")))
    reached, never = asyncio.Event(), asyncio.Event()

    async def send(*_args: Any) -> tuple[int, int]:
        reached.set()
        await never.wait()
        return 0, 0

    bench.sender.send = send  # type: ignore[method-assign]
    work = asyncio.create_task(bench.runner.handle(record()))
    await reached.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert list(bench.attempts.starts.values()) == [0]


# brokers and stores that are away


async def test_a_result_without_ack_is_tried_again_later() -> None:
    bench = Bench(fine)
    bench.sender.refuse = refusing(1)
    await bench.runner.handle(record())
    assert bench.sender.topics == [FIRST_RETRY]


@pytest.mark.expects_errors
@pytest.mark.parametrize("topic", [DEAD, topics.DEAD_LETTERED.name])
async def test_giving_up_waits_for_the_broker(topic: str) -> None:
    bench = Bench(failing(BadEventError("no")))
    bench.sender.refuse = refusing(3, topic)
    await bench.runner.handle(record())
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name]
    assert bench.log[-1] == "finish"


async def test_rejecting_and_retrying_wait_for_the_broker() -> None:
    rejecting = Bench(failing(BadMediaError("no")))
    rejecting.sender.refuse = refusing(3)
    await rejecting.runner.handle(record())
    assert rejecting.sender.topics == [topics.MEDIA_REJECTED.name]
    retrying = Bench(failing(UnavailableError("no")))
    retrying.sender.refuse = refusing(3)
    await retrying.runner.handle(record())
    assert retrying.sender.topics == [FIRST_RETRY]


async def test_no_work_before_its_start_is_counted() -> None:
    bench = Bench(fine)
    real, left = bench.attempts.begin, [2]

    async def begin(capability: str, event: str) -> int:
        if left[0]:
            left[0] -= 1
            bench.log.append("away")
            raise UnavailableError("Redis")
        return await real(capability, event)

    bench.attempts.begin = begin  # type: ignore[method-assign]
    await bench.runner.handle(record())
    assert bench.log[:4] == ["away", "away", "begin", "worked"]
