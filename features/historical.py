"""Feast's point-in-time join: the values of views as they were at given moments, from files of their histories.

The files stand where the views' definitions say: ``<folder>/<view>.parquet`` with the join key, ``event_timestamp``
and the fields. No online store is asked. Importing Feast takes seconds, so it is imported when called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.checks import known_view
from features.feast_store import FeastConfig, feast_errors
from features.redis_client import RedisConfig
from features.views import View

PROJECT = "history"
NO_REDIS = RedisConfig("redis://localhost:1")
"""Feast wants an address of the online store; a join never uses it."""
TICK_MS = 1
TIME = "event_timestamp"


def write_history(
    folder: Path, view: str, ids: Sequence[str], at_ms: NDArray[np.int64], fields: Mapping[str, Any]
) -> Path:
    """Write a view's history as Parquet; the file.

    Args:
        folder: Where Feast looks for it.
        view: Name of the view.
        ids: Entity of each row [N].
        at_ms: Moment from which a row's values hold, Unix ms [N].
        fields: Values by field [N]; not every field of the view needs to be there.

    Raises:
        ValueError: an unknown view or field.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    declared = known_view(view)
    if unknown := fields.keys() - declared.fields.keys():
        raise ValueError(f"{view} has no field {', '.join(sorted(unknown))}")
    table = {
        f"{declared.entity}_id": pa.array(ids, pa.string()),
        TIME: pa.array(at_ms * 1000, pa.timestamp("us", tz="UTC")),
        **{name: pa.array(values) for name, values in fields.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{view}.parquet"
    pq.write_table(pa.table(table), path)
    return path


def as_they_were(
    folder: Path, entities: Mapping[str, Sequence[str]], at_ms: NDArray[np.int64], fields: Mapping[str, Sequence[str]]
) -> dict[str, NDArray[np.float64]]:
    """Values just before given moments, by Feast's ``get_historical_features``.

    What was written at the very moment does not count: a row must not see what it is to predict.

    Args:
        folder: Folder of the histories (`write_history`).
        entities: By kind (``user``, ``item``) the id of each row [N].
        at_ms: Moment of each row, Unix ms [N].
        fields: Wanted fields by view.

    Returns:
        By ``<view>.<field>`` float64 [N], in the order asked; NaN where nothing was known or it was older than the
        view's TTL.

    Raises:
        ValueError: an unknown view.
        UnavailableError: a history is missing or unreadable.
    """
    from features.feast_views import definitions, open_store

    found: dict[str, NDArray[np.float64]] = {}
    with feast_errors(FeastConfig(NO_REDIS, folder, project=PROJECT)):
        store = open_store(NO_REDIS, "", PROJECT, folder)
        store.apply(definitions(folder), partial=True)
        for view, names in fields.items():
            found |= _of_view(store, known_view(view), names, entities[known_view(view).entity], at_ms - TICK_MS)
    return found


def _of_view(
    store: Any, view: View, names: Sequence[str], ids: Sequence[str], at_ms: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Values at moments, those of the moment itself too.

    Feast's join keeps one row for each entity and moment, whatever else stands in it, and none for an entity all of
    whose history lies in the future (0.67, dask): so it is asked by view, once for each pair, and its answer looked up.
    """
    import pandas as pd

    key = f"{view.entity}_id"
    asked = pd.DataFrame({key: list(ids), TIME: pd.to_datetime(at_ms, unit="ms", utc=True)})
    wanted = [f"{view.name}:{name}" for name in names]
    joined = store.get_historical_features(asked.drop_duplicates(), wanted).to_df()
    joined[TIME] = joined[TIME].astype(asked[TIME].dtype)
    known = asked.merge(joined, on=[key, TIME], how="left", validate="many_to_one")
    return {f"{view.name}.{name}": known[name].to_numpy(np.float64) for name in names}
