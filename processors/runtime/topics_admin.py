"""Topics and schemas on the broker and in the registry, made from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from processors.runtime.kafka import client_config
from processors.runtime.processor import Capability
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Kafka
from schemas import topics
from schemas.errors import UnavailableError

TIMEOUT_S = 20.0
LETTER_BYTES = 2 * 1024**2
"""Largest record of retry and dead-letter topics: an event of the usual limit (1 MiB) and its headers."""
RETRY_RETENTION = timedelta(days=7)
COMPACTED_WITHIN = timedelta(days=7)
DEAD_LETTER_RETENTION = timedelta(days=28)


@dataclass(frozen=True)
class WantedTopic:
    """A topic as it should be.

    Attributes:
        name: Topic name.
        partitions: Number of partitions.
        config: Topic configuration that we set.
    """

    name: str
    partitions: int
    config: dict[str, str]


def wanted(capabilities: Iterable[Capability], min_insync: int) -> list[WantedTopic]:
    """Every topic of the catalogue, and each capability's retry, dead-letter and versioned state topics."""
    common = {"min.insync.replicas": str(min_insync)}
    found = [WantedTopic(t.name, t.partitions, common | _config(t)) for t in topics.ALL]
    for capability in capabilities:
        if (state := capability.state) is not None and state not in topics.ALL:
            found.append(WantedTopic(state.name, state.partitions, common | _config(state)))
        partitions = max(t.partitions for t in capability.consumes)
        larger = common | {"max.message.bytes": str(LETTER_BYTES)}
        retry = larger | {"retention.ms": _ms(RETRY_RETENTION)}
        found += [WantedTopic(name, partitions, retry) for name, _ in capability.retry_topics]
        dead = larger | {"retention.ms": _ms(DEAD_LETTER_RETENTION)}
        found.append(WantedTopic(capability.dead_letter_topic, 1, dead))
    return found


def apply(kafka: Kafka, registry: SchemaRegistry, capabilities: Iterable[Capability]) -> list[str]:
    """Create missing topics, register schemas; names of the topics created. Applying again changes nothing.

    Raises:
        UnavailableError: broker or registry does not answer.
        IncompatibleSchemaError: the registry refuses a contract.
    """
    admin = AdminClient(client_config(kafka))
    present = _existing(admin, kafka)
    missing = [w for w in wanted(capabilities, kafka.min_insync) if w.name not in present]
    if missing:
        new = [NewTopic(w.name, w.partitions, kafka.replication, config=w.config) for w in missing]
        for name, future in admin.create_topics(new, request_timeout=TIMEOUT_S).items():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise UnavailableError(f"topic {name} cannot be created: {error}") from error
    for topic in topics.ALL:
        registry.register(topic)
    return [w.name for w in missing]


def check(kafka: Kafka, registry: SchemaRegistry, capabilities: Iterable[Capability]) -> list[str]:
    """What differs from the catalogue, one sentence each; empty when all is right."""
    present = _existing(AdminClient(client_config(kafka)), kafka)
    problems = []
    for topic in wanted(capabilities, kafka.min_insync):
        partitions = present.get(topic.name)
        if partitions is None:
            problems.append(f"topic {topic.name} is missing")
        elif partitions != topic.partitions:
            problems.append(f"topic {topic.name} has {partitions} partitions, not {topic.partitions}")
    problems += [f"the contract of {t.subject} is not registered" for t in topics.ALL if registry.lookup(t) is None]
    return problems


def _existing(admin: AdminClient, kafka: Kafka) -> dict[str, int]:
    try:
        metadata = admin.list_topics(timeout=TIMEOUT_S)
    except KafkaException as error:
        raise UnavailableError(f"broker {kafka.bootstrap} does not answer: {error}") from error
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def _config(topic: topics.Topic) -> dict[str, str]:
    config = {"cleanup.policy": "compact" if topic.compacted else "delete"}
    if topic.compacted:
        config["delete.retention.ms"] = _ms(timedelta(days=7))
        config["segment.ms"] = _ms(timedelta(days=1))
        # else a superseded value of a quiet key may lie there for ever, an erased user's too
        config["max.compaction.lag.ms"] = _ms(COMPACTED_WITHIN)
    config["retention.ms"] = "-1" if topic.retention is None else _ms(topic.retention)
    return config


def _ms(duration: timedelta) -> str:
    return str(int(duration.total_seconds() * 1000))
