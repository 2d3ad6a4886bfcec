"""Reads dead letters from Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from processors.runtime.kafka import client_config
from processors.runtime.processor import Capability
from processors.runtime.settings import Kafka
from processors.runtime.topic_scan import consumer_of, partitions_of, read_topic
from processors.tools.dlq.letters import DeadLetter, Place, dead_letter
from processors.tools.dlq.selection import Selection
from schemas.errors import AppError, UnavailableError
from schemas.topics import dead_letter_name

TIMEOUT_S = 20.0
STILL_S = 60.0
BATCH = 500


class LetterGoneError(AppError):
    """No letter lies at a place any more."""

    code = "letter-gone"
    http_status = 404


@dataclass(frozen=True)
class Stored:
    """A letter with the event's value bytes."""

    letter: DeadLetter
    value: bytes | None


def dead_letter_topics(kafka: Kafka) -> list[str]:
    """Dead-letter topics that the broker has, those of capabilities long gone included.

    Raises:
        UnavailableError: the broker does not answer.
    """
    suffix = dead_letter_name("")
    try:
        found = AdminClient(client_config(kafka)).list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise UnavailableError(f"broker {kafka.bootstrap} does not answer: {error}") from error
    return sorted(name for name in found if name.endswith(suffix) and name != suffix)


def scan(
    kafka: Kafka,
    selection: Selection,
    capabilities: Sequence[Capability],
    wanted: Callable[[DeadLetter], bool] = lambda _: True,
    take: Callable[[Stored], None] = lambda _: None,
) -> list[DeadLetter]:
    """Letters of a selection, oldest first; its limit is left to the caller. Values are not kept.

    Args:
        kafka: The broker.
        selection: Filters.
        capabilities: Those of the catalogue.
        wanted: One more filter.
        take: Called with each letter found and its value.

    Raises:
        SelectionInvalidError: the selection names what is not there.
        UnavailableError: the broker does not answer.
    """
    found: list[DeadLetter] = []

    def look(message: Message) -> None:
        letter = dead_letter(message)
        if selection.matches(letter) and wanted(letter):
            found.append(letter)
            take(Stored(letter, message.value()))

    for topic in selection.topics(capabilities, dead_letter_topics(kafka)):
        read_topic(kafka, topic, look)
    return sorted(found, key=lambda letter: (letter.given_up, letter.place))


def fetch(kafka: Kafka, places: Collection[Place]) -> dict[Place, Stored]:
    """The letters at ``places``; those that are gone are left out.

    Raises:
        UnavailableError: the broker does not answer.
    """
    found: dict[Place, Stored] = {}
    with consumer_of(kafka) as reader:
        for topic, partition in sorted({(p.topic, p.partition) for p in places}):
            if partition not in partitions_of(reader, topic):
                continue
            offsets = {p.offset for p in places if (p.topic, p.partition) == (topic, partition)}
            low, high = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_S)
            there = {offset for offset in offsets if low <= offset < high}
            if not there:
                continue
            reader.assign([TopicPartition(topic, partition, min(there))])
            for message in _up_to(reader, topic, partition, max(there)):
                if message.offset() in there:
                    stored = Stored(dead_letter(message), message.value())
                    found[stored.letter.place] = stored
    return found


def one(kafka: Kafka, text: str) -> Stored:
    """The letter at the place that ``text`` names.

    Raises:
        PlaceInvalidError: it names no place.
        LetterGoneError: no letter lies there.
        UnavailableError: the broker does not answer.
    """
    place = Place.parse(text)
    found = fetch(kafka, [place]) if place.topic in dead_letter_topics(kafka) else {}
    if place not in found:
        raise LetterGoneError(f"no dead letter lies at {place}")
    return found[place]


def _up_to(reader: Consumer, topic: str, partition: int, last: int) -> Iterator[Message]:
    """Records of the partition assigned, up to the offset ``last`` or the end."""
    moved = time.monotonic()
    while True:
        messages = reader.consume(BATCH, timeout=0.1)
        if messages:
            moved = time.monotonic()
        elif time.monotonic() - moved > STILL_S:
            raise UnavailableError(f"topic {topic} stands still before its end", code="broker-unavailable")
        for message in messages:
            error = message.error()
            # what the assignment before this one had asked for may still come
            if (message.topic(), message.partition()) != (topic, partition):
                continue
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return
            if error is not None:
                raise KafkaException(error)
            yield message
            if (message.offset() or 0) >= last:
                return
