"""State of a capability, recovered from its compacted topic.

A Faust table loses events when its worker is killed and over-counts (ADR 0003). Here
the state topic *is* the state: a value counts once the broker has acknowledged it, and a worker that is given a
partition reads that partition of the state topic to its end before it works on the first event.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar, cast

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from processors.runtime.kafka import reader_config
from processors.runtime.settings import Kafka
from schemas.codec import Codec, UnknownSchemaError
from schemas.errors import BadEventError, UnavailableError
from schemas.record import Record
from schemas.topics import Topic

S = TypeVar("S", bound=Record)
LOAD_TIMEOUT_S = 120.0
POLL_S = 0.1
log = structlog.get_logger(__name__)


class PartitionState(Generic[S]):
    """Newest value by key of one partition; values are kept encoded, a tenth of their size as objects."""

    def __init__(self, decode: Callable[[bytes], S]) -> None:
        self._values: dict[str, bytes] = {}
        self._decode = decode

    def get(self, key: str) -> S | None:
        value = self._values.get(key)
        if value is None:
            return None
        try:
            return self._decode(value)
        except BadEventError as error:
            log.warning("state is unreadable and counts as absent", key=key, code=error.code, error=str(error))
            return None

    def items(self) -> Iterator[tuple[str, S]]:
        """Key and newest value of everything that is held and can be read; not to be changed meanwhile."""
        for key in self._values:
            value = self.get(key)
            if value is not None:
                yield key, value

    def put(self, key: str, value: bytes | None) -> None:
        """Remember an acknowledged value; None forgets the key."""
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value

    def __len__(self) -> int:
        return len(self._values)


class CompactedState(Generic[S]):
    """Partitions of one state topic, loaded when first needed."""

    def __init__(self, kafka: Kafka, topic: Topic, codec: Codec, fetch_schema: Callable[[int], str]) -> None:
        self._kafka = kafka
        self._topic = topic
        self._codec = codec
        self._fetch_schema = fetch_schema
        self._epoch = 0
        self._partitions: dict[int, PartitionState[S]] = {}
        self._locks: dict[int, asyncio.Lock] = {}

    async def partition(self, number: int) -> PartitionState[S]:
        """State of a partition, read from the topic on first use.

        Raises:
            UnavailableError: the topic could not be read to its end.
        """
        async with self._locks.setdefault(number, asyncio.Lock()):
            while (state := self._partitions.get(number)) is None:
                epoch = self._epoch
                loaded = await asyncio.to_thread(self._load, number)
                if epoch == self._epoch:
                    self._partitions[number] = loaded
            return state

    def forget(self, keep: Collection[int] = ()) -> None:
        """Drop all partitions but ``keep``, those being loaded too: another worker may have written them since."""
        self._epoch += 1
        self._partitions = {number: state for number, state in self._partitions.items() if number in keep}

    def decode(self, value: bytes) -> S:
        """Record of a value; asks the registry for a schema that is new to us."""
        try:
            return cast(S, self._codec.decode(value, self._topic.record))
        except UnknownSchemaError as unknown:
            self._codec.learn(unknown.schema_id, self._fetch_schema(unknown.schema_id))
            return cast(S, self._codec.decode(value, self._topic.record))

    def _load(self, number: int) -> PartitionState[S]:
        state: PartitionState[S] = PartitionState(self.decode)
        reader = Consumer(reader_config(self._kafka, f"state-{uuid.uuid4()}"))
        place = TopicPartition(self._topic.name, number, 0)
        try:
            low, high = reader.get_watermark_offsets(place, timeout=LOAD_TIMEOUT_S)
            if high > low:
                reader.assign([TopicPartition(self._topic.name, number, low)])
                self._read(reader, place, high, state)
        except KafkaException as error:
            raise UnavailableError(
                f"state topic {self._topic.name} cannot be read: {error}", code="broker-unavailable"
            ) from error
        finally:
            reader.close()
        log.info("state loaded", topic=self._topic.name, partition=number, keys=len(state))
        return state

    def _read(self, reader: Consumer, place: TopicPartition, high: int, state: PartitionState[S]) -> None:
        """Until the position reaches the end; compaction may have removed the last record itself."""
        idle_s = 0.0
        while reader.position([place])[0].offset < high:
            # it waits that long whenever the batch does not fill, so also for the last records
            messages = reader.consume(10_000, timeout=POLL_S)
            idle_s = 0.0 if messages else idle_s + POLL_S
            if idle_s >= LOAD_TIMEOUT_S:
                raise UnavailableError(
                    f"state topic {place.topic}-{place.partition} stands still before offset {high}",
                    code="broker-unavailable",
                )
            for message in messages:
                error = message.error()
                if error is not None:
                    raise KafkaException(error)
                try:
                    state.put((message.key() or b"").decode(), message.value())
                except UnicodeDecodeError:
                    log.warning("state has a key that is none of ours", topic=place.topic, offset=message.offset())
