"""Every adapter beside its fake; a test that takes one of these fixtures runs on both."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from features.aliases import ViewAliases
from features.apply import apply_views
from features.attempts import RedisAttemptLog
from features.feast_store import FeastConfig, FeastWriter
from features.feature_reader import RedisFeatureReader
from features.milvus_index import MilvusConfig, MilvusIndex, prepare_collections
from features.objects import LocalObjects, RemoteObjects
from features.ports import AttemptLog, ObjectStore, VectorIndex
from features.redis_client import RedisConfig, connect
from infra.local.parts import MilvusServer, RedisServer
from tests.fakes.features import MemoryAttempts, MemoryFeatures, MemoryObjects, MemoryVectors

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
REAL = pytest.param("real", marks=pytest.mark.real)


@pytest.fixture(params=["fake", "local", "remote"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    match request.param:
        case "local":
            return LocalObjects(tmp_path / "objects")
        case "remote":
            return RemoteObjects(MemoryStore(), "memory")
    return MemoryObjects()


@dataclass
class Features:
    """A writer with its reader, and the clock of the reader."""

    writer: Any
    reader: Any
    now: list[datetime]


@pytest.fixture(scope="session")
def feast_config(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> FeastConfig:
    config = FeastConfig(RedisConfig(redis_server.url), tmp_path_factory.mktemp("feast"), project="contract")
    apply_views(config)
    return config


@pytest.fixture(scope="session")
def make_writer(feast_config: FeastConfig) -> Iterator[Callable[[Any], FeastWriter]]:
    """Writers that share one thread and store, as opening one for each test would take Feast's time each time."""
    first = FeastWriter(feast_config, connect(feast_config.redis))

    def make(client: Any) -> FeastWriter:
        first._client = client
        return first

    yield make
    first.close()


@pytest.fixture(params=["fake", REAL])
async def features(request: pytest.FixtureRequest) -> AsyncIterator[Features]:
    now = [NOW]
    if request.param == "fake":
        memory = MemoryFeatures(lambda: now[0])
        yield Features(memory, memory, now)
        return
    config: FeastConfig = request.getfixturevalue("feast_config")
    client = connect(config.redis)
    writer = request.getfixturevalue("make_writer")(client)
    reader = RedisFeatureReader(
        client,
        config.project,
        address=config.redis.address,
        now=lambda: now[0],
        aliases=ViewAliases(MemoryObjects()),
    )
    yield Features(writer, reader, now)
    await client.aclose()


@pytest.fixture(scope="session")
def milvus_index(milvus_server: MilvusServer) -> Iterator[MilvusIndex]:
    config = MilvusConfig(milvus_server.uri)
    prepare_collections(config)
    index = MilvusIndex(config)
    yield index
    index.close()


@pytest.fixture(params=["fake", REAL])
def vectors(request: pytest.FixtureRequest) -> VectorIndex:
    if request.param == "fake":
        return MemoryVectors()
    index: MilvusIndex = request.getfixturevalue("milvus_index")
    return index


@pytest.fixture(params=["fake", REAL])
async def attempts(request: pytest.FixtureRequest) -> AsyncIterator[AttemptLog]:
    if request.param == "fake":
        yield MemoryAttempts()
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    config = RedisConfig(server.url)
    client = connect(config)
    yield RedisAttemptLog(client, address=config.address)
    await client.aclose()


@pytest.fixture
def fresh() -> str:
    """An id that no other test has, as real stores live for a session."""
    return uuid.uuid4().hex
