"""The newest record of each key of a compacted topic, read on when asked."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processors.runtime.kafka import reader_config
from processors.runtime.settings import Kafka
from processors.serving.decoding import Decoder
from processors.tools.rebuild.groups import Places
from schemas.errors import BadEventError, UnavailableError
from schemas.record import Record
from schemas.topics import Topic

R = TypeVar("R", bound=Record)
TIMEOUT_S = 20.0
STILL_S = 60.0
BATCH = 10_000


class NewestRecords(Generic[R]):
    """A compacted topic as a table; values are kept encoded.

    Args:
        kafka: The broker.
        topic: The topic.
        record: Record of its values.
        decoder: Decodes them.
        order: What the newest of a key has most of; None: the place in the topic decides.
    """

    def __init__(
        self,
        kafka: Kafka,
        topic: Topic,
        record: type[R],
        decoder: Decoder,
        order: Callable[[R], Any] | None = None,
    ) -> None:
        self._topic = topic
        self._record = record
        self._decoder = decoder
        self._order = order
        self._values: dict[str, bytes] = {}
        self._orders: dict[str, Any] = {}
        self._next: dict[int, int] = {}
        self._last: dict[str, tuple[int, int]] = {}
        self._reader = Consumer(reader_config(kafka, f"rebuild-{uuid.uuid4()}") | {"enable.partition.eof": True})
        self.unreadable: dict[str, str] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def get(self, key: str) -> R | None:
        """Newest record of a key; None after a tombstone or if there never was one."""
        value = self._values.get(key)
        return None if value is None else self._decoder.decode(value, self._record)

    def since(self, places: Places) -> set[str]:
        """Keys with a record at the offset given for its partition, or after it; 0 where none is given."""
        first = {number: offset for (topic, number), offset in places.items() if topic == self._topic.name}
        return {key for key, (number, offset) in self._last.items() if offset >= first.get(number, 0)}

    def advance(self) -> set[str]:
        """Read from where the last call ended to the end of now; keys whose newest record changed.

        A record that does not decode is left out and noted in ``unreadable``.

        Raises:
            UnavailableError: broker or registry does not answer, or the topic is missing.
        """
        changed: set[str] = set()
        with self._errors():
            ends = self._ends()
            self._reader.assign([TopicPartition(self._topic.name, number, self._next[number]) for number in ends])
            moved = time.monotonic()
            while ends:
                messages = self._reader.consume(BATCH, timeout=0.1)
                if messages:
                    moved = time.monotonic()
                elif time.monotonic() - moved > STILL_S:
                    raise UnavailableError(f"topic {self._topic.name} stands still", code="broker-unavailable")
                for message in messages:
                    self._take(message, ends, changed)
        return changed

    def close(self) -> None:
        """Hang up."""
        self._reader.close()

    def _ends(self) -> dict[int, int]:
        """End by partition, of those that have something new."""
        found = self._reader.list_topics(self._topic.name, timeout=TIMEOUT_S).topics[self._topic.name]
        if found.error is not None or not found.partitions:
            raise UnavailableError(f"topic {self._topic.name}: {found.error or 'no partitions'}", code="topic-missing")
        ends = {}
        for number in found.partitions:
            low, high = self._reader.get_watermark_offsets(TopicPartition(self._topic.name, number), timeout=TIMEOUT_S)
            self._next[number] = max(low, self._next.get(number, 0))
            if high > self._next[number]:
                ends[number] = high
        return ends

    def _take(self, message: Message, ends: dict[int, int], changed: set[str]) -> None:
        number, offset = message.partition() or 0, message.offset() or 0
        error = message.error()
        if error is None:
            if offset < ends.get(number, 0):
                key = (message.key() or b"").decode(errors="replace")
                self._last[key] = number, offset
                self._keep(key, message.value(), changed)
            offset += 1
        elif error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        # compaction may have removed the last record itself
        if offset >= ends.get(number, offset + 1):
            self._next[number] = ends.pop(number)

    def _keep(self, key: str, value: bytes | None, changed: set[str]) -> None:
        if value is None:
            self._values.pop(key, None)
            self._orders.pop(key, None)
        elif self._order is not None:
            try:
                order = self._order(self._decoder.decode(value, self._record))
            except BadEventError as error:
                self.unreadable[key] = str(error)
                return
            if key in self._orders and order < self._orders[key]:
                return
            self._orders[key] = order
            self._values[key] = value
        else:
            self._values[key] = value
        changed.add(key)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise UnavailableError(f"topic {self._topic.name}: {error}", code="broker-unavailable") from error
