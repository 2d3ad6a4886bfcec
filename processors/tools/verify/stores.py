"""What the stores hold and the service answers, asked in bulk."""

from __future__ import annotations

import asyncio
import json
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Literal, Protocol, TypeVar

import httpx
import orjson

from features import milvus_versions
from features.milvus_index import MilvusConfig
from features.milvus_scan import scan
from features.ports import ObjectStore
from features.views import COLLECTIONS, ITEM_CONTENT, RECOMMENDER_ITEMS
from schemas.common import ObjectRef
from schemas.errors import BadEventError, UnavailableError

T = TypeVar("T")
K = TypeVar("K")

Depth = Literal["present", "hash"]
FEATURE_BATCH = 5000
RANK_BATCH = 1000
IN_HAND = 32
"""Objects read at a time."""
SETTLE_S = 15.0
"""How long the service's view may lag behind its topic."""
HEADER_BYTES = struct.Struct("<Q")
LONGEST_HEADER = 1024**2


class FeatureTimes(Protocol):
    """The part of the feature reader that is used."""

    async def read_times(self, view: str, entity_ids: Sequence[str]) -> list[datetime | None]: ...

    def scan_ids(self, view: str) -> AsyncIterator[str]: ...


@dataclass
class Held:
    """What was found.

    Attributes:
        vectors: Collection alias -> item id -> sequence numbers of its rows.
        features: Item id -> event time of its row.
        recallable: Ids that the service can answer with.
        objects: Item id -> what is wrong with its objects.
        modalities: Item id -> names of the vectors in its object; empty where objects were not read.
    """

    vectors: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    features: dict[str, datetime] = field(default_factory=dict)
    recallable: set[str] = field(default_factory=set)
    objects: dict[str, str] = field(default_factory=dict)
    modalities: dict[str, frozenset[str]] = field(default_factory=dict)


def read_vectors(config: MilvusConfig) -> dict[str, dict[str, list[int]]]:
    """Every row that readers get: alias -> item id -> sequence numbers; blocks. The recommender's once it has one."""
    found: dict[str, dict[str, list[int]]] = {}
    published = [alias for alias, name in milvus_versions.named(config, [RECOMMENDER_ITEMS]).items() if name]
    for alias in (*COLLECTIONS, *published):
        rows: dict[str, list[int]] = defaultdict(list)
        for item, seq in scan(config, alias):
            rows[item].append(seq)
        found[alias] = dict(rows)
    return found


async def read_features(reader: FeatureTimes, ids: Iterable[str], *, all_of_them: bool) -> dict[str, datetime]:
    """Event time by item id; with ``all_of_them`` also of items that are not among ``ids``."""
    wanted = list(ids)
    if all_of_them:
        known = set(wanted)
        wanted += [each async for each in reader.scan_ids(ITEM_CONTENT.alias) if each not in known]
    found: dict[str, datetime] = {}
    for start in range(0, len(wanted), FEATURE_BATCH):
        batch = wanted[start : start + FEATURE_BATCH]
        times = await reader.read_times(ITEM_CONTENT.alias, batch)
        found |= {each: at for each, at in zip(batch, times, strict=True) if at is not None}
    return found


async def read_recallable(
    service: str, key: str, wanted: set[str], unwanted: set[str], settle_s: float = SETTLE_S
) -> set[str]:
    """Ids of both sets that the service can answer with.

    The service follows its topic in a view of its own, so what is not yet as wanted is asked again for a while.

    Args:
        service: Base URL.
        key: API key with the scope to read; empty for none.
        wanted: Ids that should be there.
        unwanted: Ids that should not.
        settle_s: Seconds for which it is asked again.

    Raises:
        UnavailableError: the service does not answer, or refuses.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    found: set[str] = set()
    async with httpx.AsyncClient(base_url=service, headers=headers, timeout=30) as client:
        asked, loop = wanted | unwanted, asyncio.get_running_loop()
        deadline = loop.time() + settle_s
        while asked:
            found = (found - asked) | await _ranked(client, sorted(asked))
            asked = (wanted - found) | (unwanted & found)
            if loop.time() >= deadline:
                break
            await asyncio.sleep(0.5 if asked else 0)
    return found


async def _ranked(client: httpx.AsyncClient, ids: list[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(ids), RANK_BATCH):
        batch = ids[start : start + RANK_BATCH]
        try:
            answer = await client.post("/v1/rank", json={"user": "verify", "item_ids": batch})
        except httpx.TransportError as error:
            raise UnavailableError(f"the service at {client.base_url} does not answer: {error}") from error
        if not answer.is_success:
            raise UnavailableError(
                f"the service at {client.base_url} answered {answer.status_code}: {answer.text[:300]}"
            )
        known |= set(batch) - set(orjson.loads(answer.content)["unknown"])
    return known


async def read_objects(
    objects: ObjectStore, refs: Mapping[str, Sequence[ObjectRef]], vectors: Mapping[str, ObjectRef], depth: Depth
) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
    """What is wrong by item id, and with depth ``hash`` the names of the vectors kept for each item.

    Args:
        objects: The store.
        refs: Objects of each item, its vectors among them.
        vectors: Which of them are its vectors.
        depth: ``present``: there with the right length; ``hash``: read and compared with the SHA-256.
    """
    names: dict[str, frozenset[str]] = {}

    async def one(item: str) -> str:
        for ref in refs[item]:
            try:
                if depth == "present":
                    size = await objects.size(ref.key)
                    if size != ref.size_bytes:
                        return f"{ref.key} has {size} bytes, not {ref.size_bytes}"
                    continue
                with await objects.open_file(ref) as file:
                    if ref == vectors.get(item):
                        # just read as a whole: a thread would cost more than the header
                        names[item] = tensor_names(file)
            except KeyError:
                return f"{ref.key} is not there"
            except BadEventError as error:
                return str(error)
        return ""

    wrong = await _each(list(refs), one)
    return {item: text for item, text in wrong.items() if text}, names


async def _each(items: Sequence[K], work: Callable[[K], Awaitable[T]]) -> dict[K, T]:
    """``work`` on every item, some at a time."""
    found: dict[K, T] = {}
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            found[item] = await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_HAND):
            group.create_task(worker())
    return found


def tensor_names(file: IO[bytes]) -> frozenset[str]:
    """Names of the arrays in a safetensors file; only its header is read.

    Raises:
        BadEventError: it is no such file.
    """
    try:
        [length] = HEADER_BYTES.unpack(file.read(HEADER_BYTES.size))
        header = json.loads(file.read(min(length, LONGEST_HEADER)))
        return frozenset(header) - {"__metadata__"}
    except (struct.error, ValueError, TypeError) as error:
        raise BadEventError(f"the object is no safetensors file: {error}", code="object-mismatch") from error
