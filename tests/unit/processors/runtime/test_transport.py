"""Which offsets may be committed, and which records wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from faust.types import TP, ConsumerMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.runtime import transport
from processors.runtime.transport import (
    NOT_BEFORE_HEADER,
    BatchMessage,
    GuardedConsumer,
    OffsetTracker,
    not_before,
)
from tests.fakes.runtime import KafkaRecord

# the tracker


class Oracle:
    """The rule said plainly: everything below the committed offset was fetched and is finished, or was skipped."""

    def __init__(self) -> None:
        self.fetched: list[tuple[int, int]] = []
        self.done: set[int] = set()

    def unfinished(self) -> list[int]:
        return [first for first, last in self.fetched if last not in self.done]


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=12),
    data=st.data(),
)
def test_never_past_an_unfinished_record_and_to_the_end_when_all_are_done(
    sizes: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Messages cover ``size`` offsets, with holes of ``gap`` (compaction); fetched and finished in any interleaving."""
    messages, offset = [], data.draw(st.integers(0, 5))
    for size, gap in sizes:
        messages.append((offset, offset + size - 1))
        offset += size + gap
    tracker, oracle = OffsetTracker(), Oracle()
    waiting, committed = list(messages), 0
    while waiting or oracle.unfinished():
        open_now = [last for first, last in oracle.fetched if last not in oracle.done]
        if waiting and (not open_now or data.draw(st.booleans())):
            first, last = waiting.pop(0)
            tracker.fetched(first, last)
            oracle.fetched.append((first, last))
        else:
            last = data.draw(st.sampled_from(open_now))
            tracker.done(last)
            oracle.done.add(last)
        found = tracker.committable()
        if not oracle.done:
            assert found is None
        else:
            assert found is not None
            assert all(found <= first for first in oracle.unfinished())
            assert found <= max(oracle.done) + 1
            assert found >= committed, "a commit never goes back"
            committed = found
    assert tracker.committable() == messages[-1][1] + 1


def test_nothing_finished_means_nothing_to_commit() -> None:
    tracker = OffsetTracker()
    assert tracker.committable() is None
    tracker.fetched(7, 7)
    assert tracker.committable() is None


def test_the_oldest_unfinished_holds_the_commit() -> None:
    tracker = OffsetTracker()
    for offset in (5, 6, 7):
        tracker.fetched(offset, offset)
    tracker.done(7)
    tracker.done(6)
    assert tracker.committable() == 5
    tracker.done(5)
    assert tracker.committable() == 8


def test_a_batch_is_one_message_and_starts_at_its_first_record() -> None:
    tracker = OffsetTracker()
    tracker.fetched(0, 9)
    tracker.fetched(10, 19)
    tracker.done(19)
    assert tracker.committable() == 0
    tracker.done(9)
    assert tracker.committable() == 20


def test_finishing_twice_changes_nothing() -> None:
    tracker = OffsetTracker()
    tracker.fetched(0, 0)
    tracker.fetched(1, 1)
    tracker.done(0)
    tracker.done(0)
    assert tracker.committable() == 1


# headers


def header(value: Any) -> KafkaRecord:
    return KafkaRecord("t", headers=[("x-attempt", b"1"), (NOT_BEFORE_HEADER, value)])


def test_not_before_is_in_seconds() -> None:
    assert not_before(header(b"1500")) == 1.5


def test_without_the_header_nothing_waits() -> None:
    assert not_before(KafkaRecord("t")) == 0.0


@pytest.mark.parametrize("value", [b"", b"soon", b"-", b"1.5", None])
def test_a_header_that_is_no_number_must_not_stop_the_consumer(value: Any) -> None:
    """Raised while fetching, it would stop the worker at this record for ever."""
    assert not_before(header(value)) == 0.0


# the consumer, without a broker

RETRY, SOURCE, PLAYS = TP("r", 0), TP("s", 0), TP("p", 0)


class Thread:
    """The part of Faust's consumer thread that fetches: gives each partition's records once."""

    def __init__(self) -> None:
        self.ready: dict[TP, list[KafkaRecord]] = {}
        self.asked: list[tuple[set[TP], float]] = []

    async def getmany(self, wanted: set[TP], timeout: float) -> dict[TP, list[KafkaRecord]]:  # noqa: ASYNC109
        self.asked.append((set(wanted), timeout))
        return {tp: self.ready.pop(tp) for tp in list(self.ready) if tp in wanted}


