"""Everything the running system has written or answered, as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from features import milvus_versions
from features.contents import milvus_contents, redis_contents
from processors.runtime.settings import Kafka
from processors.runtime.topic_scan import consumer_of, records, spans


def topics(kafka: Kafka) -> Iterator[tuple[str, bytes]]:
    """Key, value and headers of every record of every topic, those of Kafka itself included."""
    with consumer_of(kafka) as reader:
        every = sorted(reader.list_topics(timeout=30).topics)
        for record in records(reader, spans(reader, every)):
            headers = b"\n".join(value or b"" for _, value in record.headers() or [])
            yield record.topic(), b"\n".join([record.key() or b"", record.value() or b"", headers])


def stores(system: Any) -> list[tuple[str, bytes]]:
    """Redis and Milvus."""

    async def look() -> list[tuple[str, bytes]]:
        wiring = system.wiring
        recommender = milvus_versions.recommender_collections(wiring.milvus_config)
        both = (
            redis_contents(wiring.redis, wiring.redis_config.address),
            milvus_contents(wiring.vector_index, recommender),
        )
        found = [each for store in both async for each in store]
        await wiring.redis.aclose()
        return found

    return asyncio.run(look())


def files(folder: Path, but: set[Path]) -> Iterator[tuple[str, bytes]]:
    """Objects, logs and whatever else lies in the system's folder."""
    for path in folder.rglob("*"):
        if path.is_file() and path not in but:
            yield str(path), path.read_bytes()
