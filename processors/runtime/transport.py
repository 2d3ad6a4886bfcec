"""The guarded transport: Faust's consumer without its ways to lose events.

Stock faust-streaming 0.15.3 commits past events that were never worked on: with ``concurrency`` above 1, when an
event is skipped in a rebalance, when an agent raises. Here an offset is committed only when ``done`` was
called for it and for everything fetched before it; ``ack`` by Faust itself counts for nothing. What a
rebalance or a seek drops stays outstanding, so the worst case is a duplicate or a commit that waits, never a hole.

Two more things happen between Kafka and the stream:

* topics marked as batched arrive as one message for each partition and poll, carrying all its records
  (18 times the rate of stock Faust, measured);
* records of a retry topic are parked here until they are due, so that no agent sleeps on them.

Guarded by kill tests on a real broker (``tests/integration/processors/runtime``); uses private hooks of
Faust, therefore the exact pin.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, cast

import faust
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import NoError, RebalanceInProgressError
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from processors.runtime.lease import Lease, now
from processors.runtime.letters import NOT_BEFORE_HEADER, number
from processors.runtime.progress import Outlook, Place

KNOWN_BY = (SyncGroupRequest, HeartbeatRequest)
KNOWN = (NoError.errno, RebalanceInProgressError.errno)
FULL_POLL_S = 0.02
"""How long to wait for other partitions while some are left out because the stream has enough of them. Nothing wakes
that wait when the stream has room again: with Faust's own second of it the gaps between batches of a backlog were
five to seven times as long (measured)."""

GATHER_S = 2.0
"""Seconds in which replaceable values are collected. While a backlog is worked off, many of them stand for the same
thing: worked on as they come, they cost a third of the time (measured)."""


class BatchMessage(ConsumerMessage):
    """All records of one partition and poll; ``offset`` is that of the last one.

    Attributes:
        records: aiokafka ConsumerRecords in order of offset.
    """

    __slots__ = ("records",)

    records: list[Any]


class OffsetTracker:
    """Which offset of one partition may be committed."""

    def __init__(self) -> None:
        self._outstanding: dict[int, tuple[int, int]] = {}
        self._next: int | None = None

    def fetched(self, first: int, last: int, at_ms: int = -1) -> None:
        """A message covering ``first``..``last`` was handed on; after a seek it may take the place of others.

        Args:
            first: Its first offset.
            last: Its last offset.
            at_ms: Since when the first record waits for its work, milliseconds since the epoch; -1: not known.
        """
        covered = [end for end in self._outstanding if first <= end <= last]
        self._outstanding[last] = min([(first, at_ms), *(self._outstanding.pop(end) for end in covered)])

    def done(self, offset: int) -> None:
        """The message that ends at ``offset`` is finished, effects included."""
        self._outstanding.pop(offset, None)
        self._next = max(self._next or 0, offset + 1)

    def committable(self) -> int | None:
        """Offset to commit: of the oldest unfinished record, else the one after the last finished."""
        if self._next is None:
            return None
        oldest, _ = min(self._outstanding.values(), default=(self._next, -1))
        return min(oldest, self._next)

    def oldest_at(self) -> float | None:
        """Since when the oldest record fetched and unfinished waits, seconds since the epoch; None: there is none."""
        _, at_ms = min(self._outstanding.values(), default=(0, -1))
        return at_ms / 1000.0 if at_ms >= 0 else None


class _NeverRead(dict[TP, int | None]):
    """Stands in for Faust's read offsets, whose check drops records that a seek made it read again."""

    def __getitem__(self, _tp: TP) -> None:
        return None

    def __setitem__(self, _tp: TP, _offset: int | None) -> None:
        return None

    def update(self, *_args: Any, **_kwargs: Any) -> None:
        return None


