"""Whether the system is at rest: no consumer group behind, no retry waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from processors.catalogue import CAPABILITIES
from processors.runtime.processor import Capability
from processors.runtime.settings import Kafka
from processors.runtime.topic_scan import TIMEOUT_S, Place, Span, consumer_of, spans
from schemas.errors import UnavailableError

POLL_S = 1.0
LOOKS = 2
"""Looks in a row that must find nothing: between two capabilities an event is in neither one's input."""


@dataclass(frozen=True)
class Lag:
    """A group that is behind in a topic.

    Attributes:
        group: Consumer group.
        topic: Topic it reads.
        records: Records not committed yet.
    """

    group: str
    topic: str
    records: int


def concerned(capabilities: tuple[Capability, ...] = CAPABILITIES) -> tuple[Capability, ...]:
    """Capabilities that uploads pass through; plays and profiles may go on."""
    return tuple(c for c in capabilities if any(topic.key != "user id" for topic in c.consumes))


def lags(kafka: Kafka) -> list[Lag]:
    """Groups that are behind, retries that wait included.

    Raises:
        UnavailableError: the broker does not answer, or a topic is missing.
    """
    held: dict[str, dict[Place, Span]] = {}
    found = []
    for capability in concerned():
        with consumer_of(kafka, capability.group) as reader:
            for name in [t.name for t in capability.consumes] + [name for name, _ in capability.retry_topics]:
                if name not in held:
                    held[name] = spans(reader, [name])
                behind = _behind(reader, held[name])
                if behind:
                    found.append(Lag(capability.group, name, behind))
    return found


def wait_for_rest(kafka: Kafka, limit_s: float, look: Callable[[Kafka], list[Lag]] = lags) -> list[Lag]:
    """Look until two looks in a row find nothing or the time is over; what still moves.

    A broker that does not answer while there is time is waited for.

    Raises:
        UnavailableError: it does not answer at the end either.
    """
    deadline, quiet = time.monotonic() + limit_s, 0
    while True:
        try:
            moving = look(kafka)
        except UnavailableError:
            if time.monotonic() >= deadline:
                raise
            quiet = 0
        else:
            quiet = 0 if moving else quiet + 1
            if quiet == LOOKS or (moving and time.monotonic() >= deadline):
                return moving
        time.sleep(POLL_S)


def _behind(reader: Consumer, held: Mapping[Place, Span]) -> int:
    places = [TopicPartition(*place) for place, (first, end) in held.items() if first < end]
    records = 0
    for place in reader.committed(places, timeout=TIMEOUT_S) if places else ():
        if place.error is not None:
            raise KafkaException(place.error)
        first, end = held[place.topic, place.partition]
        records += max(0, end - max(place.offset, first))
    return records
