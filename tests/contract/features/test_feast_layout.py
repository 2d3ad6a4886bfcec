"""Our reader and key builder against Feast itself."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from features.feast_layout import (
    entity_key,
    feature_field,
    format_time,
    format_value,
    parse_time,
    parse_value,
    time_field,
)
from features.feature_reader import RedisFeatureReader
from features.last_plays import LastPlays
from features.ports import FeatureRow
from features.redis_client import connect
from features.views import ITEM_CONTENT, USER_TASTE, VIEWS

AT = datetime(2026, 11, 20, 10, 30, 15, 123456, tzinfo=UTC)
pytestmark = pytest.mark.real


@pytest.fixture(scope="session")
def feast_store(feast_config):
    from features.feast_views import open_store

    return open_store(feast_config.redis, feast_config.registry, feast_config.project, feast_config.folder)


@pytest.mark.parametrize("entity_id", ["1", "", "a" * 300, "é 界 ' \" \n"])
def test_keys_are_byte_for_byte_feast_s(feast_store, entity_id: str) -> None:
    from feast.infra.online_stores.helpers import _mmh3, _redis_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    key = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=entity_id)])
    version = feast_store.config.entity_key_serialization_version
    assert entity_key("contract", "user_id", entity_id) == _redis_key("contract", key, version)
    for view in VIEWS.values():
        for name in view.fields:
            assert feature_field(view.name, name) == _mmh3(f"{view.name}:{name}")


@pytest.mark.parametrize(
    ("kind", "attribute", "value"),
    [
        ("int64", "int64_val", -1),
        ("int64", "int64_val", 2**63 - 1),
        ("int64", "int64_val", 0),
        ("float64", "double_val", -0.1),
        ("float64", "double_val", 0.0),
        ("string", "string_val", "é" * 200),
        ("string", "string_val", ""),
        ("bytes", "bytes_val", b"\x00\xff"),
        ("string_list", "string_list_val", ["", "a", "é" * 99]),
        ("string_list", "string_list_val", []),
        ("float_vector", "float_list_val", []),
        ("float_vector", "float_list_val", [0.5] * 4000),
    ],
)
def test_values_are_written_and_parsed_as_protobuf_does(kind, attribute: str, value) -> None:
    from feast.protos.feast.types.Value_pb2 import Value

    message = Value()
    target = getattr(message, attribute)
    if isinstance(value, list):
        target.val.extend(value)
        target.SetInParent()
    else:
        setattr(message, attribute, value)
    given = np.array(value, dtype=np.float32) if kind == "float_vector" else value
    assert format_value(given, kind) == message.SerializeToString()
    parsed = parse_value(message.SerializeToString(), kind)
    assert (parsed.tolist() if kind == "float_vector" else parsed) == value


async def test_the_reader_gives_what_feast_gives(feast_store, feast_config, make_writer, fresh: str) -> None:
    client = connect(feast_config.redis)
    writer = make_writer(client)
    vector = np.random.default_rng(3).normal(size=192).astype(np.float32)
    taste = {"vector": vector, "vector_version": "v", "plays": 7, "completion_rate": 0.3, "recent_items": ["a", "b"]}
    content = {"vector": vector * 2, "kind": "audio", "title": "é", "labels": []}
    ids = [f"{fresh}1", f"{fresh}2", "never"]
    await writer.push("user_taste_v1", [FeatureRow(ids[0], AT, taste), FeatureRow(ids[1], AT, {"plays": 1})])
    await writer.push("item_content_v1", [FeatureRow(ids[0], AT, content)])
    reader = RedisFeatureReader(client, feast_config.project, now=lambda: AT)
    for view in (USER_TASTE, ITEM_CONTENT):
        ours = await reader.read(view.name, ids)
        theirs = feast_store.get_online_features(
            features=[f"{view.name}:{name}" for name in view.fields],
            entity_rows=[{f"{view.entity}_id": each} for each in ids],
        ).to_dict()
        for index, row in enumerate(ours):
            values = row.values if row else {}
            for name in view.fields:
                value = values.get(name)
                assert (value.tolist() if isinstance(value, np.ndarray) else value) == theirs[name][index]
        stored = await client.hget(entity_key("contract", f"{view.entity}_id", ids[0]), time_field(view.name))
        assert parse_time(stored) == AT
    await client.aclose()


@pytest.mark.parametrize("at", [AT, AT.replace(microsecond=0), datetime(1969, 12, 31, 23, 59, 59, 5, tzinfo=UTC)])
def test_times_are_written_as_protobuf_does(at: datetime) -> None:
    from google.protobuf.timestamp_pb2 import Timestamp

    message = Timestamp()
    message.FromDatetime(at)
    assert format_time(at) == message.SerializeToString()
    assert parse_time(format_time(at)) == at


async def test_the_writer_leaves_what_feast_s_own_push_leaves(feast_store, feast_config, make_writer, fresh) -> None:
    import pandas as pd

    from features.feast_views import push_source

    client = connect(feast_config.redis)
    values = {
        "vector": np.random.default_rng(4).normal(size=192).astype(np.float32),
        "vector_version": "é",
        "plays": 300,
        "completion_rate": 0.25,
        "played_ms": None,
        "recent_items": ["a", "é"],
        "recent_completions": np.array([0.5, 1.0], np.float32),
        "last_plays": LastPlays.of(["a", "é"], [0.5, 1.0], [1, 2]).packed(),
    }
    await make_writer(client).push("user_taste_v1", [FeatureRow(f"{fresh}ours", AT, values)])
    row = {"user_id": [f"{fresh}feast"], "event_timestamp": pd.to_datetime([AT], utc=True)}
    columns = {name: pd.Series([value], dtype=object) for name, value in values.items()}
    feast_store.push(push_source("user_taste_v1"), pd.DataFrame(row | columns))
    ours, theirs = [
        await client.hgetall(entity_key("contract", "user_id", f"{fresh}{who}")) for who in ("ours", "feast")
    ]
    assert len(ours) == len(values) + 1
    assert ours == theirs
    await client.aclose()


def test_everything_is_registered_with_its_owner_and_source(feast_store) -> None:
    views = {view.name: view for view in feast_store.list_feature_views()}
    assert views.keys() == VIEWS.keys()
    for name, view in views.items():
        assert (view.owner, view.tags["source"], view.ttl) == ("overture", VIEWS[name].source, VIEWS[name].ttl)
        assert {field.name for field in view.features} == VIEWS[name].fields.keys()
