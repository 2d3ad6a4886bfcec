"""A user's uploads as the topics know them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from processors.runtime.kafka import reader_config
from processors.runtime.settings import Kafka
from schemas.codec import Codec, UnknownSchemaError
from schemas.errors import BadEventError, UnavailableError
from schemas.media import MediaStatus
from schemas.record import Record
from schemas.topics import BY_NAME, MEDIA_STATUS, UPLOADS
from schemas.upload import UploadCreated

TIMEOUT_S = 60.0
"""Longest wait for the broker's next record, seconds."""
log = structlog.get_logger(__name__)


def read_to_end(kafka: Kafka, topics: tuple[str, ...]) -> Iterator[Message]:
    """Every record that the topics hold now, in no order across partitions.

    Raises:
        UnavailableError: a topic is missing or the broker does not answer.
    """
    reader = Consumer(reader_config(kafka, f"scan-{uuid.uuid4()}"))
    try:
        waiting: dict[tuple[str, int], int] = {}
        places = []
        for topic in topics:
            found = reader.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
            if found.error is not None:
                raise UnavailableError(f"topic {topic}: {found.error}", code="topic-missing")
            for number in found.partitions:
                low, high = reader.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT_S)
                if high > low:
                    places.append(TopicPartition(topic, number, low))
                    waiting[topic, number] = high
        if not places:
            return
        reader.assign(places)
        yield from _until(reader, waiting)
    except KafkaException as error:
        raise UnavailableError(f"topics cannot be read: {error}", code="broker-unavailable") from error
    finally:
        reader.close()


def _until(reader: Consumer, waiting: dict[tuple[str, int], int]) -> Iterator[Message]:
    idle_s = 0.0
    while waiting:
        messages = reader.consume(10_000, timeout=0.5)
        idle_s = 0.0 if messages else idle_s + 0.5
        if idle_s >= TIMEOUT_S:
            raise UnavailableError(f"the broker stands still before the end of {sorted(waiting)}")
        for message in messages:
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            place = message.topic() or "", message.partition() or 0
            if (message.offset() or 0) < waiting.get(place, 0):
                yield message
        # by position: compaction may have removed the last record itself
        for each in reader.position([TopicPartition(*place) for place in waiting]):
            if each.offset >= waiting[each.topic, each.partition]:
                del waiting[each.topic, each.partition]


class KafkaUploadLog:
    """`UploadLog` that reads upload and status topics from end to end, at some 100,000 records a second."""

    def __init__(self, kafka: Kafka, codec: Codec, fetch_schema: Callable[[int], str]) -> None:
        self._kafka = kafka
        self._codec = codec
        self._fetch_schema = fetch_schema

    async def media_of(self, user: str, until: datetime) -> set[str]:
        """Ids of the user's uploads accepted up to ``until``, as far as the topics still hold them.

        Raises:
            UnavailableError: the broker or the registry does not answer.
        """
        return await asyncio.to_thread(self._media_of, user, until)

    def _media_of(self, user: str, until: datetime) -> set[str]:
        found = set()
        for message in read_to_end(self._kafka, (MEDIA_STATUS.name, *(t.name for t in UPLOADS))):
            value = message.value()
            # decoding is the cost: most records are of other users
            if value is None or user.encode() not in value:
                continue
            record = self._decoded(message.topic() or "", value)
            if isinstance(record, UploadCreated):
                at: datetime | None = record.occurred_at
            elif isinstance(record, MediaStatus):
                at = record.accepted_at
            else:
                continue
            if record.uploader == user and at is not None and at <= until:
                found.add(record.media_id)
        return found

    def _decoded(self, topic: str, value: bytes) -> Record | None:
        """None for what no version of ours can read: it is a dead letter and in no status."""
        expected = BY_NAME[topic].record
        try:
            try:
                return self._codec.decode(value, expected)
            except UnknownSchemaError as unknown:
                self._codec.learn(unknown.schema_id, self._fetch_schema(unknown.schema_id))
                return self._codec.decode(value, expected)
        except BadEventError as error:
            log.warning("record skipped", topic=topic, code=error.code, error=str(error))
            return None