class GuardedConsumerThread(driver.AIOKafkaConsumerThread):
    """Assigns by range, so that one partition number of all topics lands on one worker.

    Stateful capabilities need it: their state lies in the partition of the same number.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._partition_assignment_strategy = (RangePartitionAssignor,)
        return consumer

    async def on_start(self) -> None:
        """Let each answer of the coordinator that knows us as a member renew the lease."""
        await super().on_start()
        coordinator = self._consumer._coordinator  # type: ignore[union-attr]
        send, lease = coordinator._send_req, cast(GuardedApp, self.consumer.app).lease

        async def renewing(request: Any) -> Any:
            asked_at = now()
            answer = await send(request)
            if isinstance(request, KNOWN_BY) and answer.error_code in KNOWN:
                lease.renew(asked_at)
            return answer

        coordinator._send_req = renewing


class GuardedConsumer(driver.Consumer):
    """See the module's docstring."""

    app: GuardedApp

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NeverRead()
        self._trackers: dict[TP, OffsetTracker] = {}
        self._parked: dict[TP, list[Any]] = {}
        self._handed_at: dict[TP, float] = {}

    def _new_consumer_thread(self) -> GuardedConsumerThread:
        return GuardedConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def done(self, message: ConsumerMessage) -> None:
        """Allow the offset of ``message`` to be committed.

        Ignored for a message of an earlier assignment: its partition starts again from the last commit.
        """
        if message.generation_id != self.app.consumer_generation_id:
            return
        tracker = self._trackers.get(message.tp)
        if tracker is not None:
            tracker.done(message.offset)

    def outlook(self) -> dict[Place, Outlook]:
        """What is known of each partition that is ours."""
        return {
            Place(*tp): Outlook(
                tracker.oldest_at(), not_before(parked[0]) if (parked := self._parked.get(tp)) else None
            )
            for tp, tracker in self._trackers.items()
        }

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._trackers.pop(tp, None)
            self._parked.pop(tp, None)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._trackers = {tp: OffsetTracker() for tp in assigned}
        self._parked.clear()
        self._committed_offset.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        self._parked.clear()
        await super().perform_seek()

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        if self.flow_active and self._buffered_partitions and not self._get_active_partitions():
            await asyncio.sleep(FULL_POLL_S)
            return {}, set()
        return await super()._wait_next_records(timeout)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, Any]:  # noqa: ASYNC109 - Faust's signature
        at = time.time()
        active = active_partitions or set()
        parked = active & self._parked.keys()
        records = {tp: due for tp in parked if (due := self._unpark(tp, at))}
        # aiokafka takes an empty set for "all", so it is not asked when everything is parked
        wanted = active - parked - self._gathering(active, time.monotonic())
        if records:
            timeout = 0.0
        elif self._buffered_partitions:
            timeout = min(timeout, FULL_POLL_S)
        if wanted:
            fetched = await super()._getmany(wanted, timeout)
            for tp, batch in fetched.items():
                self._handed_at[tp] = time.monotonic()
                records[tp] = records.get(tp, []) + self._park_early(tp, batch)
        elif not records:
            await asyncio.sleep(min(timeout, 0.2))
        return {tp: self._track(tp, batch) for tp, batch in records.items() if batch}

    def _gathering(self, active: set[TP], at: float) -> set[TP]:
        """Partitions whose records still wait for more of their kind; aiokafka holds what is fetched meanwhile."""
        gathered = self.app.gathered_topics
        return {tp for tp in active if tp.topic in gathered and at < self._handed_at.get(tp, float("-inf")) + GATHER_S}

    def _unpark(self, tp: TP, now: float) -> list[Any]:
        parked = self._parked[tp]
        early = next((i for i, r in enumerate(parked) if not_before(r) > now), len(parked))
        due, rest = parked[:early], parked[early:]
        if rest:
            self._parked[tp] = rest
        else:
            del self._parked[tp]
        return due

    def _park_early(self, tp: TP, batch: list[Any]) -> list[Any]:
        if tp.topic not in self.app.retry_topics:
            return batch
        now = time.time()
        for index, record in enumerate(batch):
            if not_before(record) > now:
                self._parked[tp] = batch[index:]
                return batch[:index]
        return batch

    def _track(self, tp: TP, batch: list[Any]) -> list[Any]:
        tracker = self._trackers.setdefault(tp, OffsetTracker())
        if tp.topic in self.app.batched_topics:
            tracker.fetched(batch[0].offset, batch[-1].offset, batch[0].timestamp)
            return [batch]
        retry = tp.topic in self.app.retry_topics
        for record in batch:
            due_ms = int(not_before(record) * 1000) if retry else 0
            tracker.fetched(record.offset, record.offset, max(record.timestamp, due_ms))
        return batch

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, list):
            return super()._to_message(tp, record)
        last = record[-1]
        message = BatchMessage(
            last.topic,
            last.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            [],
            None,
            b"",
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        message.records = record
        return message

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._trackers) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        tracker = self._trackers.get(tp)
        return tracker.committable() if tracker else None


def not_before(record: Any) -> float:
    """Time before which a retried record must not be worked on, seconds since the epoch."""
    found = next((number(value) for name, value in record.headers if name == NOT_BEFORE_HEADER), None)
    return 0.0 if found is None else found / 1000.0


class GuardedTransport(driver.Transport):
    Consumer: ClassVar[type[Any]] = GuardedConsumer


class GuardedApp(faust.App):
    """A Faust app on the guarded transport.

    Attributes:
        batched_topics: Names of topics delivered as one message for each partition and poll.
        gathered_topics: Names of those among them of which a partition is delivered every ``GATHER_S`` at most.
        retry_topics: Names of topics whose records wait until they are due.
        lease: How long this worker may take its partitions for its own.
    """

    def __init__(
        self,
        *args: Any,
        lease: Lease,
        batched_topics: Iterable[str] = (),
        gathered_topics: Iterable[str] = (),
        retry_topics: Iterable[str] = (),
        **kwargs: Any,
    ) -> None:
        self.lease = lease
        self.batched_topics = frozenset(batched_topics)
        self.gathered_topics = frozenset(gathered_topics)
        self.retry_topics = frozenset(retry_topics)
        super().__init__(*args, **kwargs)

    def _new_transport(self) -> GuardedTransport:
        return GuardedTransport(self.conf.broker_consumer, self)
