"""Reads a whole topic once, from its beginning to what its end was at the start, without a group's commits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from processors.runtime.kafka import reader_config
from processors.runtime.settings import Kafka
from schemas.errors import UnavailableError

TIMEOUT_S = 20.0
STILL_S = 60.0
BATCH = 10_000


@contextmanager
def consumer_of(kafka: Kafka, group: str = "") -> Iterator[Consumer]:
    """A consumer that joins no group; its failures become ``UnavailableError``.

    Args:
        kafka: The broker.
        group: Group whose commits are to be read; empty for none.
    """
    reader = Consumer(reader_config(kafka, group or f"verify-{uuid.uuid4()}") | {"enable.partition.eof": True})
    try:
        yield reader
    except KafkaException as error:
        raise UnavailableError(f"broker {kafka.bootstrap}: {error}", code="broker-unavailable") from error
    finally:
        reader.close()


def partitions_of(reader: Consumer, topic: str) -> list[int]:
    """Numbers of a topic's partitions.

    Raises:
        UnavailableError: there is no such topic.
    """
    found = reader.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
    if found.error is not None or not found.partitions:
        raise UnavailableError(f"topic {topic}: {found.error or 'no partitions'}", code="topic-missing")
    return sorted(found.partitions)


def read_topic(kafka: Kafka, topic: str, take: Callable[[Message], None]) -> bool:
    """Give every record to ``take``, in order within a partition; whether the beginning is still there.

    Raises:
        UnavailableError: the topic is missing, or the broker does not answer.
    """
    whole = True
    with consumer_of(kafka) as reader:
        ends: dict[int, int] = {}
        for number in partitions_of(reader, topic):
            low, high = reader.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT_S)
            whole = whole and low == 0
            if high > low:
                ends[number] = high
        if ends:
            reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends])
            _read_to(reader, topic, ends, take)
    return whole


def _read_to(reader: Consumer, topic: str, ends: dict[int, int], take: Callable[[Message], None]) -> None:
    moved = time.monotonic()
    while ends:
        messages = reader.consume(BATCH, timeout=0.1)
        if messages:
            moved = time.monotonic()
        elif time.monotonic() - moved > STILL_S:
            raise UnavailableError(f"topic {topic} stands still before its end", code="broker-unavailable")
        for message in messages:
            number, offset = message.partition() or 0, message.offset() or 0
            error = message.error()
            if error is None:
                if offset < ends.get(number, 0):
                    take(message)
                offset += 1
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if offset >= ends.get(number, offset + 1):
                del ends[number]
