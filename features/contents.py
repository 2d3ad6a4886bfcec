"""Everything that the stores hold, as bytes: what a scan for traces looks through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import orjson

from features import face_gallery
from features.milvus_index import MilvusConfig, MilvusIndex
from features.objects.common import TEMPORARY
from features.ports import ObjectStore
from features.redis_client import RedisClient, redis_errors
from features.views import COLLECTIONS


async def object_contents(objects: ObjectStore) -> AsyncIterator[tuple[str, bytes]]:
    """Key and bytes (the key among them) of every object but unfinished uploads."""
    async for each in objects.walk():
        if each.key.startswith(f"{TEMPORARY}/"):
            continue
        try:
            data = await objects.get(each.key)
        except KeyError:
            continue  # removed meanwhile
        yield each.key, each.key.encode() + b"\n" + data


async def unfinished_uploads(objects: ObjectStore) -> int:
    """Uploads that are being written or were left by a crash; whose they are is not known."""
    return len([each async for each in objects.walk(TEMPORARY)])


async def redis_contents(client: RedisClient, address: str) -> AsyncIterator[tuple[str, bytes]]:
    """Key and bytes (the key among them) of every value in Redis, whatever wrote it.

    Raises:
        UnavailableError: Redis does not answer.
    """
    some: Any = client
    with redis_errors(address):
        async for key in some.scan_iter(count=1000):
            kind = await some.type(key)
            match kind:
                case b"string":
                    parts = [await some.get(key) or b""]
                case b"hash":
                    parts = [part for pair in (await some.hgetall(key)).items() for part in pair]
                case b"set":
                    parts = list(await some.smembers(key))
                case b"zset":
                    parts = list(await some.zrange(key, 0, -1))
                case b"list":
                    parts = list(await some.lrange(key, 0, -1))
                case _:
                    # serialised; short texts in it are not compressed
                    parts = [await some.dump(key) or b""]
            yield key.decode(errors="replace"), b"\n".join([key, *parts])


async def milvus_contents(index: MilvusIndex, recommender: Iterable[str] = ()) -> AsyncIterator[tuple[str, bytes]]:
    """Place and JSON of every row's id and scalars, through each alias of the content's collections.

    Args:
        index: Reads them.
        recommender: Names of the recommender's collections, see `features.milvus_versions.recommender_collections`.

    Raises:
        UnavailableError: Milvus does not answer.
    """
    for name in (*COLLECTIONS, *recommender):
        async for rows in index.scan(name):
            for row in rows:
                yield f"{name}/{row.id}", orjson.dumps([row.id, dict(row.scalars)])


async def gallery_contents(config: MilvusConfig) -> AsyncIterator[tuple[str, bytes]]:
    """Place and JSON of every row of every gallery of public figures, unfinished ones too.

    Raises:
        UnavailableError: Milvus does not answer.
    """
    for stored in await asyncio.to_thread(face_gallery.versions, config):
        for row in await asyncio.to_thread(face_gallery.rows_there, config, stored.version):
            yield f"{face_gallery.ALIAS}/{stored.version}/{row.id}", orjson.dumps(row)
