"""What the adapters raise while a store is away, and that they go on once it is back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from features.apply import apply_views
from features.attempts import RedisAttemptLog
from features.feast_store import FeastConfig, FeastWriter
from features.feature_reader import RedisFeatureReader
from features.milvus_index import MilvusConfig, MilvusIndex, prepare_collections
from features.objects import open_objects
from features.ports import FeatureRow, VectorRow
from features.redis_client import RedisConfig, connect
from infra.local.parts import MilvusServer, RedisServer
from schemas.common import ObjectRef
from schemas.errors import UnavailableError

AT = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
SECRET = "geheim,=1e5"  # noqa: S105
pytestmark = pytest.mark.real


def check(error: UnavailableError, code: str, address: str) -> None:
    assert error.code == code
    assert address in str(error)
    assert "geheim" not in str(error)


async def test_redis_with_a_password_away_and_back(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", password=SECRET) as server:
        config = RedisConfig(server.url.replace(SECRET, "geheim%2C%3D1e5"), timeout_s=1)
        feast = FeastConfig(config, tmp_path / "feast")
        client = connect(config)
        writer = FeastWriter(feast, client)
        reader = RedisFeatureReader(client, feast.project, address=config.address, now=lambda: AT)
        attempts = RedisAttemptLog(client, address=config.address)
        apply_views(feast)
        await writer.push("item_plays_v1", [FeatureRow("i", AT, {"plays": 1})])
        assert await attempts.begin("c", "e") == 1

        server.kill()
        for call in (
            reader.read("item_plays_v1", ["i"]),
            reader.read_matrix("item_content_v1", "vector", ["i"], 3),
            attempts.begin("c", "e"),
            attempts.finish("c", "e"),
            writer.delete("item_plays_v1", ["i"]),
            writer.push("item_plays_v1", [FeatureRow("j", AT, {"plays": 2})]),
        ):
            with pytest.raises(UnavailableError) as caught:
                await call
            check(caught.value, "redis-unavailable", f"127.0.0.1:{server.port}")

        server.start()
        server.wait_ready()
        await writer.push("item_plays_v1", [FeatureRow("j", AT, {"plays": 2})])
        found = await reader.read("item_plays_v1", ["j"])
        assert [row.values for row in found if row] == [{"plays": 2}]
        writer.close()
        await client.aclose()


async def test_a_wrong_password(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", password=SECRET) as server:
        config = RedisConfig(f"redis://:geheimnis@127.0.0.1:{server.port}/0")
        client = connect(config)
        with pytest.raises(UnavailableError) as caught:
            await RedisAttemptLog(client, address=config.address).begin("c", "e")
        check(caught.value, "redis-unavailable", config.address)
        await client.aclose()


async def test_a_push_before_the_views_are_applied(tmp_path: Path, redis_server: RedisServer) -> None:
    feast = FeastConfig(RedisConfig(redis_server.url), tmp_path / "feast", project="late")
    client = connect(feast.redis)
    writer = FeastWriter(feast, client)
    with pytest.raises(UnavailableError) as caught:
        await writer.push("item_plays_v1", [FeatureRow("i", AT, {"plays": 1})])
    check(caught.value, "feast-unapplied", "late")
    apply_views(feast)
    await writer.push("item_plays_v1", [FeatureRow("i", AT, {"plays": 1})])
    writer.close()
    await client.aclose()


async def test_a_sql_registry(tmp_path: Path, redis_server: RedisServer) -> None:
    registry = f"sqlite:///{tmp_path}/registry.db"
    feast = FeastConfig(RedisConfig(redis_server.url), tmp_path / "feast", registry=registry, project="sql")
    apply_views(feast)
    apply_views(feast)
    client = connect(feast.redis)
    writer = FeastWriter(feast, client)
    await writer.push("item_plays_v1", [FeatureRow("i", AT, {"plays": 1})])
    assert await RedisFeatureReader(client, "sql", now=lambda: AT).read("item_plays_v1", ["i"]) != [None]
    writer.close()
    await client.aclose()


def row(item: str) -> VectorRow:
    scalars = {"kind": "", "language": "", "uploader": "", "published_at_ms": 0, "seq": 0, "vector_version": ""}
    return VectorRow(item, np.eye(1, 192, dtype=np.float32)[0], scalars)


@pytest.mark.expects_errors
async def test_milvus_away_and_back(tmp_path: Path) -> None:
    with MilvusServer(tmp_path / "milvus") as server:
        config = MilvusConfig(server.uri, token="me:geheim", timeout_s=2)  # noqa: S106
        index = MilvusIndex(config)
        with pytest.raises(UnavailableError) as caught:
            await index.fetch("content_joint", ["x"])
        check(caught.value, "milvus-unavailable", server.uri)
        prepare_collections(config)
        await index.upsert("content_joint", [row("x")])

        server.kill()
        vector = row("").vector
        for call in (
            index.fetch("content_joint", ["x"]),
            index.upsert("content_joint", [row("y")]),
            index.delete("content_joint", ["x"]),
            index.search("content_joint", vector, 3),
        ):
            with pytest.raises(UnavailableError) as caught:
                await call
            check(caught.value, "milvus-unavailable", server.uri)
        with pytest.raises(UnavailableError):
            prepare_collections(config)

        server.start()
        server.wait_ready()
        assert (await index.fetch("content_joint", ["x"])).keys() == {"x"}
        index.close()


async def stream() -> AsyncIterator[bytes]:
    yield b"bytes"


async def test_a_remote_object_store_that_is_away() -> None:
    options = {"region": "x", "access_key_id": "id", "secret_access_key": "geheim", "endpoint": "http://127.0.0.1:9"}
    store = open_objects("s3://bucket/pre", options)
    ref = ObjectRef(key="a/b", sha256="", size_bytes=1, content_type="x/y")
    for call in (
        store.put("a/b", b"x", "x/y"),
        store.get("a/b"),
        store.open_file(ref),
        store.put_stream(stream(), prefix="a", max_bytes=9, content_type="x/y"),
    ):
        with pytest.raises(UnavailableError) as caught:
            await call
        check(caught.value, "objects-unavailable", "s3://bucket/pre")
