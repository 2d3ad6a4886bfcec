"""What happens to one event: decode, work, publish, or be retried or given up. No Faust here.

Nothing escapes ``handle`` but cancellation, and it returns only when the event's effects are durable: its
results, its retry or its dead letter are acknowledged by the broker.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar, runtime_checkable

import stamina
import structlog

from features.ports import AttemptLog
from processors.runtime import metrics, tracing
from processors.runtime.columns import BatchDecoder
from processors.runtime.failures import Failures, now_ms
from processors.runtime.lease import Lease
from processors.runtime.letters import TRACEPARENT, Headers, Letter
from processors.runtime.processor import Capability, Emit, Received
from processors.runtime.progress import Progress
from processors.runtime.publisher import Outgoing, Sender
from processors.runtime.quarantine import Quarantine
from processors.runtime.state import CompactedState
from schemas.codec import Codec, UnknownSchemaError
from schemas.errors import BadEventError, BugError, UnavailableError
from schemas.record import Record
from schemas.topics import BY_NAME, Topic

FUTURE = timedelta(days=1)
EVER = datetime.min.replace(tzinfo=UTC)
SEND_AT_ONCE = 5_000
"""Most records between two looks at the lease; states of heavy users are some 30 KB, and all of it must be acknowledged
within the delivery timeout."""
INSIST_MAX_WAIT_S = 10.0
T = TypeVar("T")
log = structlog.get_logger(__name__)


@runtime_checkable
class Warmable(Protocol):
    """Something that is slow at its first use."""

    async def warm(self) -> None: ...


class Runner:
    """Works on the events of one capability.

    Attributes:
        progress: What it is doing.
        lease: Asked before state is written; None: nobody else can own the partitions.
    """

    def __init__(
        self,
        capability: Capability,
        *,
        sender: Sender,
        codec: Codec,
        fetch_schema: Callable[[int], str],
        attempts: AttemptLog,
        needs: dict[str, Any],
        state: CompactedState[Any] | None = None,
        max_deliveries: int = 2,
        quarantine: Quarantine | None = None,
    ) -> None:
        """
        Args:
            capability: Declaration and handler.
            sender: Publishes bytes and waits for the ack.
            codec: Record <-> bytes; learns new writer schemas through ``fetch_schema``.
            fetch_schema: Text of a schema by registry id (blocking).
            attempts: Counts starts, so that an event that kills the process is given up.
            needs: The handler's keyword arguments by name.
            state: Loader of the state topic, for stateful capabilities.
            max_deliveries: Starts without an end after which an event is given up.
            quarantine: Shared by all runners of the process; None: this is the only one.
        """
        self.capability = capability
        self.progress = Progress(capability.group.replace("-", "_"), capability.group)
        self._sender = sender
        self._codec = codec
        self._decoder = BatchDecoder(codec)
        self._fetch_schema = fetch_schema
        self._attempts = attempts
        self._state = state
        self._max_deliveries = max_deliveries
        self._quarantine = quarantine or Quarantine()
        self._failures = Failures(capability, sender, codec, self._insist)
        self.lease: Lease | None = None
        accepted = inspect.signature(capability.handler).parameters
        self._needs = {name: value for name, value in needs.items() if name in accepted}
        self._wants_place = "received" in accepted

    def forget_state(self, keep: Collection[int] = ()) -> None:
        """Load the state of all partitions but ``keep`` anew before their next event: others may have written it."""
        if self._state is not None:
            self._state.forget(keep)

    async def warm(self) -> None:
        """Let what the handler needs get ready now, so that the first event does not wait for it."""
        for need in self._needs.values():
            if isinstance(need, Warmable):
                await need.warm()

    def _letter(self, message: Any) -> Letter:
        """Only retry topics carry a story that we wrote; on others such headers are somebody's claim."""
        retried = message.topic in {name for name, _ in self.capability.retry_topics}
        return Letter.of(message, now_ms(), retried=retried)

    async def handle(self, message: Any) -> None:
        """Work on one Kafka record to its end."""
        letter = self._letter(message)
        with (
            structlog.contextvars.bound_contextvars(
                capability=self.capability.name, event=letter.place, key=letter.key_text
            ),
            tracing.work_on(self.capability.name, letter.place, letter.traceparent) as traceparent,
        ):
            letter = replace(letter, carried=((TRACEPARENT, traceparent.encode()),))
            started = time.perf_counter()
            outcome = await self._beside_others(letter)
            if outcome is None:
                async with self._quarantine.alone():
                    outcome = await self._to_its_end(letter, await self._begin(letter.place))
            tracing.note("overture.outcome", outcome)
            self._observe(letter.topic, outcome, started)

    async def _beside_others(self, letter: Letter) -> str | None:
        """Work on an event that is begun for the first time; None: it may have killed a process and must wait."""
        async with self._quarantine.among_others():
            starts = await self._begin(letter.place)
            if starts > 1:
                # not counted while it only waits: another suspect may kill the process meanwhile
                await self._abandon(letter.place)
                return None
            return await self._to_its_end(letter, starts)

    async def _begin(self, place: str) -> int:
        return await self._insist(lambda: self._attempts.begin(self.capability.group, place))

    async def _to_its_end(self, letter: Letter, starts: int) -> str:
        try:
            outcome = await self._outcome(letter, starts)
        except asyncio.CancelledError:
            await self._abandon(letter.place)
            raise
        await self._insist(lambda: self._attempts.finish(self.capability.group, letter.place))
        return outcome

    async def _outcome(self, letter: Letter, starts: int) -> str:
        """Work on an event, or see to its failure; what became of it."""
        record: Record | None = None
        try:
            self._refuse_crash_loop(starts)
            record = await self._decode(letter)
            event = Received(record, letter.topic, letter.partition, letter.offset)
            await self._apply([event] if self.capability.batch else event, letter, lambda _key: letter.carried)
            self._observe_stage(record)
        # the one place that takes everything: whatever a capability raises, the event is not lost
        except Exception as error:  # noqa: BLE001
            return await self._failures.settle(letter, record, error)
        return "done"

    async def handle_batch(self, records: Sequence[Any]) -> None:
        """Work on all records of one partition and poll to their end, in one call of the handler."""
        async with self._quarantine.among_others():
            await self._handle_batch(records)

    async def _handle_batch(self, records: Sequence[Any]) -> None:
        first = self._letter(records[0])
        with structlog.contextvars.bound_contextvars(
            capability=self.capability.name, event=first.place, records=len(records)
        ):
            started = time.perf_counter()
            # a key of its own: going one by one afterwards, the first record's starts are counted apart
            place = first.place if len(records) == 1 else f"{first.place}/batch"
            starts = await self._insist(lambda: self._attempts.begin(self.capability.group, place))
            try:
                await self._batch(records, starts, started)
            except asyncio.CancelledError:
                await self._abandon(place)
                raise
            await self._insist(lambda: self._attempts.finish(self.capability.group, place))

    async def _batch(self, records: Sequence[Any], starts: int, started: float) -> None:
        if starts > self._max_deliveries and len(records) > 1:
            log.error("batch never ended, going through it one by one", starts=starts)
            await self._one_by_one(records)
            return
        topic = BY_NAME.get(records[0].topic)
        found = self._decode_together(records, topic)
        for index, record in enumerate(found):
            if record is None:
                found[index] = await self._decode_alone(records[index], topic, starts, started)
        good = [
            (raw, Received(record, raw.topic, raw.partition, raw.offset))
            for raw, record in zip(records, found, strict=True)
            if record is not None
        ]
        if good:
            await self._batch_work(good, started)

    def _decode_together(self, records: Sequence[Any], topic: Topic | None) -> list[Record | None]:
        """What is plainly good; None where the record must be looked at by itself."""
        if topic is None or len(records) == 1:
            return [None] * len(records)
        found = self._decoder.decode([raw.value for raw in records], topic.record)
        latest = datetime.now(UTC) + FUTURE
        return [record if getattr(record, "occurred_at", EVER) <= latest else None for record in found]

    async def _decode_alone(self, raw: Any, topic: Topic | None, starts: int, started: float) -> Record | None:
        """One record of a batch; None if it was given up."""
        try:
            self._refuse_crash_loop(starts)
            try:
                record = self._codec.decode(raw.value, _known(topic, raw.topic).record)
                _refuse_impossible_time(record, datetime.now(UTC) + FUTURE)
            except UnknownSchemaError:
                record = await self._insist_decode(self._letter(raw))
        # as in ``handle``: whatever it is, this record is given up and its neighbours go on
        except Exception as error:  # noqa: BLE001
            await self._failures.give_up(self._letter(raw).failed(), self._failures.count(error))
            self._observe(raw.topic, "dead-lettered", started)
            return None
        return record

    async def _abandon(self, place: str) -> None:
        """A stop or a handover is no crash: the next worker begins with the starts of before."""
        try:
            await self._attempts.abandon(self.capability.group, place)
        except UnavailableError as error:
            log.warning("a start stays counted", event=place, error=str(error))

    async def _one_by_one(self, records: Sequence[Any]) -> None:
        for record in records:
            await self._handle_batch([record])

    async def _batch_work(self, good: list[tuple[Any, Received[Any]]], started: float) -> None:
        """A store that is away blocks the partition: order and the offset watermark allow nothing else."""
        letter = self._letter(good[0][0])
        try:
            traced = [one for raw, _ in good if raw.headers and (one := self._letter(raw)).carried]
            with tracing.batch(self.capability.name, [one.traceparent or "" for one in traced]):
                await self._insist(lambda: self._apply([r for _, r in good], letter, _traces_of(traced)))
        # as in ``handle``: a single record that fails is given up, several are tried one by one
        except Exception as error:  # noqa: BLE001
            if len(good) > 1:
                log.warning("batch failed, trying its events one by one", error=str(error))
                for single in good:
                    await self._batch_work([single], started)
                return
            await self._failures.give_up(letter.failed(), self._failures.count(error))
            self._observe(letter.topic, "dead-lettered", started)
            return
        self._observe(letter.topic, "done", started, len(good))
        self._observe_stage(good[0][1].record)

    def _refuse_crash_loop(self, starts: int) -> None:
        if starts > self._max_deliveries:
            raise BadEventError(
                f"work was started {starts - 1} times and never ended: the process died of it", code="crash-loop"
            )

    async def _decode(self, letter: Letter) -> Record:
        expected = _known(BY_NAME.get(letter.topic), letter.topic).record
        try:
            record = self._codec.decode(letter.value, expected)
        except UnknownSchemaError as unknown:
            schema = await asyncio.to_thread(self._fetch_schema, unknown.schema_id)
            self._codec.learn(unknown.schema_id, schema)
            record = self._codec.decode(letter.value, expected)
        _refuse_impossible_time(record, datetime.now(UTC) + FUTURE)
        return record

    async def _insist_decode(self, letter: Letter) -> Record:
        return await self._insist(lambda: self._decode(letter))

    async def _apply(self, event: Any, letter: Letter, trace_of: Callable[[str], Headers]) -> None:
        needs = dict(self._needs)
        partition_state = None
        if self._state is not None:
            with self.progress.excuse():
                partition_state = await self._state.partition(letter.partition)
            needs["state"] = partition_state
        if self._wants_place:
            needs["received"] = event
        argument = event if self.capability.batch else event.record
        await self._own()
        emits = list(await self.capability.handler(argument, **needs))
        sent = await self._publish(emits, letter, trace_of)
        if partition_state is not None:
            for emit, value in sent:
                if emit.topic == self.capability.state:
                    partition_state.put(emit.key, value)

    async def _publish(
        self, emits: Iterable[Emit], letter: Letter, trace_of: Callable[[str], Headers]
    ) -> list[tuple[Emit, bytes | None]]:
        """Encode all before sending any, so that a record that does not fit leaves nothing behind."""
        encoded = [(e, None if e.record is None else self._codec.encode(e.record)) for e in emits]
        for emit, _ in encoded:
            if emit.topic not in self.capability.produces:
                raise BugError(f"{self.capability.name} does not declare that it produces {emit.topic.name}")
        for stage in sorted({emit.stage for emit, _ in encoded}):
            outgoing = [
                Outgoing(
                    emit.topic.name,
                    emit.key.encode(),
                    value,
                    [*emit.headers.items(), *trace_of(emit.key)],
                    letter.partition if emit.topic == self.capability.state else emit.partition,
                )
                for emit, value in encoded
                if emit.stage == stage
            ]
            for first in range(0, len(outgoing), SEND_AT_ONCE):
                await self._own()
                await self._sender.send_all(outgoing[first : first + SEND_AT_ONCE])
        for milestone in (emit.milestone for emit, _ in encoded if emit.milestone):
            metrics.UPLOAD_SECONDS.labels(milestone.name).observe(_seconds_since(milestone.since))
        return encoded

    async def _own(self) -> None:
        """Wait until nobody else can be writing the same state."""
        if self._state is not None and self.lease is not None and not self.lease.held:
            with self.progress.excuse():
                await self.lease.wait()

    async def _insist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat a step that nothing can do without until what it needs is back; only a stop ends the wait."""
        async for attempt in stamina.retry_context(
            on=UnavailableError, attempts=None, timeout=None, wait_initial=0.2, wait_max=INSIST_MAX_WAIT_S
        ):
            with attempt:
                try:
                    return await step()
                except UnavailableError as error:
                    self.progress.refused()
                    metrics.REFUSALS.labels(self.capability.name, error.code).inc()
                    raise
        raise AssertionError("stamina retries without end")

    def _observe(self, topic: str, outcome: str, started: float, events: int = 1) -> None:
        """Count events; the time is that of the one call in which they were worked on."""
        metrics.EVENTS.labels(self.capability.name, topic, outcome).inc(events)
        metrics.WORK_SECONDS.labels(self.capability.name).observe(time.perf_counter() - started)

    def _observe_stage(self, record: Record) -> None:
        at = getattr(record, "occurred_at", None)
        if isinstance(at, datetime):
            metrics.STAGE_SECONDS.labels(self.capability.name).observe(_seconds_since(at))


def _known(topic: Topic | None, name: str) -> Topic:
    if topic is None:
        raise BadEventError(f"no topic {name!r} in the catalogue", code="topic-unknown")
    return topic


def _refuse_impossible_time(record: Record, latest: datetime) -> None:
    """Times from far ahead would sort before everything real and overflow where they are added to."""
    at = getattr(record, "occurred_at", None)
    if isinstance(at, datetime) and at > latest:
        raise BadEventError(f"occurred_at {at.isoformat()} lies in the future", code="time-impossible")


def _traces_of(letters: Iterable[Letter]) -> Callable[[str], Headers]:
    """An event made of a batch belongs to the trace of the newest event with its key, if there is one."""
    known = {letter.key_text: letter.carried for letter in letters}
    return lambda key: known.get(key, ())


def _seconds_since(at: datetime) -> float:
    """Never negative: clocks differ between machines."""
    return max(0.0, (datetime.now(UTC) - at).total_seconds())
