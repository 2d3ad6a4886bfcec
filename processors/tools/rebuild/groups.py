"""How far a consumer group is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from processors.runtime.kafka import client_config, reader_config
from processors.runtime.settings import Kafka
from schemas.errors import UnavailableError

TIMEOUT_S = 20.0
POLL_S = 0.5
Places = dict[tuple[str, int], int]
"""Offset by topic and partition."""


@dataclass(frozen=True)
class Group:
    """A consumer group at a moment.

    Attributes:
        name: Its id.
        members: Consumers in it.
        lag: Records that it has not done.
        done: Offset up to which it has done each partition.
    """

    name: str
    members: int
    lag: int
    done: Places


def ends(kafka: Kafka, topics: Sequence[str]) -> Places:
    """End of every partition of topics.

    Raises:
        UnavailableError: the broker does not answer, or a topic is missing.
    """
    reader = Consumer(reader_config(kafka, "overture-ends"))
    try:
        return _ends(reader, topics)
    except KafkaException as error:
        raise UnavailableError(f"broker {kafka.bootstrap}: {error}", code="broker-unavailable") from error
    finally:
        reader.close()


def look(kafka: Kafka, name: str, until: Places) -> Group:
    """The group, with its lag behind ``until``.

    Raises:
        UnavailableError: the broker does not answer.
    """
    reader = Consumer(reader_config(kafka, name))
    try:
        # bound to a name: its answers come only while it lives
        admin = AdminClient(client_config(kafka))
        [described] = admin.describe_consumer_groups([name]).values()
        committed = reader.committed([TopicPartition(t, p) for t, p in until], timeout=TIMEOUT_S)
        done = {(place.topic, place.partition): max(0, place.offset) for place in committed}
        lows = {
            place: reader.get_watermark_offsets(TopicPartition(*place), timeout=TIMEOUT_S)[0]
            for place, end in until.items()
            if done[place] < end
        }
        behind = sum(max(0, until[place] - max(low, done[place])) for place, low in lows.items())
        return Group(name, len(described.result(timeout=TIMEOUT_S).members), behind, done)
    except (KafkaException, TimeoutError) as error:
        raise UnavailableError(
            f"broker {kafka.bootstrap} says nothing of group {name}: {error}", code="broker-unavailable"
        ) from error
    finally:
        reader.close()


async def passed(kafka: Kafka, name: str, topics: Sequence[str], limit_s: float) -> None:
    """Wait until a group has done all that lies in topics now; at once if nobody works for it.

    Raises:
        UnavailableError: it has not within ``limit_s`` seconds, or the broker does not answer.
    """
    until = await asyncio.to_thread(ends, kafka, topics)
    deadline = time.monotonic() + limit_s
    while (group := await asyncio.to_thread(look, kafka, name, until)).members and group.lag:
        if time.monotonic() > deadline:
            raise UnavailableError(f"group {name} is {group.lag} records behind and does not get on", code="group-slow")
        await asyncio.sleep(POLL_S)


def _ends(reader: Consumer, topics: Sequence[str]) -> Places:
    found: Places = {}
    for topic in topics:
        told = reader.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
        if told.error is not None or not told.partitions:
            raise UnavailableError(f"topic {topic}: {told.error or 'no partitions'}", code="topic-missing")
        for number in told.partitions:
            found[topic, number] = reader.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT_S)[1]
    return found