class App:
    consumer_generation_id = 1
    batched_topics = frozenset({"p", "g"})
    gathered_topics = frozenset({"g"})
    retry_topics = frozenset({"r"})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    class Clock:
        now = 1000.0

        def time(self) -> float:
            return self.now

        monotonic = time

    clock = Clock()
    monkeypatch.setattr(transport, "time", clock)
    return clock


@pytest.fixture
def consumer() -> GuardedConsumer:
    """A consumer whose parts that need Kafka are missing."""
    one = GuardedConsumer.__new__(GuardedConsumer)
    one.app = App()  # type: ignore[assignment]
    one._thread = Thread()
    one._trackers = {}
    one._parked = {}
    one._handed_at = {}
    one._buffered_partitions = set()
    return one


def due(offset: int, second: float, topic: str = "r") -> KafkaRecord:
    return KafkaRecord(topic, offset=offset, headers=[(NOT_BEFORE_HEADER, str(int(second * 1000)).encode())])


def offsets(records: Sequence[Any]) -> list[int]:
    return [r.offset for r in records]


async def poll(consumer: GuardedConsumer, *tps: TP) -> dict[TP, Any]:
    return dict(await consumer._getmany(set(tps), 0.0))


async def test_gathered_topics_are_asked_again_after_a_while_only(consumer: Any, clock: Any) -> None:
    gathered, batched = TP("g", 0), TP("p", 0)
    for at, wanted in ((0.0, {gathered, batched}), (1.9, {batched}), (2.0, {gathered, batched})):
        clock.now = 1000.0 + at
        consumer._thread.ready = {tp: [KafkaRecord(tp.topic, offset=int(10 * at))] for tp in (gathered, batched)}
        assert (await poll(consumer, gathered, batched)).keys() == wanted


async def test_early_records_of_a_retry_topic_wait_until_they_are_due(consumer: Any, clock: Any) -> None:
    consumer._thread.ready = {RETRY: [due(0, 999), due(1, 1002), due(2, 1005)]}
    assert offsets((await poll(consumer, RETRY))[RETRY]) == [0]
    assert await poll(consumer, RETRY) == {}
    clock.now = 1002.0
    assert offsets((await poll(consumer, RETRY))[RETRY]) == [1]
    clock.now = 1010.0
    assert offsets((await poll(consumer, RETRY))[RETRY]) == [2]
    assert await poll(consumer, RETRY) == {}


async def test_order_is_kept_behind_an_early_record(consumer: Any, clock: Any) -> None:
    consumer._thread.ready = {RETRY: [due(0, 1005), due(1, 1)]}
    assert await poll(consumer, RETRY) == {}
    clock.now = 1006.0
    assert offsets((await poll(consumer, RETRY))[RETRY]) == [0, 1]


async def test_a_partition_with_parked_records_is_not_fetched_again(consumer: Any, clock: Any) -> None:
    consumer._thread.ready = {RETRY: [due(0, 1005)], SOURCE: [due(0, 0, "s")]}
    await poll(consumer, RETRY, SOURCE)
    consumer._thread.asked.clear()
    await poll(consumer, RETRY, SOURCE)
    assert [asked for asked, _ in consumer._thread.asked] == [{SOURCE}]
    consumer._thread.asked.clear()
    await poll(consumer, RETRY)
    assert consumer._thread.asked == [], "an empty set would mean every partition"


async def test_due_records_do_not_wait_for_others(consumer: Any, clock: Any) -> None:
    consumer._thread.ready = {RETRY: [due(0, 1001)]}
    await poll(consumer, RETRY, SOURCE)
    clock.now = 1002.0
    found = await consumer._getmany({RETRY, SOURCE}, 30.0)
    assert offsets(found[RETRY]) == [0]
    assert consumer._thread.asked[-1] == ({SOURCE}, 0.0)


async def test_while_a_stream_has_enough_of_a_partition_the_others_are_not_waited_for_long(consumer: Any) -> None:
    """Nothing ends the wait when the stream has room again, so it must end by itself."""
    await consumer._getmany({SOURCE}, 30.0)
    consumer._buffered_partitions = {PLAYS}
    await consumer._getmany({SOURCE}, 30.0)
    assert [timeout for _, timeout in consumer._thread.asked] == [30.0, transport.FULL_POLL_S]


