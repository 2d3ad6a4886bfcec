"""What the stores and the service still hold of a user; after an erasure it must be nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import httpx

from features import milvus_versions
from features.contents import (
    gallery_contents,
    milvus_contents,
    object_contents,
    redis_contents,
    unfinished_uploads,
)
from features.views import VIEWS
from processors.runtime.wiring import Wiring
from processors.tools.erase.needles import Needle, found_in
from schemas.errors import UnavailableError

TIMEOUT_S = 30.0
MOST_MEDIA = 200
"""Uploads of which the service is asked one by one."""


@dataclass(frozen=True)
class Trace:
    """A place in a store that holds something looked for."""

    store: str
    place: str
    texts: frozenset[str]


@dataclass(frozen=True)
class StoreScan:
    """What a scan found.

    Attributes:
        read: Store -> values looked at.
        traces: Places that hold something looked for.
        unread: What could not be looked at, one sentence each.
    """

    read: dict[str, int]
    traces: tuple[Trace, ...]
    unread: tuple[str, ...]


async def scan_stores(wiring: Wiring, needles: Sequence[Needle], user: str, media: frozenset[str]) -> StoreScan:
    """Look through object store, Redis and Milvus whole, and ask the HTTP service for all it tells of the user.

    Raises:
        UnavailableError: a store does not answer.
    """
    read: dict[str, int] = {}
    traces: list[Trace] = []
    recommender = await asyncio.to_thread(milvus_versions.recommender_collections, wiring.milvus_config)
    stores = {
        "objects": object_contents(wiring.objects),
        "redis": redis_contents(wiring.redis, wiring.redis_config.address),
        "milvus": milvus_contents(wiring.vector_index, recommender),
        "gallery": gallery_contents(wiring.milvus_config),
    }
    for store, contents in stores.items():
        read[store], found = await _scan(store, contents, needles)
        traces += found
    unread = []
    if count := await unfinished_uploads(wiring.objects):
        unread.append(
            f"{count} unfinished uploads of unknown users; left-over ones go with the first erasure in an hour"
        )
    try:
        read["service"], found = await _scan("service", _answers(wiring, user, media), needles)
        traces += found
    except UnavailableError as error:
        unread.append(str(error))
    return StoreScan(read, tuple(traces), tuple(unread))


async def _scan(
    store: str, contents: AsyncIterator[tuple[str, bytes]], needles: Sequence[Needle]
) -> tuple[int, list[Trace]]:
    count, traces = 0, []
    async for place, data in contents:
        count += 1
        if texts := found_in(needles, data):
            traces.append(Trace(store, place, frozenset(texts)))
    return count, traces


async def _answers(wiring: Wiring, user: str, media: frozenset[str]) -> AsyncIterator[tuple[str, bytes]]:
    """Path and body of every answer that could tell of the user; what echoes the question is left out."""
    settings = wiring.settings
    key = settings.auth.client_key
    base = f"http://{settings.http.host}:{settings.http.port}"
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    paths = [f"/v1/media/{media_id}" for media_id in sorted(media)[:MOST_MEDIA]]
    paths += [f"/v1/features/item_content_v1/{media_id}" for media_id in sorted(media)[:MOST_MEDIA]]
    paths += ["/v1/recommendations?user=erasure-scan&limit=200", "/v1/operations/items"]
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=TIMEOUT_S) as client:
        for path in paths:
            yield path, await _body(client, path)
        of_user = [f"/v1/features/{view.name}/{user}" for view in VIEWS.values() if view.entity == "user"]
        for path in (*of_user, f"/v1/avatars/{user}"):
            answer = await _body(client, path)
            # 404 names what was asked for
            yield path, b"" if b"urn:overture:problem" in answer else answer


async def _body(client: httpx.AsyncClient, path: str) -> bytes:
    try:
        answer = await client.get(path)
    except httpx.TransportError as error:
        raise UnavailableError(f"the service at {client.base_url} does not answer, so it was not asked") from error
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise UnavailableError("the service refuses OVERTURE_AUTH__CLIENT_KEY, so it was not asked")
    return answer.content
