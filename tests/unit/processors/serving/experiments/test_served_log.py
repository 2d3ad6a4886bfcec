"""The exposure log: nothing waits for it, nothing is lost without being counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import CollectorRegistry

from processors.runtime.processor import Emit
from processors.serving.experiments import served_log
from processors.serving.experiments.served_log import ServedLog, ServedMetrics
from schemas.recommendation import ListServed
from schemas.topics import LIST_SERVED
from tests.fakes.serving import NOW, MemoryPublisher


def served(number: int) -> ListServed:
    return ListServed(
        event_id=f"e-{number}",
        occurred_at=NOW,
        request_id=f"r-{number}",
        user_id=f"u-{number % 3}",
        surface="daily-list",
        model_version="",
    )


class Log:
    """The log over a publisher in memory, and its counts."""

    def __init__(self, publisher: MemoryPublisher | None = None, capacity: int = 1000) -> None:
        self.publisher = publisher or MemoryPublisher()
        self.registry = CollectorRegistry()
        self.log = ServedLog(self.publisher, ServedMetrics(self.registry), capacity)

    def count(self, outcome: str) -> float | None:
        return self.registry.get_sample_value("overture_served_lists_total", {"outcome": outcome})

    @property
    def waiting(self) -> float | None:
        return self.registry.get_sample_value("overture_served_lists_waiting")


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


async def test_everything_is_written_in_order_and_flushed_at_the_end() -> None:
    it = Log()
    await it.log.start()
    for number in range(120):
        it.log.note(served(number))
    await until(lambda: it.count("written") == 120)
    it.log.note(served(120))
    await it.log.stop()
    assert [event.record.request_id for event in it.publisher.events] == [f"r-{n}" for n in range(121)]
    assert {(event.topic, event.key == event.record.user_id) for event in it.publisher.events} == {(LIST_SERVED, True)}
    assert (it.count("written"), it.count("full"), it.count("stopped"), it.waiting) == (121, 0, 0, 0)


async def test_lists_wait_for_a_broker_that_is_away() -> None:
    it = Log()
    it.publisher.away = True
    await it.log.start()
    for number in range(3):
        it.log.note(served(number))
    await asyncio.sleep(3 * served_log.PAUSE_S)
    assert (it.waiting, it.count("written")) == (3, 0)
    it.publisher.away = False
    await until(lambda: it.count("written") == 3)
    await it.log.stop()


async def test_what_is_too_much_is_dropped_and_counted() -> None:
    it = Log(capacity=5)
    for number in range(8):
        it.log.note(served(number))
    assert (it.waiting, it.count("full")) == (5, 3)
    await it.log.start()
    await it.log.stop()
    assert [event.record.request_id for event in it.publisher.events] == [f"r-{n}" for n in range(5)]


async def test_what_no_broker_takes_at_the_end_is_counted() -> None:
    it = Log()
    it.publisher.away = True
    await it.log.start()
    for number in range(4):
        it.log.note(served(number))
    await it.log.stop()
    assert (it.count("stopped"), it.count("written"), it.waiting) == (4, 0, 0)


async def test_a_stop_without_a_start_counts_too() -> None:
    it = Log()
    it.log.note(served(1))
    await it.log.stop()
    assert it.count("stopped") == 1


class Choosy(MemoryPublisher):
    """Refuses one list, as a codec does whose contract it does not fit."""

    async def publish(self, events: Iterable[Emit]) -> None:
        events = list(events)
        if any(event.record.request_id == "r-7" for event in events):
            raise ValueError("r-7 does not fit")
        await super().publish(events)


@pytest.mark.expects_errors
async def test_one_that_cannot_be_written_does_not_keep_the_others() -> None:
    it = Log(Choosy())
    await it.log.start()
    for number in range(20):
        it.log.note(served(number))
    await it.log.stop()
    assert len(it.publisher.events) == 19
    assert (it.count("written"), it.count("refused")) == (19, 1)


async def test_a_broker_that_never_answers_does_not_hold_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(MemoryPublisher):
        async def publish(self, events: Iterable[Emit]) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(served_log, "STOP_S", 0.1)
    it = Log(Silent())
    await it.log.start()
    it.log.note(served(1))
    async with asyncio.timeout(30):
        await it.log.stop()
    assert it.count("stopped") == 1
