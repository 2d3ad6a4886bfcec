"""What stands around a capability, in memory: broker, attempt log, state, records of a partition, codec."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from processors.runtime.processor import Emit
from processors.runtime.publisher import Outgoing
from processors.runtime.state import PartitionState
from schemas import contracts, topics
from schemas.codec import Codec
from schemas.errors import AppError
from schemas.record import Record

NOW = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """``NOW`` and so many seconds."""
    return NOW + timedelta(seconds=seconds)


def codec() -> Codec:
    """A codec that can write every record of the catalogue; ids in the order of ``topics.ALL``, from 1."""
    made = Codec()
    for number, contract in enumerate(dict.fromkeys(t.record.CONTRACT for t in topics.ALL), start=1):
        made.assign(contract, number)
    return made


def schema_text(contract: str) -> str:
    return contracts.canonical_json(contract)


@dataclass
class KafkaRecord:
    """A record as the consumer hands it on.

    Attributes:
        topic: Topic it is read from.
        value: Value bytes.
        key: Key bytes.
        partition: Partition.
        offset: Offset.
        headers: Headers, in order.
        timestamp: Milliseconds since the epoch.
        timestamp_type: As aiokafka says it.
    """

    topic: str
    value: bytes | None = b""
    key: bytes | None = b"key"
    partition: int = 0
    offset: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = 0
    timestamp_type: int = 0


@dataclass
class Sent:
    """A record that the broker has acknowledged."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    partition: int | None


@dataclass
class MemorySender:
    """Takes bytes as the publisher does.

    Attributes:
        sent: Acknowledged records in order.
        refuse: Raises instead of acknowledging, when it wants to; called with the topic before each ack.
        log: Names of what happened, shared with other fakes to see the order.
    """

    sent: list[Sent] = field(default_factory=list)
    refuse: Callable[[str], None] = lambda _topic: None
    log: list[str] = field(default_factory=list)

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> tuple[int, int]:
        assert all(isinstance(v, bytes) for _, v in headers)
        self.refuse(topic)
        self.sent.append(Sent(topic, key, value, dict(headers), partition))
        self.log.append(f"sent {topic}")
        return partition or 0, len(self.sent) - 1

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        """All are sent; then the first failure is raised."""
        failures = []
        for record in records:
            try:
                await self.send(*record)
            except AppError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def to(self, topic: str) -> list[Sent]:
        return [s for s in self.sent if s.topic == topic]

    @property
    def topics(self) -> list[str]:
        return [s.topic for s in self.sent]


@dataclass
class MemoryAttempts:
    """``AttemptLog`` that remembers what is still open.

    Attributes:
        starts: (capability, event) -> starts without an end.
        log: Names of what happened, shared with other fakes to see the order.
    """

    starts: dict[tuple[str, str], int] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    async def begin(self, capability: str, event: str) -> int:
        self.starts[capability, event] = self.starts.get((capability, event), 0) + 1
        self.log.append("begin")
        return self.starts[capability, event]

    async def abandon(self, capability: str, event: str) -> None:
        self.starts[capability, event] -= 1

    async def finish(self, capability: str, event: str) -> None:
        self.starts.pop((capability, event), None)
        self.log.append("finish")


class MemoryState:
    """``State`` of one partition without bytes."""

    def __init__(self) -> None:
        self.values: dict[str, Record] = {}

    def get(self, key: str) -> Record | None:
        return self.values.get(key)

    def items(self) -> list[tuple[str, Record]]:
        return list(self.values.items())

    def apply(self, emits: Sequence[Emit], topic: topics.Topic) -> None:
        """What a capability emitted to its state topic has become its state."""
        for emit in emits:
            if emit.topic == topic and emit.record is not None:
                self.values[emit.key] = emit.record
            elif emit.topic == topic:
                self.values.pop(emit.key, None)


class MemoryPartitions:
    """``CompactedState`` whose partitions are empty when first needed.

    Attributes:
        partitions: Number -> state.
        forgotten: How often everything was dropped.
    """

    def __init__(self, decode: Callable[[bytes], Any]) -> None:
        self.partitions: dict[int, PartitionState[Any]] = {}
        self.forgotten = 0
        self._decode = decode

    async def partition(self, number: int) -> PartitionState[Any]:
        return self.partitions.setdefault(number, PartitionState(self._decode))

    def forget(self, keep: Collection[int] = ()) -> None:
        self.forgotten += 1
