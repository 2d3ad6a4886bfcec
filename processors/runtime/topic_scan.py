"""Reads topics to what their ends are when it begins, outside any consumer group."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from processors.runtime.kafka import reader_config
from processors.runtime.settings import Kafka
from schemas.errors import UnavailableError

TIMEOUT_S = 20.0
"""Longest wait for an answer about topics, seconds."""
STILL_S = 60.0
"""Longest wait for the next record, seconds."""
BATCH = 10_000

Place = tuple[str, int]
"""Topic and partition."""
Span = tuple[int, int]
"""First offset and the one after the last."""


def new_reader(kafka: Kafka, group: str = "") -> Consumer:
    """A consumer that joins no group and is told of the ends of partitions.

    Args:
        kafka: The broker.
        group: Group whose commits are to be read; empty for none.
    """
    return Consumer(reader_config(kafka, group or f"scan-{uuid.uuid4()}") | {"enable.partition.eof": True})


@contextmanager
def broker_errors(kafka: Kafka) -> Iterator[None]:
    """Failures of a reader become ``UnavailableError``."""
    try:
        yield
    except KafkaException as error:
        raise UnavailableError(f"broker {kafka.bootstrap}: {error}", code="broker-unavailable") from error


@contextmanager
def consumer_of(kafka: Kafka, group: str = "") -> Iterator[Consumer]:
    """``new_reader`` for a while, with ``broker_errors``."""
    reader = new_reader(kafka, group)
    try:
        with broker_errors(kafka):
            yield reader
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


def spans(reader: Consumer, topics: Sequence[str]) -> dict[Place, Span]:
    """What every partition of the topics holds now.

    Raises:
        UnavailableError: a topic is missing.
    """
    return {
        (topic, number): reader.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT_S)
        for topic in topics
        for number in partitions_of(reader, topic)
    }


def records(reader: Consumer, wanted: Mapping[Place, Span]) -> Iterator[Message]:
    """Every record of the spans, in order within a partition; the reader's assignment is replaced.

    Raises:
        UnavailableError: the broker stands still before the end.
    """
    ends = {place: end for place, (first, end) in wanted.items() if first < end}
    if not ends:
        return
    reader.assign([TopicPartition(*place, wanted[place][0]) for place in ends])
    moved = time.monotonic()
    while ends:
        messages = reader.consume(BATCH, timeout=0.1)
        if messages:
            moved = time.monotonic()
        elif time.monotonic() - moved > STILL_S:
            raise UnavailableError(
                f"the broker stands still before the end of {sorted(ends)}", code="broker-unavailable"
            )
        for message in messages:
            place, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
            error = message.error()
            if error is None:
                if offset < ends.get(place, 0):
                    yield message
                offset += 1
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            # compaction may have removed the last record itself: the end of the partition tells as well
            if offset >= ends.get(place, offset + 1):
                del ends[place]


def read_to_end(kafka: Kafka, topics: Sequence[str]) -> Iterator[Message]:
    """Every record that the topics hold now, in order within a partition.

    Raises:
        UnavailableError: a topic is missing, or the broker does not answer.
    """
    with consumer_of(kafka) as reader:
        yield from records(reader, spans(reader, topics))


def read_topic(kafka: Kafka, topic: str, take: Callable[[Message], None]) -> bool:
    """Give every record to ``take``, in order within a partition; whether the beginning is still there.

    Raises:
        UnavailableError: the topic is missing, or the broker does not answer.
    """
    with consumer_of(kafka) as reader:
        found = spans(reader, [topic])
        for message in records(reader, found):
            take(message)
    return all(first == 0 for first, _ in found.values())
