"""Vectors in Milvus, behind aliases; Milvus Lite and a cluster through the same code.

Only what both know is used: VARCHAR primary keys, one float vector, HNSW with the inner product, Strong reads.
Milvus Lite accepts index types and parameters that a cluster refuses, so nothing else should be tried on it alone.

The blocking client runs in a few threads of its own: as fast as pymilvus' async client (measured on Lite), and not
bound to one event loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
import numpy as np
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import (
    DataNotMatchException,
    DataTypeNotMatchException,
    FieldsTypeException,
    MilvusException,
    ParamError,
    PrimaryKeyException,
)

from features.checks import ID_BYTES, SCALAR_BYTES, check_query, check_row, known_collection
from features.ports import Hit, Vector, VectorRow
from features.views import COLLECTIONS, SCALARS, Collection
from schemas.errors import BugError, UnavailableError

T = TypeVar("T")

_THREADS = 4
_BATCH = 500
_MAKE_TIMEOUT_S = 60.0
_INDEX = {"M": 16, "efConstruction": 200}
_LEAST_EF = 64
_OURS = (
    DataNotMatchException,
    DataTypeNotMatchException,
    FieldsTypeException,
    ParamError,
    PrimaryKeyException,
)
_GRPC = {
    # gRPC's own default waits up to two minutes between attempts, long after the server is back
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 1000,
    "grpc.max_reconnect_backoff_ms": 1000,
    # else a failed attempt of another client of this process counts as ours
    "grpc.use_local_subchannel_pool": 1,
}
# Milvus Lite has no timestamps for iterators; pymilvus says so at each one
logging.getLogger("pymilvus.client.iterator.query_iterator").setLevel(logging.ERROR)
_INVALID_PARAMETER = 1100
_NOT_LOADED = 101


@dataclass(frozen=True)
class MilvusConfig:
    """Where Milvus is.

    Attributes:
        uri: ``http://host:port`` of Milvus or of a Milvus Lite server; no credentials in it.
        token: ``user:password`` or API key, kept out of ``repr``; empty for none.
        timeout_s: Seconds a call may take, its retries included.
    """

    uri: str
    token: str = field(default="", repr=False)
    timeout_s: float = 10.0


class MilvusIndex:
    """`VectorIndex` over Milvus; connects at the first call.

    ``collection`` is an alias of `features.views.COLLECTIONS`, for readers, or the name of the collection itself, for
    writers: an alias that moves must not move what they write. Under an alias the scalars are those of
    `features.views.SCALARS`, under a name all that this version has.
    """

    def __init__(self, config: MilvusConfig) -> None:
        self._config = config
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="milvus")
        self._lock = threading.Lock()
        self._client: MilvusClient | None = None

    async def upsert(self, collection: str, rows: Sequence[VectorRow]) -> None:
        """Write rows; one whose ``seq`` is lower than the stored row's is a late one and changes nothing.

        The check is read-then-write: the rows of one id must come from one writer at a time.

        Raises:
            ValueError: an unknown collection, a vector of another length or with a number that is not finite,
                scalars other than those declared, or a text too long for its field.
            UnavailableError: Milvus does not answer, or the collection was not made.
        """
        declared = known_collection(collection)
        newest: dict[str, VectorRow] = {}
        for row in rows:
            check_row(declared, row)
            other = newest.get(row.id)
            if other is None or row.scalars["seq"] >= other.scalars["seq"]:
                newest[row.id] = row
        waiting = list(newest.values())
        for start in range(0, len(waiting), _BATCH):
            await self._in_thread(self._upsert, collection, waiting[start : start + _BATCH])

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Remove rows; unknown ids are no error. The fence against late writes goes with the row."""
        known_collection(collection)
        for start in range(0, len(ids), _BATCH):
            await self._in_thread(self._delete, collection, list(ids[start : start + _BATCH]))

    async def fetch(self, collection: str, ids: Sequence[str]) -> dict[str, VectorRow]:
        """Rows by id, all earlier writes included; missing ids are left out. Vectors are float32 [D]."""
        scalars = _scalars(collection)
        found: dict[str, VectorRow] = {}
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), _BATCH):
            fields = ["vector", *scalars]
            for row in await self._in_thread(self._read, collection, wanted[start : start + _BATCH], fields):
                found[row["id"]] = _vector_row(row, scalars)
        return found

    async def scan(self, collection: str) -> AsyncIterator[list[VectorRow]]:
        """Every row, in batches, in no order. What is written meanwhile may be among them or not.

        Raises:
            ValueError: an unknown collection.
            UnavailableError: Milvus does not answer, or the collection was not made.
        """
        scalars = _scalars(collection)
        pages = await self._in_thread(self._pages, collection, ["vector", *scalars])
        try:
            while rows := await self._in_thread(pages.next):
                yield [_vector_row(row, scalars) for row in rows]
        finally:
            pages.close()

    async def search(self, collection: str, vector: Vector, limit: int, where: str = "") -> list[Hit]:
        """Nearest rows by inner product, best first.

        Args:
            collection: Alias or name.
            vector: float32 [D].
            limit: Most hits, 1..16384.
            where: Milvus filter expression, built by us.

        Raises:
            ValueError: another length of vector, or a limit out of range.
            UnavailableError: Milvus does not answer, or the collection was not made.
        """
        check_query(collection, vector, limit)
        return await self._in_thread(self._search, collection, vector, limit, where)

    def close(self) -> None:
        """Let the calls in hand finish and hang up."""
        self._threads.shutdown(wait=True)
        if self._client is not None:
            self._client.close()

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        def translated() -> T:
            with milvus_errors(self._config):
                return call(*args)

        return await asyncio.get_running_loop().run_in_executor(self._threads, translated)

    def _connected(self) -> MilvusClient:
        with self._lock:
            if self._client is None:
                self._client = connect(self._config)
            return self._client

    def _loaded(self, call: Callable[..., T], collection: str, **arguments: object) -> T:
        try:
            return call(collection, **arguments)
        except MilvusException as error:
            if error.code != _NOT_LOADED:
                raise
        # Lite forgets at a restart which collections were loaded
        self._connected().load_collection(collection, timeout=_MAKE_TIMEOUT_S)
        return call(collection, **arguments)

    def _upsert(self, collection: str, rows: list[VectorRow]) -> None:
        stored = {row["id"]: row["seq"] for row in self._read(collection, [row.id for row in rows], ["seq"])}
        data = [
            {"id": row.id, "vector": row.vector.tolist(), **row.scalars}
            for row in rows
            if row.scalars["seq"] >= stored.get(row.id, row.scalars["seq"])
        ]
        if data:
            self._connected().upsert(collection, data, timeout=self._config.timeout_s)

    def _delete(self, collection: str, ids: list[str]) -> None:
        self._connected().delete(collection, filter=_among(ids), timeout=self._config.timeout_s)

    def _read(self, collection: str, ids: list[str], fields: list[str]) -> list[dict[str, Any]]:
        # Strong: a writer must see its own writes
        answer = self._loaded(
            self._connected().query,
            collection,
            filter=_among(ids),
            output_fields=["id", *fields],
            timeout=self._config.timeout_s,
            consistency_level="Strong",
        )
        return [dict(row) for row in answer]

    def _pages(self, collection: str, fields: list[str]) -> Any:
        return self._loaded(
            self._connected().query_iterator,
            collection,
            batch_size=_BATCH,
            output_fields=["id", *fields],
            timeout=self._config.timeout_s,
            consistency_level="Strong",
        )

    def _search(self, collection: str, vector: Vector, limit: int, where: str) -> list[Hit]:
        [hits] = self._loaded(
            self._connected().search,
            collection,
            data=[vector.astype(np.float32).tolist()],
            filter=where,
            limit=limit,
            anns_field="vector",
            search_params={"metric_type": "IP", "params": {"ef": max(limit, _LEAST_EF)}},
            # Lite sends all fields when none is asked for
            output_fields=["id"],
            timeout=self._config.timeout_s,
        )
        return [Hit(hit["id"], float(hit["distance"])) for hit in hits]


