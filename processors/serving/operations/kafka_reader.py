"""Figures asked of a Kafka broker.

By aiokafka, not by confluent-kafka's admin client: a request to a group's coordinator that is open when the broker
dies ends the whole process there (an assertion in librdkafka 2.16, seen at each first kill of a broker).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code

from processors.runtime.aiokafka_login import aiokafka_config
from processors.runtime.settings import Kafka
from processors.serving.operations.broker import Place, Reading
from schemas.errors import UnavailableError

ANSWER_S = 4.0
"""Longest wait for each of the broker's answers."""
UNKNOWN_TOPIC = 3


class KafkaReader:
    """``BrokerReader`` of a Kafka broker.

    Args:
        kafka: Where the broker is.
        topics: Topics of interest; those that do not exist are left out.
        groups: Consumer groups of interest.
    """

    def __init__(self, kafka: Kafka, topics: Sequence[str], groups: Sequence[str]) -> None:
        self._kafka = kafka
        self._topics = list(topics)
        self._groups = list(groups)
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def read(self) -> Reading:
        """See ``BrokerReader``."""
        try:
            async with asyncio.timeout(2 * ANSWER_S):
                if self._admin is None or self._consumer is None:
                    self._admin, self._consumer = await self._connect()
                return await self._read(self._admin, self._consumer)
        except (KafkaError, OSError) as error:
            await self.close()
            raise UnavailableError(f"the broker does not answer: {error!r}", code="broker-unavailable") from error

    async def close(self) -> None:
        """See ``BrokerReader``."""
        admin, self._admin = self._admin, None
        consumer, self._consumer = self._consumer, None
        if admin is not None:
            await admin.close()
        if consumer is not None:
            await consumer.stop()

    async def _connect(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        config = aiokafka_config(self._kafka) | {"request_timeout_ms": int(ANSWER_S * 1000)}
        admin, consumer = AIOKafkaAdminClient(**config), AIOKafkaConsumer(**config)
        async with AsyncExitStack() as begun:
            begun.push_async_callback(admin.close)
            begun.push_async_callback(consumer.stop)
            await admin.start()
            await consumer.start()
            begun.pop_all()
        return admin, consumer

    async def _read(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> Reading:
        places = _partitions(await admin.describe_topics(self._topics))
        begins, ends, commits, groups = await asyncio.gather(
            consumer.beginning_offsets(places),
            consumer.end_offsets(places),
            asyncio.gather(*(admin.list_consumer_group_offsets(group) for group in self._groups)),
            asyncio.gather(*(_group(admin, group) for group in self._groups)),
        )
        return Reading(
            at=time.monotonic(),
            begins=_by_place(begins),
            ends=_by_place(ends),
            committed={
                group: _by_place({place: each.offset for place, each in found.items() if each.offset >= 0})
                for group, found in zip(self._groups, commits, strict=True)
            },
            members={group: len(members) for group, (_, members) in zip(self._groups, groups, strict=True)},
            steady=frozenset(
                group for group, (state, _) in zip(self._groups, groups, strict=True) if "Rebalanc" not in state
            ),
        )


async def _group(admin: AIOKafkaAdminClient, group: str) -> tuple[str, list[Any]]:
    """State and members; one group a request: aiokafka 0.14 misreads all of an answer but its first group."""
    [answer] = await admin.describe_consumer_groups([group])
    code, _, state, _, _, members, *_ = answer.groups[0]
    if code:
        raise for_code(code)(f"group {group}")
    return state, members


def _partitions(topics: Sequence[dict[str, Any]]) -> list[TopicPartition]:
    found = []
    for topic in topics:
        if topic["error_code"] not in (0, UNKNOWN_TOPIC):
            raise for_code(topic["error_code"])(f"topic {topic['topic']}")
        found += [TopicPartition(topic["topic"], each["partition"]) for each in topic["partitions"]]
    return found


def _by_place(offsets: dict[TopicPartition, int]) -> dict[Place, int]:
    return {(place.topic, place.partition): offset for place, offset in offsets.items()}
