"""Published items as columns: one numpy array a field, one row an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from schemas.common import MediaKind
from schemas.upload import PostSurface

KINDS: tuple[str, ...] = get_args(MediaKind)
KIND_CODE = {kind: code for code, kind in enumerate(KINDS)}
PLACES: tuple[str, ...] = get_args(PostSurface)
PLACE_CODE = {place: code for code, place in enumerate(PLACES)}
FIRST_ROWS = 256

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass
class Columns:
    """Arrays [capacity]; rows at or above ``ItemTable.size`` and rows not ``alive`` mean nothing.

    Attributes:
        ids: Item ids, str.
        kind: Index into ``KINDS``.
        uploader: Number of the uploader.
        published_ms: When the upload was accepted, Unix time in ms.
        version: Number of the vector's version.
        plays: Plays in all.
        completions: Plays to the end.
        measured: Plays that ``completion_sum`` covers.
        completion_sum: Sum of their completions, in `models.taste.COMPLETION_UNITS`.
        decayed: Decayed plays as of ``played_ms``.
        played_ms: Newest play, Unix time in ms; 0 if never played.
        cold: Whether it has few plays and was seldom shown.
        alive: Whether the row holds a published item.
        changes: How often what the row holds changed, to see a change that overtakes work on it.
        labels: Names of the item's classes, tuple of str.
        year: Year in which the work came out; 0 unknown.
        place: Where a post stands, index into ``PLACES``.
    """

    ids: NDArray[np.object_]
    kind: NDArray[np.int8]
    uploader: NDArray[np.int32]
    published_ms: NDArray[np.int64]
    version: NDArray[np.int32]
    plays: NDArray[np.int64]
    completions: NDArray[np.int64]
    measured: NDArray[np.int64]
    completion_sum: NDArray[np.int64]
    decayed: NDArray[np.float64]
    played_ms: NDArray[np.int64]
    cold: Mask
    alive: Mask
    changes: NDArray[np.int64]
    labels: NDArray[np.object_]
    year: NDArray[np.int16]
    place: NDArray[np.int8]

    @classmethod
    def empty(cls, capacity: int) -> Columns:
        """Zeroed columns."""
        return cls(
            np.full(capacity, None, dtype=object),
            np.zeros(capacity, np.int8),
            np.zeros(capacity, np.int32),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.int32),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.float64),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.bool_),
            np.zeros(capacity, np.bool_),
            np.zeros(capacity, np.int64),
            np.full(capacity, None, dtype=object),
            np.zeros(capacity, np.int16),
            np.zeros(capacity, np.int8),
        )

    def grown(self, capacity: int) -> Columns:
        """The same rows with room for more."""
        wider = Columns.empty(capacity)
        for column in fields(self):
            old: NDArray[Any] = getattr(self, column.name)
            getattr(wider, column.name)[: len(old)] = old
        return wider


class ItemTable:
    """Rows by item id; freed rows are used again. Not locked: ``CatalogueSnapshot`` does that."""

    def __init__(self) -> None:
        self.size = 0
        self.columns = Columns.empty(FIRST_ROWS)
        self._row_of: dict[str, int] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._row_of)

    def row(self, item_id: str) -> int | None:
        """Row of a published item."""
        return self._row_of.get(item_id)

    def rows(self, item_ids: list[str]) -> Rows:
        """Rows of those that are published, in the order asked, each once."""
        found = dict.fromkeys(r for i in item_ids if (r := self._row_of.get(i)) is not None)
        return np.fromiter(found, np.int64, len(found))

    def places(self, item_ids: Sequence[str]) -> tuple[Rows, Rows]:
        """Places in ``item_ids`` of those that are published, and their rows, int64 [n] each."""
        get = self._row_of.get
        rows = np.array([get(item, -1) for item in item_ids], np.int64)
        places = np.flatnonzero(rows >= 0)
        return places, rows[places]

    def claim(self, item_id: str) -> int:
        """The item's row, a free or new one if it has none yet."""
        row = self._row_of.get(item_id)
        if row is None:
            row = self._free.pop() if self._free else self._append()
            self._row_of[item_id] = row
            self.columns.ids[row] = item_id
        return row

    def release(self, item_id: str) -> int | None:
        """Forget an item; the row it had."""
        row = self._row_of.pop(item_id, None)
        if row is not None:
            self.columns.alive[row] = False
            self.columns.ids[row] = None
            self.columns.changes[row] += 1
            self._free.append(row)
        return row

    def _append(self) -> int:
        if self.size == len(self.columns.ids):
            self.columns = self.columns.grown(2 * self.size)
        self.size += 1
        return self.size - 1
