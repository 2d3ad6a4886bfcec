"""Who may do what at the broker: access rules derived from the declarations, never written by hand.

Each capability logs in as a user of its own, named as its consumer group. It may read what it consumes, write what it
produces, and join its own group; nothing else. The HTTP service may write what clients send and read what it follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from processors.runtime.kafka import client_config
from processors.runtime.processor import Capability
from processors.runtime.settings import Kafka
from schemas import topics
from schemas.errors import UnavailableError

SERVICE_USER = "overture-http"
SERVICE_WRITES = (
    *topics.UPLOADS,
    topics.AVATAR_CHANGED,
    topics.PROFILE_CHANGED,
    topics.ITEM_INTERACTED,
    topics.SONG_PLAYED,
    topics.LIST_SERVED,
    topics.MEDIA_WITHDRAWN,
    topics.REVIEW_ACTED,
)
SERVICE_READS = (
    topics.ITEM_CHANGED,
    topics.ITEM_INDEXED,
    topics.SONG_COUNTED,
    topics.PLAY_AGGREGATED,
    topics.EXPOSURES_COUNTED,
    topics.MEDIA_STATUS,
    topics.DEAD_LETTERED,
    topics.LETTER_HANDLED,
    topics.MODEL_PUBLISHED,
    topics.EXPERIMENT_MEASURED,
    topics.REVIEW_CASE,
)
STATE_READERS = "state-"
FOLLOWERS = "overture-follower-"
TIMEOUT_S = 20.0
Verb = Literal["READ", "WRITE", "DESCRIBE"]


@dataclass(frozen=True, order=True)
class Rule:
    """One permission.

    Attributes:
        user: Who.
        verb: What; the broker lets readers and writers describe as well.
        kind: Topic or consumer group.
        name: Which.
        prefixed: Whether ``name`` is the beginning of the names meant.
    """

    user: str
    verb: Verb
    kind: Literal["TOPIC", "GROUP"]
    name: str
    prefixed: bool = False


def rules_of(capability: Capability) -> list[Rule]:
    """What one capability needs, sorted."""
    user = user_of(capability)
    retries = [name for name, _ in capability.retry_topics]
    read = {t.name for t in (*capability.consumes, *capability.follows)} | set(retries)
    failures = {capability.dead_letter_topic, topics.MEDIA_REJECTED.name, topics.DEAD_LETTERED.name}
    write = {t.name for t in capability.produces} | set(retries) | failures
    rules = [Rule(user, "READ", "GROUP", capability.group)]
    if capability.state is not None:
        read.add(capability.state.name)
    if capability.state is not None or capability.follows:
        rules.append(Rule(user, "READ", "GROUP", STATE_READERS, prefixed=True))
    rules += [Rule(user, "READ", "TOPIC", name) for name in read]
    rules += [Rule(user, "WRITE", "TOPIC", name) for name in write]
    return sorted(rules)


def rules_of_service() -> list[Rule]:
    """What the HTTP service needs, sorted; its page shows the lag of all groups."""
    return sorted(
        [
            Rule(SERVICE_USER, "READ", "GROUP", FOLLOWERS, prefixed=True),
            Rule(SERVICE_USER, "DESCRIBE", "GROUP", "*"),
            Rule(SERVICE_USER, "DESCRIBE", "TOPIC", "*"),
            *(Rule(SERVICE_USER, "WRITE", "TOPIC", t.name) for t in SERVICE_WRITES),
            *(Rule(SERVICE_USER, "READ", "TOPIC", t.name) for t in SERVICE_READS),
        ]
    )


def user_of(capability: Capability) -> str:
    """Broker user of a capability."""
    return f"overture-{capability.group}"


def apply(kafka: Kafka, rules: Iterable[Rule]) -> int:
    """Create the rules at the broker; how many there are. Applying again changes nothing.

    Raises:
        UnavailableError: the broker does not answer, has no authorizer, or we may not change its rules.
    """
    bindings = [_binding(rule) for rule in rules]
    admin = AdminClient(client_config(kafka))
    try:
        for future in admin.create_acls(bindings, request_timeout=TIMEOUT_S).values():
            future.result()
    except KafkaException as error:
        raise UnavailableError(f"broker {kafka.bootstrap} did not take access rules: {error}") from error
    return len(bindings)


def _binding(rule: Rule) -> AclBinding:
    return AclBinding(
        ResourceType[rule.kind],
        rule.name,
        ResourcePatternType.PREFIXED if rule.prefixed else ResourcePatternType.LITERAL,
        f"User:{rule.user}",
        "*",
        AclOperation[rule.verb],
        AclPermissionType.ALLOW,
    )
