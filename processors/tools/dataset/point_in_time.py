"""What was known of user and item at each interaction: the ranker's training rows see no more than serving would.

The histories of the views `user_taste_v1` and `item_plays_v1` lie beside a data set's columns. `by_feast` joins them
with Feast; `by_search` does the same by binary search. They give the same values to the bit (a test holds them equal);
which is used is a matter of time: Feast compares each row with all of an entity's history.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.historical import as_they_were, write_history
from features.views import ITEM_PLAYS, USER_TASTE, View
from models.dataset import Dataset, DatasetError
from processors.tools.dataset.statistics import Statistics

HISTORIES = "features"
"""Folder of the histories in that of the data set."""
FIELDS: dict[str, tuple[str, ...]] = {
    USER_TASTE.name: ("plays", "completion_rate", "played_ms"),
    ITEM_PLAYS.name: ("plays", "completion_rate", "played_ms", "decayed_plays"),
}
VIEWS = {view.name: view for view in (USER_TASTE, ITEM_PLAYS)}
Columns = dict[str, NDArray[np.float64]]


def write_histories(folder: Path, dataset: Dataset, users: Statistics, items: Statistics) -> None:
    """Keep the statistics beside the data set in ``folder``, as the views' histories."""
    for view, known, ids in ((USER_TASTE, users, dataset.users.ids), (ITEM_PLAYS, items, dataset.items.ids)):
        values = known.columns()
        write_history(
            folder / HISTORIES,
            view.name,
            [ids[row] for row in known.entity],
            known.at_ms,
            {name: values[name] for name in FIELDS[view.name]},
        )


def by_feast(folder: Path, dataset: Dataset, rows: NDArray[np.int64]) -> Columns:
    """`as_they_were` for interactions of the data set in ``folder``.

    Args:
        folder: Folder of the data set.
        dataset: What it holds.
        rows: Interactions [N].

    Returns:
        By ``<view>.<field>`` float64 [N]; NaN where nothing was known yet.

    Raises:
        UnavailableError: a history is missing.
    """
    some = dataset.interactions.take(rows)
    entities = {
        "user": [dataset.users.ids[row] for row in some.user],
        "item": [dataset.items.ids[row] for row in some.item],
    }
    return as_they_were(folder / HISTORIES, entities, some.at_ms, FIELDS)


def by_search(folder: Path, dataset: Dataset, rows: NDArray[np.int64]) -> Columns:
    """As `by_feast`, by binary search.

    Raises:
        DatasetError: a history is missing, or names somebody else than the data set.
    """
    some, found = dataset.interactions.take(rows), Columns()
    for name, ids, entity in (
        (USER_TASTE.name, dataset.users.ids, some.user),
        (ITEM_PLAYS.name, dataset.items.ids, some.item),
    ):
        found |= _joined(folder / HISTORIES, VIEWS[name], ids, entity, some.at_ms)
    return found


def _joined(
    folder: Path, view: View, ids: tuple[str, ...], entity: NDArray[np.int32], at_ms: NDArray[np.int64]
) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{view.name}.parquet"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DatasetError(f"{path}: the history is missing or broken: {error}") from error
    places = {name: row for row, name in enumerate(ids)}
    try:
        known = np.array([places[name] for name in table[f"{view.entity}_id"].to_pylist()], np.int64)
    except KeyError as error:
        raise DatasetError(f"{path}: {error} is not in the data set") from error
    moment = table["event_timestamp"].cast(pa.int64()).to_numpy() // 1000
    # entity in the upper bits, time in the lower: ms since 1970 have 41 bits until the year 2039
    keys = (known << 42) | moment
    place = np.searchsorted(keys, (entity.astype(np.int64) << 42) | at_ms, side="left") - 1
    before = np.maximum(place, 0)
    ttl_ms = int(view.ttl.total_seconds() * 1000)
    # a millisecond before the moment, as Feast is asked
    fresh = (place >= 0) & (known[before] == entity) & (at_ms - 1 - moment[before] <= ttl_ms)
    return {
        f"{view.name}.{name}": np.where(fresh, table[name].to_numpy()[before].astype(np.float64), np.nan)
        for name in FIELDS[view.name]
    }
