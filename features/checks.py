"""What every store of a kind refuses, real or fake, before anything is sent: mistakes of ours are no outages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Any

import numpy as np

from features.ports import FeatureRow, Vector, VectorRow
from features.views import (
    COLLECTION_VERSIONS,
    COLLECTIONS,
    RECOMMENDER_ITEMS,
    VIEWS,
    Collection,
    FieldType,
    View,
    recommender_items,
)

ID_BYTES = 128
"""Longest id of a vector row, bytes of UTF-8."""
SCALAR_BYTES = 256
"""Longest text scalar of a vector row, bytes of UTF-8."""
MAX_HITS = 16_384
"""Most hits of a search that Milvus takes."""


def known_view(name: str) -> View:
    """The declaration of a view.

    Raises:
        ValueError: there is none.
    """
    try:
        return VIEWS[name]
    except KeyError:
        raise ValueError(f"{name!r} is no feature view; there are {', '.join(VIEWS)}") from None


def checked_row(view: View, row: FeatureRow) -> FeatureRow:
    """The row with its event time in UTC and its values in the types declared; None is left out.

    Raises:
        ValueError: see `features.feast_store.FeastWriter.push`.
    """
    where = f"{view.name} of {row.entity_id!r}"
    if row.at.tzinfo is None:
        raise ValueError(f"{where}: the event time has no zone")
    if unknown := row.values.keys() - view.fields.keys():
        raise ValueError(f"{where}: no such field: {', '.join(sorted(unknown))}")
    values = {
        name: _checked(kind, row.values[name], f"{where}.{name}")
        for name, kind in view.fields.items()
        if row.values.get(name) is not None
    }
    if not values:
        raise ValueError(f"{where}: no value at all")
    return FeatureRow(row.entity_id, row.at.astimezone(UTC), values)


def _checked(kind: FieldType, value: Any, where: str) -> Any:
    match kind:
        case "float_vector":
            vector = np.asarray(value, dtype=np.float32)
            if vector.ndim != 1 or not np.isfinite(vector).all():
                raise ValueError(f"{where}: not a vector of finite numbers")
            return vector
        case "float64":
            if not np.isfinite(value):
                raise ValueError(f"{where}: {value} is not finite")
            return float(value)
        case "int64":
            return int(value)
        case "string_list":
            return [str(item) for item in value]
        case "string":
            return str(value)
        case "bytes":
            return bytes(value)


def known_collection(name: str) -> Collection:
    """The declaration behind an alias or a collection's own name.

    Raises:
        ValueError: there is none.
    """
    for declared in (*COLLECTIONS.values(), *COLLECTION_VERSIONS.values()):
        if name in (declared.alias, declared.name):
            return declared
    if name == RECOMMENDER_ITEMS or name.startswith(f"{RECOMMENDER_ITEMS}_"):
        return replace(recommender_items(""), name=name)
    raise ValueError(f"{name!r} is no vector collection; there are {', '.join((*COLLECTIONS, RECOMMENDER_ITEMS))}")


def check_row(collection: Collection, row: VectorRow) -> None:
    """Refuse what Milvus would refuse, before it is a network failure that somebody retries.

    Raises:
        ValueError: see `features.milvus_index.MilvusIndex.upsert`.
    """
    where = f"{collection.name}: {row.id!r}"
    if not 0 < len(row.id.encode()) <= ID_BYTES:
        raise ValueError(f"{where}: an id has 1..{ID_BYTES} bytes")
    _check_vector(collection, row.vector)
    if row.scalars.keys() != collection.scalars.keys():
        raise ValueError(f"{where}: scalars {sorted(row.scalars)} instead of {sorted(collection.scalars)}")
    for name, kind in collection.scalars.items():
        value = row.scalars[name]
        if kind == "int64":
            if not isinstance(value, int):
                raise ValueError(f"{where}: {name} is no integer")
        elif not isinstance(value, str) or len(value.encode()) > SCALAR_BYTES:
            raise ValueError(f"{where}: {name} is no text of at most {SCALAR_BYTES} bytes")


def check_query(collection: str, vector: Vector, limit: int) -> None:
    """Refuse a search that Milvus would refuse.

    Raises:
        ValueError: see `features.milvus_index.MilvusIndex.search`.
    """
    if not 1 <= limit <= MAX_HITS:
        raise ValueError(f"limit {limit} is not in 1..{MAX_HITS}")
    declared = known_collection(collection)
    # an alias may name any version, and only the store knows which
    versions = [each for each in COLLECTION_VERSIONS.values() if collection in (each.alias, each.name)]
    if vector.ndim == 1 and vector.size in {each.dim for each in versions}:
        declared = replace(declared, dim=vector.size)
    _check_vector(declared, vector)


def _check_vector(collection: Collection, vector: Vector) -> None:
    if vector.shape != (collection.dim,) or not np.isfinite(vector).all():
        raise ValueError(f"{collection.name}: not {collection.dim} finite numbers, but shape {vector.shape}")
