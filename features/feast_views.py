"""`features.views` as Feast objects. Importing this imports Feast (6 s): only `feast_store` and `apply` do, late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.types import Array, Bytes, Float32, Float64, Int64, String

from features.feast_store import connection_string
from features.redis_client import RedisConfig
from features.views import VIEWS, FieldType, View

OWNER = "overture"
TIME = "event_timestamp"
_TYPES: dict[FieldType, Any] = {
    "int64": Int64,
    "float64": Float64,
    "string": String,
    "bytes": Bytes,
    "float_vector": Array(Float32),
    "string_list": Array(String),
}


def push_source(view: str) -> str:
    """Name of the push source of a view."""
    return f"{view}_push"


def definitions(folder: Path) -> list[Any]:
    """Entities and feature views, in the order that ``FeatureStore.apply`` takes.

    Args:
        folder: Where the (unused, yet required) file sources would lie.
    """
    entities = {
        name: Entity(
            name=name,
            join_keys=[f"{name}_id"],
            value_type=ValueType.STRING,
            description=f"One {name} of the app.",
            owner=OWNER,
        )
        for name in sorted({view.entity for view in VIEWS.values()})
    }
    return [*entities.values(), *(_view(view, entities[view.entity], folder) for view in VIEWS.values())]


def _view(view: View, entity: Entity, folder: Path) -> FeatureView:
    tags = {"source": view.source, "owner": OWNER}
    join_key = entity.join_key
    history = FileSource(
        name=f"{view.name}_history",
        path=str(folder / f"{view.name}.parquet"),
        timestamp_field=TIME,
        owner=OWNER,
        tags=tags,
    )
    return FeatureView(
        name=view.name,
        entities=[entity],
        ttl=view.ttl,
        schema=[
            Field(name=join_key, dtype=String),
            *(Field(name=name, dtype=_TYPES[kind]) for name, kind in view.fields.items()),
        ],
        source=PushSource(name=push_source(view.name), batch_source=history, owner=OWNER, tags=tags),
        description=view.doc,
        owner=OWNER,
        tags=tags,
    )


def open_store(redis: RedisConfig, registry: str, project: str, folder: Path) -> FeatureStore:
    """A feature store on Redis; one for each process (two in turn thrash a cache of Feast's).

    Args:
        redis: The online store.
        registry: SQL URL; empty for a file in ``folder``.
        project: Feast project.
        folder: Feast's local files.
    """
    if registry:
        where = {"registry_type": "sql", "path": registry}
    else:
        where = {"registry_type": "file", "path": str(folder / "registry.db")}
    return FeatureStore(
        config=RepoConfig(
            project=project,
            provider="local",
            # the definitions change with the code, so a cached registry never grows old
            registry={**where, "cache_ttl_seconds": 0},
            online_store={
                "type": "redis",
                "redis_type": "redis_cluster" if redis.cluster else "redis",
                "connection_string": connection_string(redis),
            },
            offline_store={"type": "dask"},
            entity_key_serialization_version=3,
            repo_path=folder,
        )
    )
