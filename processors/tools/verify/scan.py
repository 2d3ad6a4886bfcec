"""What the topics say of every upload."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import fastavro
from confluent_kafka import Message

from processors.catalogue import CAPABILITIES
from processors.runtime.letters import number
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from processors.runtime.topic_scan import read_topic
from schemas.codec import HEADER, Codec, UnknownSchemaError
from schemas.errors import AppError, BadEventError
from schemas.item import ItemChanged, ItemIndexed
from schemas.media import MediaStatus
from schemas.pipeline import DeadLettered
from schemas.record import Record
from schemas.topics import DEAD_LETTERED, ITEM_CHANGED, ITEM_INDEXED, MEDIA_STATUS, Topic

R = TypeVar("R", bound=Record)
ERASED = "deleted"
"""State that a tombstone of the status topic stands for."""


@dataclass
class History:
    """One key of the status topic.

    Attributes:
        states: States in order of offset, repeats of the same left out. Compaction may have removed some.
        falls: (earlier, later) where the sequence number went back.
        newest: Value of the newest record; None: a tombstone, or decoded.
    """

    states: list[str] = field(default_factory=list)
    falls: list[tuple[int, int]] = field(default_factory=list)
    newest: bytes | None = None
    _seq: int = 0

    def add(self, state: str, seq: int, value: bytes | None) -> None:
        """Take the next record."""
        if not self.states or self.states[-1] != state:
            self.states.append(state)
        if value is not None and seq < self._seq:
            self.falls.append((self._seq, seq))
        self._seq, self.newest = seq, value


@dataclass
class Scan:
    """All topics, read once.

    Attributes:
        histories: Status topic by media id.
        changes: Newest catalogue change by item id, encoded; None: a tombstone.
        indexed: Newest index record by item id, encoded; None: a tombstone.
        notices: Every announcement of a dead letter.
        letters: Places ``topic/partition/offset`` of origin found in the dead-letter topic of each capability.
        letters_whole: Capabilities whose dead-letter topic still has its beginning.
    """

    histories: dict[str, History] = field(default_factory=dict)
    changes: dict[str, bytes | None] = field(default_factory=dict)
    indexed: dict[str, bytes | None] = field(default_factory=dict)
    notices: list[DeadLettered] = field(default_factory=list)
    letters: dict[str, set[str]] = field(default_factory=dict)
    letters_whole: set[str] = field(default_factory=set)


class Reader:
    """Decodes with the writers' schemas; unknown ones are asked of the registry."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._fetch = registry.fetch
        self._codec = Codec()
        self._heads: dict[int, Any] = {}

    def record(self, value: bytes, kind: type[R]) -> R:
        """The whole record."""
        try:
            return self._codec.decode(value, kind)
        except UnknownSchemaError as unknown:
            self._codec.learn(unknown.schema_id, self._fetch(unknown.schema_id))
            return self._codec.decode(value, kind)

    def head(self, value: bytes) -> tuple[str, int]:
        """State and sequence number of a status.

        Avro writes fields one after the other, so a schema cut after the last of them reads no further: a twentieth
        of the time of the whole (measured), and every record of the topic is read.

        Raises:
            BadEventError: it is no status.
        """
        try:
            _, schema_id = HEADER.unpack_from(value)
            if schema_id not in self._heads:
                self._heads[schema_id] = _cut(json.loads(self._fetch(schema_id)), {"state", "seq"})
            body = io.BytesIO(value)
            body.seek(HEADER.size)
            plain = cast(dict[str, Any], fastavro.schemaless_reader(body, self._heads[schema_id], None))
            return str(plain["state"]), int(plain["seq"])
        except AppError:
            raise
        # as in the codec: fastavro reports broken bodies with whatever it ran into
        except Exception as error:
            raise BadEventError(f"no status: {type(error).__name__}: {error}", code="value-undecodable") from error


def _cut(schema: dict[str, Any], wanted: set[str]) -> Any:
    last = max(i for i, each in enumerate(schema["fields"]) if each["name"] in wanted)
    return fastavro.parse_schema(schema | {"fields": schema["fields"][: last + 1]}, named_schemas={})


def scan(settings: Settings, reader: Reader) -> Scan:
    """Read the status, catalogue, index and dead-letter topics to their ends.

    Raises:
        UnavailableError: broker or registry does not answer, or a topic is missing.
        BadEventError: a status cannot be decoded.
    """
    found = Scan()

    def status(message: Message) -> None:
        value = message.value()
        state, seq = (ERASED, 0) if value is None else reader.head(value)
        found.histories.setdefault(_key(message), History()).add(state, seq, value)

    def newest(into: dict[str, bytes | None]) -> Callable[[Message], None]:
        return lambda message: into.__setitem__(_key(message), message.value())

    def read(topic: Topic, take: Callable[[Message], None]) -> None:
        read_topic(settings.kafka, topic.name, take)

    read(MEDIA_STATUS, status)
    read(ITEM_CHANGED, newest(found.changes))
    read(ITEM_INDEXED, newest(found.indexed))
    read(DEAD_LETTERED, lambda message: found.notices.append(reader.record(message.value() or b"", DeadLettered)))
    for capability in CAPABILITIES:
        places: set[str] = set()
        take = _place_into(places)
        if read_topic(settings.kafka, capability.dead_letter_topic, take):
            found.letters_whole.add(capability.name)
        found.letters[capability.name] = places
    return found


def decoded(
    found: Scan, reader: Reader, ids: Iterable[str]
) -> tuple[dict[str, MediaStatus], dict[str, ItemChanged], dict[str, ItemIndexed]]:
    """Newest status, catalogue change and index record of ``ids``; tombstones and absent ones are left out.

    Their bytes are taken out of ``found`` and their vectors are not kept: of 100,000 uploads those were some GB.
    """
    statuses, changes, indexed = {}, {}, {}
    for each in ids:
        history = found.histories.get(each)
        if history is not None and history.newest is not None:
            statuses[each] = replace(reader.record(history.newest, MediaStatus), vector=())
            history.newest = None
        if (change := found.changes.pop(each, None)) is not None:
            changes[each] = replace(reader.record(change, ItemChanged), vector=())
        if (told := found.indexed.pop(each, None)) is not None:
            indexed[each] = reader.record(told, ItemIndexed)
    return statuses, changes, indexed


def _key(message: Message) -> str:
    return (message.key() or b"").decode(errors="replace")


def _place_into(places: set[str]) -> Callable[[Message], None]:
    def take(message: Message) -> None:
        told = cast(list[tuple[str, bytes]], message.headers() or [])
        headers = dict(told)
        topic = headers.get("x-origin-topic", b"").decode(errors="replace")
        partition, offset = number(headers.get("x-origin-partition")), number(headers.get("x-origin-offset"))
        places.add(f"{topic}/{partition}/{offset}")

    return take
