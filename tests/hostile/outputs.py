"""Everything the running system has written or answered, as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from features.contents import milvus_contents, redis_contents


def topics(bootstrap: str) -> Iterator[tuple[str, bytes]]:
    """Key, value and headers of every record of every topic, those of Kafka itself included."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "hostile-scan", "enable.auto.commit": False})
    try:
        known = consumer.list_topics(timeout=30).topics
        for name, topic in known.items():
            for number in topic.partitions:
                yield from _partition(consumer, TopicPartition(name, number))
    finally:
        consumer.close()


def _partition(consumer: Consumer, partition: TopicPartition) -> Iterator[tuple[str, bytes]]:
    low, high = consumer.get_watermark_offsets(partition, timeout=30)
    if low == high:
        return
    consumer.assign([TopicPartition(partition.topic, partition.partition, low)])
    while consumer.position([partition])[0].offset < high:
        for record in consumer.consume(500, timeout=10):
            assert record.error() is None, record.error()
            headers = b"\n".join(value or b"" for _, value in record.headers() or [])
            yield partition.topic, b"\n".join([record.key() or b"", record.value() or b"", headers])


def stores(system: Any) -> list[tuple[str, bytes]]:
    """Redis and Milvus."""

    async def look() -> list[tuple[str, bytes]]:
        wiring = system.wiring
        both = (redis_contents(wiring.redis, wiring.redis_config.address), milvus_contents(wiring.vector_index))
        found = [each for store in both async for each in store]
        await wiring.redis.aclose()
        return found

    return asyncio.run(look())


def files(folder: Path, but: set[Path]) -> Iterator[tuple[str, bytes]]:
    """Objects, logs and whatever else lies in the system's folder."""
    for path in folder.rglob("*"):
        if path.is_file() and path not in but:
            yield str(path), path.read_bytes()
