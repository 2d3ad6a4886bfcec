"""Puts dead letters away for good.

Kafka takes records away only from the beginning of a partition. So a purged letter is noted as such, which hides it and
refuses its replay at once, and each partition is cut at its oldest letter that was not purged.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from processors.runtime.kafka import client_config
from processors.runtime.processor import Capability
from processors.runtime.publisher import Sender
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Kafka
from processors.runtime.topic_scan import read_topic
from processors.tools.dlq import audit as audit_log
from processors.tools.dlq import reading
from processors.tools.dlq.audit import Audit, Run
from processors.tools.dlq.letters import DeadLetter, Place, dead_letter
from processors.tools.dlq.selection import Selection
from schemas.codec import Codec
from schemas.errors import UnavailableError
from schemas.topics import LETTER_HANDLED

CHUNK = 500
TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Purged:
    """What a purge did.

    Attributes:
        hidden: Letters noted as purged by this run.
        gone: Letters that the broker holds no longer since this run, those purged earlier included.
        kept: Purged letters that lie behind one that was not purged, until retention takes them.
    """

    hidden: int
    gone: int
    kept: int


def plan(
    kafka: Kafka, registry: SchemaRegistry, capabilities: Sequence[Capability], selection: Selection
) -> list[DeadLetter]:
    """Letters of a selection that were not purged yet, oldest first.

    Raises:
        SelectionInvalidError: the selection names what is not there.
        UnavailableError: broker or registry does not answer.
    """
    audit = audit_log.read(kafka, registry)
    found = reading.scan(kafka, selection, capabilities, wanted=lambda letter: audit.state(letter) != "purged")
    return found[: selection.limit]


async def run(
    kafka: Kafka,
    registry: SchemaRegistry,
    sender: Sender,
    codec: Codec,
    letters: Sequence[DeadLetter],
    *,
    by: str,
    reason: str,
) -> Purged:
    """Note letters as purged, then cut their topics.

    Args:
        kafka: The broker.
        registry: The schema registry.
        sender: Publishes bytes and waits for the ack.
        codec: Encodes the audit records.
        letters: What ``plan`` has chosen.
        by: Who does this, for the audit record.
        reason: Why; may be empty.

    Raises:
        UnavailableError: the broker did not answer; a later run goes on where this one ended.
    """
    this = Run(str(uuid.uuid4()), by, reason, len(letters))
    for first in range(0, len(letters), CHUNK):
        records = [this.handled(each, "purged", 1, datetime.now(UTC)) for each in letters[first : first + CHUNK]]
        await asyncio.gather(
            *[sender.send(LETTER_HANDLED.name, each.place.encode(), codec.encode(each)) for each in records]
        )
    audit = await asyncio.to_thread(audit_log.read, kafka, registry)
    gone, kept = await asyncio.to_thread(_cut_all, kafka, audit)
    return Purged(len(letters), gone, kept)


def _cut_all(kafka: Kafka, audit: Audit) -> tuple[int, int]:
    """Cut every topic with purged letters, so that a run that was killed is made whole; letters gone, letters kept."""
    purged = {place.topic for place in map(Place.parse, audit.by_place) if audit.is_purged(place)}
    counts = [_cut(kafka, audit, topic) for topic in sorted(purged & set(reading.dead_letter_topics(kafka)))]
    return sum(gone for gone, _ in counts), sum(kept for _, kept in counts)


def _cut(kafka: Kafka, audit: Audit, topic: str) -> tuple[int, int]:
    """Take away the purged letters at the beginning of each partition; how many are gone, how many lie further back."""
    gone: list[Place] = []
    kept: list[Place] = []
    alive: set[int] = set()

    def look(message: Message) -> None:
        place = dead_letter(message).place
        if not audit.is_purged(place):
            alive.add(place.partition)
        elif place.partition in alive:
            kept.append(place)
        else:
            gone.append(place)

    read_topic(kafka, topic, look)
    # in order of offset, so the last of each partition stays
    last = {place.partition: place.offset for place in gone}
    _delete_before(kafka, [Place(topic, partition, offset + 1) for partition, offset in last.items()])
    return len(gone), len(kept)


def _delete_before(kafka: Kafka, places: Sequence[Place]) -> None:
    if not places:
        return
    admin = AdminClient(client_config(kafka))
    wanted = [TopicPartition(place.topic, place.partition, place.offset) for place in places]
    try:
        for future in admin.delete_records(wanted, request_timeout=TIMEOUT_S).values():
            future.result()
    except KafkaException as error:
        raise UnavailableError(f"broker {kafka.bootstrap} did not cut {places}: {error}") from error
