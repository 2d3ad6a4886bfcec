"""The newest record of each key of a compacted topic, read on when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from processors.runtime.settings import Kafka
from processors.runtime.topic_scan import Place, broker_errors, new_reader, records, spans
from processors.serving.decoding import Decoder
from processors.tools.rebuild.groups import Places
from schemas.errors import BadEventError
from schemas.record import Record
from schemas.topics import Topic

R = TypeVar("R", bound=Record)


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
        self._kafka = kafka
        self._topic = topic
        self._record = record
        self._decoder = decoder
        self._order = order
        self._values: dict[str, bytes] = {}
        self._orders: dict[str, Any] = {}
        self._next: dict[Place, int] = {}
        self._last: dict[str, tuple[Place, int]] = {}
        self._reader = new_reader(kafka)
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
        return {key for key, (place, offset) in self._last.items() if offset >= places.get(place, 0)}

    def advance(self) -> set[str]:
        """Read from where the last call ended to the end of now; keys whose newest record changed.

        A record that does not decode is left out and noted in ``unreadable``.

        Raises:
            UnavailableError: broker or registry does not answer, or the topic is missing.
        """
        changed: set[str] = set()
        with broker_errors(self._kafka):
            found = spans(self._reader, [self._topic.name])
            unread = {place: (max(first, self._next.get(place, 0)), end) for place, (first, end) in found.items()}
            for message in records(self._reader, unread):
                key = (message.key() or b"").decode(errors="replace")
                self._last[key] = (self._topic.name, message.partition() or 0), message.offset() or 0
                self._keep(key, message.value(), changed)
            self._next = {place: end for place, (_, end) in unread.items()}
        return changed

    def close(self) -> None:
        """Hang up."""
        self._reader.close()

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