def _scalars(collection: str) -> tuple[str, ...]:
    declared = known_collection(collection)
    return tuple(declared.scalars if collection == declared.name else SCALARS)


def _vector_row(row: dict[str, Any], scalars: Iterable[str]) -> VectorRow:
    return VectorRow(row["id"], np.asarray(row["vector"], dtype=np.float32), {name: row[name] for name in scalars})


def _among(ids: list[str]) -> str:
    # not the argument ids=: pymilvus puts the ids between quotes as they are, so that a quote in one ends it
    return f"id in {json.dumps(ids, ensure_ascii=False)}"


def connect(config: MilvusConfig) -> MilvusClient:
    """A connected client.

    Raises:
        MilvusException: Milvus does not answer.
    """
    return MilvusClient(
        uri=config.uri,
        token=config.token,
        timeout=config.timeout_s,
        # a connection of its own: by default clients of one address share one, closing included
        dedicated=True,
        grpc_options=_GRPC,
    )


@contextmanager
def milvus_errors(config: MilvusConfig) -> Iterator[None]:
    """Turn what pymilvus raises into `UnavailableError`, or `BugError` where the request itself was wrong."""
    try:
        yield
    except MilvusException as error:
        if isinstance(error, _OURS) or error.code == _INVALID_PARAMETER:
            raise BugError(f"Milvus at {config.uri} refuses the request: {error.message}") from error
        raise UnavailableError(f"Milvus at {config.uri}: {error.message}", code="milvus-unavailable") from error
    except grpc.RpcError as error:
        status = error.code().name if isinstance(error, grpc.Call) else type(error).__name__
        raise UnavailableError(f"Milvus at {config.uri}: {status}", code="milvus-unavailable") from error