async def test_while_a_stream_has_enough_of_all_partitions_nothing_is_asked_for(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("processors.runtime.transport.asyncio.sleep", sleep)
    monkeypatch.setattr(GuardedConsumer, "flow_active", True, raising=False)
    consumer._active_partitions, consumer._buffered_partitions = set(), {PLAYS}
    assert await consumer._wait_next_records(30.0) == ({}, set())
    assert (slept, consumer._thread.asked) == ([transport.FULL_POLL_S], [])


async def test_records_of_other_topics_never_wait(consumer: Any, clock: Any) -> None:
    consumer._thread.ready = {SOURCE: [due(0, 5000, "s")]}
    assert offsets((await poll(consumer, SOURCE))[SOURCE]) == [0]


async def test_parked_records_of_a_partition_taken_away_are_not_delivered(consumer: Any, clock: Any) -> None:
    consumer._thread.ready = {RETRY: [due(0, 1001)]}
    await poll(consumer, RETRY)
    clock.now = 1002.0
    assert await poll(consumer, SOURCE) == {}, "not among the active partitions"


async def test_parked_records_hold_no_commit_but_are_never_committed_past(consumer: Any, clock: Any) -> None:
    consumer._thread.ready = {RETRY: [due(0, 1), due(1, 1005)]}
    await poll(consumer, RETRY)
    consumer.done(message(RETRY, 0))
    assert consumer._new_offset(RETRY) == 1


def message(tp: TP, offset: int, generation: int = 1) -> ConsumerMessage:
    return ConsumerMessage(tp.topic, tp.partition, offset, 0.0, 0, [], None, b"", None, tp=tp, generation_id=generation)


async def test_every_record_handed_on_is_tracked(consumer: Any) -> None:
    consumer._thread.ready = {SOURCE: [KafkaRecord("s", offset=3), KafkaRecord("s", offset=4)]}
    await poll(consumer, SOURCE)
    consumer.done(message(SOURCE, 4))
    assert consumer._new_offset(SOURCE) == 3
    consumer.done(message(SOURCE, 3))
    assert consumer._new_offset(SOURCE) == 5


async def test_a_message_of_an_earlier_assignment_finishes_nothing(consumer: Any) -> None:
    consumer._thread.ready = {SOURCE: [KafkaRecord("s", offset=3)]}
    await poll(consumer, SOURCE)
    consumer.done(message(SOURCE, 3, generation=0))
    assert consumer._new_offset(SOURCE) is None


async def test_a_partition_that_is_not_ours_is_left_alone(consumer: Any) -> None:
    consumer.done(message(SOURCE, 3))
    assert consumer._new_offset(SOURCE) is None


async def test_a_batched_topic_comes_as_one_message(consumer: Any) -> None:
    records = [KafkaRecord("p", offset=o) for o in (3, 4, 9)]
    consumer._thread.ready = {PLAYS: records}
    found = (await poll(consumer, PLAYS))[PLAYS]
    assert len(found) == 1
    whole = consumer._to_message(PLAYS, found[0])
    assert isinstance(whole, BatchMessage)
    assert whole.records == records
    assert (whole.tp, whole.offset, whole.generation_id) == (PLAYS, 9, 1)
    assert consumer._new_offset(PLAYS) is None
    consumer.done(whole)
    assert consumer._new_offset(PLAYS) == 10


async def test_only_assigned_partitions_are_asked_for_commits(consumer: Any) -> None:
    consumer._thread.ready = {SOURCE: [KafkaRecord("s")], PLAYS: [KafkaRecord("p")]}
    await poll(consumer, SOURCE, PLAYS)
    assert set(consumer._filter_tps_with_pending_acks()) == {SOURCE, PLAYS}
    assert set(consumer._filter_tps_with_pending_acks({"s"})) == {SOURCE}
    assert set(consumer._filter_tps_with_pending_acks({PLAYS})) == {PLAYS}


def test_read_offsets_drop_nothing() -> None:
    never: Any = transport._NeverRead()
    never[SOURCE] = 5
    never.update({SOURCE: 6})
    assert never[SOURCE] is None


async def test_the_outlook_says_since_when_the_oldest_waits(consumer: Any, clock: Any) -> None:
    """A retry counts from when it was due; one that is parked says when it will be."""
    consumer._thread.ready = {
        SOURCE: [KafkaRecord("t", offset=4, timestamp=990_000), KafkaRecord("t", offset=5, timestamp=991_000)],
        RETRY: [due(0, 995), due(1, 1002)],
    }
    await poll(consumer, SOURCE, RETRY)
    outlook = consumer.outlook()
    assert (outlook[SOURCE].oldest_at, outlook[SOURCE].due_at) == (990.0, None)
    assert (outlook[RETRY].oldest_at, outlook[RETRY].due_at) == (995.0, 1002.0)
    consumer._trackers[SOURCE].done(4)
    consumer._trackers[RETRY].done(0)
    outlook = consumer.outlook()
    assert outlook[SOURCE].oldest_at == 991.0
    assert outlook[RETRY].waits(clock.now)
