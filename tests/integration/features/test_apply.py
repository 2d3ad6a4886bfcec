from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from features import milvus_index
from features.apply import apply
from features.feast_store import FeastConfig
from features.milvus_index import MilvusConfig, MilvusIndex, prepare_collections
from features.ports import VectorRow
from features.redis_client import RedisConfig
from features.views import COLLECTIONS, CONTENT_JOINT, VIEWS
from infra.local.parts import MilvusServer, RedisServer
from schemas.errors import BugError

pytestmark = pytest.mark.real
SCALARS = {"kind": "", "language": "", "uploader": "", "published_at_ms": 0, "seq": 0, "vector_version": ""}


@pytest.fixture
def milvus(tmp_path: Path) -> Iterator[MilvusConfig]:
    with MilvusServer(tmp_path / "milvus") as server:
        yield MilvusConfig(server.uri)


def test_applying_twice_changes_nothing(tmp_path: Path, redis_server: RedisServer, milvus: MilvusConfig) -> None:
    feast = FeastConfig(RedisConfig(redis_server.url), tmp_path / "feast", project="apply")
    first = apply(feast, milvus)
    assert first.views == tuple(VIEWS)
    assert set(first.aliases_made) == set(COLLECTIONS)
    assert set(first.collections_made) == {each.name for each in COLLECTIONS.values()}
    again = apply(feast, milvus)
    assert (again.collections_made, again.aliases_made, again.aliases_elsewhere) == ((), (), {})


async def test_a_new_version_is_filled_before_its_alias_moves(
    milvus: MilvusConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_collections(milvus)
    index = MilvusIndex(milvus)
    await index.upsert("content_joint", [VectorRow("old", np.eye(1, 192, dtype=np.float32)[0], SCALARS)])
    newer = replace(CONTENT_JOINT, name="content_joint_v2", dim=8)
    monkeypatch.setitem(milvus_index.COLLECTIONS, "content_joint", newer)

    made, aliases, elsewhere = prepare_collections(milvus)
    assert (made, aliases, elsewhere) == (("content_joint_v2",), (), {"content_joint": "content_joint_v1"})
    await index.upsert("content_joint_v2", [VectorRow("new", np.eye(1, 8, dtype=np.float32)[0], SCALARS)])
    assert await index.fetch("content_joint", ["new"]) == {}
    _, aliases, elsewhere = prepare_collections(milvus, move_aliases=True)
    assert (aliases, elsewhere) == (("content_joint",), {})
    assert (await index.fetch("content_joint", ["new", "old"])).keys() == {"new"}
    index.close()


def test_a_collection_with_other_fields_is_not_used(milvus: MilvusConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_collections(milvus)
    monkeypatch.setitem(milvus_index.COLLECTIONS, "content_joint", replace(CONTENT_JOINT, dim=8))
    with pytest.raises(BugError, match="content_joint_v1"):
        prepare_collections(milvus)


def test_nothing_but_what_a_cluster_takes_too(milvus: MilvusConfig) -> None:
    prepare_collections(milvus)
    client = MilvusClient(milvus.uri)
    for declared in COLLECTIONS.values():
        found = client.describe_collection(declared.name)
        assert not found["auto_id"]
        assert not found["enable_dynamic_field"]
        index = client.describe_index(declared.name, "vector")
        assert (index["index_type"], index["metric_type"]) == ("HNSW", "IP")
    client.close()
