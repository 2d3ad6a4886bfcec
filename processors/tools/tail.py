"""Shows the end of a topic, decoded."""

from __future__ import annotations

import dataclasses
import time
import uuid
from datetime import UTC, datetime
from typing import Any, cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from rich.console import Console

from processors.runtime.kafka import reader_config
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from schemas import topics
from schemas.codec import Codec, UnknownSchemaError
from schemas.errors import AppError, BadEventError, UnavailableError
from schemas.record import Record

TIMEOUT_S = 10.0
LONGEST_LIST = 6


def show(settings: Settings, name: str, count: int, *, follow: bool, console: Console) -> None:
    """Print the last ``count`` records of a topic in order of time, then wait for more if asked to.

    Raises:
        UnavailableError: the broker has no such topic or does not answer.
    """
    registry = SchemaRegistry(settings.registry.url)
    codec = Codec()
    reader = Consumer(reader_config(settings.kafka, f"tail-{uuid.uuid4()}"))
    try:
        ends = _assign_last(reader, name, count)
        newest = sorted(_read_to(reader, ends), key=lambda m: m.timestamp()[1])[-count:]
        for message in newest:
            console.print(_line(message, codec, registry), soft_wrap=True, highlight=True)
        while follow:
            for message in reader.consume(100, timeout=0.5):
                if message.error() is None:
                    console.print(_line(message, codec, registry), soft_wrap=True, highlight=True)
    except KafkaException as error:
        raise UnavailableError(f"topic {name} cannot be read: {error}", code="broker-unavailable") from error
    finally:
        reader.close()
        registry.close()


def _assign_last(reader: Consumer, name: str, count: int) -> dict[int, int]:
    found = reader.list_topics(name, timeout=TIMEOUT_S).topics[name]
    if found.error is not None:
        raise UnavailableError(f"topic {name}: {found.error}", code="topic-missing")
    ends: dict[int, int] = {}
    places = []
    for partition in found.partitions:
        low, high = reader.get_watermark_offsets(TopicPartition(name, partition), timeout=TIMEOUT_S)
        places.append(TopicPartition(name, partition, max(low, high - count)))
        if high > low:
            ends[partition] = high
    reader.assign(places)
    return ends


def _read_to(reader: Consumer, ends: dict[int, int]) -> list[Message]:
    read: list[Message] = []
    waiting = dict(ends)
    deadline = time.monotonic() + TIMEOUT_S
    while waiting and time.monotonic() < deadline:
        for message in reader.consume(1000, timeout=0.5):
            if message.error() is not None:
                continue
            read.append(message)
            if (message.offset() or 0) + 1 >= waiting.get(message.partition() or 0, 0):
                waiting.pop(message.partition() or 0, None)
    return read


def _line(message: Message, codec: Codec, registry: SchemaRegistry) -> str:
    at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    key = (message.key() or b"").decode(errors="replace")
    told_headers = cast(list[tuple[str, bytes]], message.headers() or [])
    headers = {name: value.decode(errors="replace") for name, value in told_headers}
    try:
        value = _shown(_decoded(message, codec, registry))
    except AppError as error:
        value = f"{error.code}: {error}"
    told = f" {headers}" if headers else ""
    return f"{at} {message.partition()}/{message.offset()} {key} {value}{told}"


def _decoded(message: Message, codec: Codec, registry: SchemaRegistry) -> Record | None:
    topic = topics.BY_NAME.get(message.topic() or "")
    data = message.value()
    if topic is None:
        raise BadEventError(f"{len(data or b'')} bytes, not in the catalogue", code="topic-unknown")
    if data is None:
        return None
    try:
        return codec.decode(data, topic.record)
    except UnknownSchemaError as unknown:
        codec.learn(unknown.schema_id, registry.fetch(unknown.schema_id))
        return codec.decode(data, topic.record)


def _shown(record: Any) -> str:
    """Fields on one line; long vectors are cut."""
    if record is None:
        return "tombstone"
    parts = []
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, tuple) and len(value) > LONGEST_LIST:
            value = f"[{len(value)} values]"
        if isinstance(value, datetime):
            value = value.isoformat(timespec="milliseconds")
        parts.append(f"{field.name}={value}")
    return " ".join(parts)