def prepare_collections(
    config: MilvusConfig, *, move_aliases: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]:
    """Make every declared collection and alias that is missing, and load what is there.

    Args:
        config: The server.
        move_aliases: Also move aliases that name another collection.

    Returns:
        Collections made, aliases made or moved, and alias -> other collection it still names.

    Raises:
        UnavailableError: Milvus does not answer.
        BugError: a collection is there with other fields.
    """
    made, aliases, elsewhere = [], [], {}
    with milvus_errors(config):
        client = connect(config)
        try:
            for declared in COLLECTIONS.values():
                if ensure_collection(client, declared):
                    made.append(declared.name)
                other = _prepare_alias(client, declared, move=move_aliases)
                if other == declared.name:
                    continue
                if other:
                    elsewhere[declared.alias] = other
                else:
                    aliases.append(declared.alias)
        finally:
            client.close()
    return tuple(made), tuple(aliases), elsewhere


def ensure_collection(client: MilvusClient, declared: Collection) -> bool:
    """Make a collection if it is missing, else load it; whether it was made.

    Raises:
        BugError: it is there with other fields.
    """
    if client.has_collection(declared.name, timeout=_MAKE_TIMEOUT_S):
        _require_same_fields(client, declared)
        client.load_collection(declared.name, timeout=_MAKE_TIMEOUT_S)
        return False
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False, description=declared.doc)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=ID_BYTES)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=declared.dim)
    for name, kind in declared.scalars.items():
        if kind == "int64":
            schema.add_field(name, DataType.INT64)
        else:
            schema.add_field(name, DataType.VARCHAR, max_length=SCALAR_BYTES)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="IP", params=_INDEX)
    # Bounded for searches; what must see its own writes asks for Strong itself
    client.create_collection(
        declared.name, schema=schema, index_params=index, consistency_level="Bounded", timeout=_MAKE_TIMEOUT_S
    )
    return True


def _require_same_fields(client: MilvusClient, declared: Collection) -> None:
    fields = client.describe_collection(declared.name, timeout=_MAKE_TIMEOUT_S)["fields"]
    dims = {each["name"]: each["params"].get("dim") for each in fields}
    if dims.keys() != {"id", "vector", *declared.scalars} or int(dims["vector"]) != declared.dim:
        raise BugError(f"collection {declared.name} is there with other fields: give the new version a new name")


def _prepare_alias(client: MilvusClient, declared: Collection, *, move: bool) -> str:
    """Empty if the alias was made or moved, else the collection that it names."""
    if not client.has_collection(declared.alias, timeout=_MAKE_TIMEOUT_S):
        client.create_alias(declared.name, declared.alias, timeout=_MAKE_TIMEOUT_S)
        return ""
    named = str(client.describe_alias(declared.alias, timeout=_MAKE_TIMEOUT_S)["collection_name"])
    if named == declared.name or not move:
        return named
    client.alter_alias(declared.name, declared.alias, timeout=_MAKE_TIMEOUT_S)
    return ""
