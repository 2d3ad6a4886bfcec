"""One vector for each row of the item table, searched by inner product: exactly while that is cheap, else by an index.

Not locked: ``CatalogueSnapshot`` does that, but for the slow part of bringing rows into the index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.ports import Vector
from processors.serving.ann import Metric, PartitionIndexes
from processors.serving.item_table import FIRST_ROWS, Mask, Rows

MOST_LATE = 4
"""With a fourth of the rows not in the index yet, gathering them costs more than the product with all (measured)."""
EXACT_BELOW = 50_000
"""Up to so many searchable rows the exact product is used, which misses none. Measured for 375 played and 125 other
items with 200 left out, CPU time: at 20,000 rows of 192 numbers 0.54 ms, by the index 1.37 ms; at 40,000 1.37 and
2.47 ms. It grows with the rows, the index less."""
SPARE = 16
"""The index is asked for so many more than are wanted: its order is that of rounded vectors."""
MOST_OF_INDEX = 0.06
"""Share of a partition from which on the index would take longer to find it than the exact product."""


Found = tuple[Rows, NDArray[np.float32]]
"""Rows, best first, and their products, float32 [n]."""


class RowFilter(Protocol):
    """Which rows an answer may hold."""

    @property
    def cold(self) -> bool | None:
        """Partition that all of them lie in; None: either."""
        ...

    @property
    def excluded(self) -> int:
        """How many single items are left out."""
        ...

    def mask(self) -> Mask:
        """Bool [rows of the table]."""
        ...

    def among(self, rows: Rows) -> Mask:
        """The same for some rows, bool [n]."""
        ...


@dataclass(frozen=True)
class Batch:
    """Rows on their way into the index.

    Attributes:
        rows: Rows.
        changes: How often each had changed when they were taken.
        searchable: Whether it is to be found.
        cold: Partition it belongs to.
        vectors: float32 [n, D].
        indexes: Where they go.
    """

    rows: Rows
    changes: NDArray[np.int64]
    searchable: Mask
    cold: Mask
    vectors: NDArray[np.float32]
    indexes: PartitionIndexes


class SearchSpace:
    """Vectors by row.

    Args:
        dim: Length of the vectors, D.
        metric: ``cos`` for unit vectors, ``ip`` where lengths mean something.
        exact_below: See ``EXACT_BELOW``.
    """

    def __init__(self, dim: int, *, metric: Metric = "cos", exact_below: int = EXACT_BELOW) -> None:
        self.dim = dim
        self.vectors: NDArray[np.float32] = np.zeros((FIRST_ROWS, dim), np.float32)
        self.searchable: Mask = np.zeros(FIRST_ROWS, np.bool_)
        self._stale: Mask = np.zeros(FIRST_ROWS, np.bool_)
        self._changes: NDArray[np.int64] = np.zeros(FIRST_ROWS, np.int64)
        self._metric = metric
        self._exact_below = exact_below
        self._indexes = PartitionIndexes(dim, metric)
        self._size = 0

    def set(self, row: int, vector: Vector | None) -> None:
        """Give a row its vector, float32 [D]; None: it cannot be found here any more."""
        self._reach(row)
        self.searchable[row] = vector is not None
        if vector is not None:
            self.vectors[row] = vector
        self.touch(row)

    def keep(self, row: int, vector: Vector) -> None:
        """Hold a vector without letting it be found yet."""
        self._reach(row)
        self.vectors[row] = vector
        self.searchable[row] = False
        self.touch(row)

    def touch(self, row: int) -> None:
        """Note that the row, or its partition, changed."""
        self._reach(row)
        self._stale[row] = True
        self._changes[row] += 1

    def restrict(self, searchable: Mask) -> None:
        """Let exactly these rows, bool [n], be found; the index begins anew."""
        self._reach(len(searchable) - 1)
        self.searchable[: self._size] = False
        self.searchable[: len(searchable)] = searchable
        self._stale[: self._size] = True
        self._changes[: self._size] += 1
        self._indexes = PartitionIndexes(self.dim, self._metric)

    def vector_of(self, row: int) -> Vector | None:
        """A copy of the row's vector [D]; None if it cannot be found here."""
        if row >= self._size or not self.searchable[row]:
            return None
        found: Vector = self.vectors[row].copy()
        return found

    def products(self, rows: Rows, vector: Vector) -> NDArray[np.float32]:
        """Inner products [n] of the rows with ``vector`` [D]; 0 for those that have none here."""
        found: NDArray[np.float32] = np.zeros(len(rows), np.float32)
        here = self.present(rows)
        found[here] = self.vectors[rows[here]] @ vector
        return found

    def rows(self, rows: Rows) -> NDArray[np.float32]:
        """Vectors [n, D] of rows; zeros for those that cannot be found here."""
        found: NDArray[np.float32] = np.zeros((len(rows), self.dim), np.float32)
        here = self.present(rows)
        found[here] = self.vectors[rows[here]]
        return found

    def present(self, rows: Rows) -> Mask:
        """Which of the rows can be found here, bool [n]."""
        here: Mask = rows < self._size
        here[here] = self.searchable[rows[here]]
        return here

    def search(self, vector: Vector, limit: int, allowed: RowFilter) -> Found:
        """The ``limit`` rows of the largest products with ``vector`` [D], best first, and these products."""
        return self.search_each(vector, [(limit, allowed)])[0]

    def search_each(self, vector: Vector, asked: Sequence[tuple[int, RowFilter]]) -> list[Found]:
        """The same for several limits and filters; where the exact product is used, it is made once."""
        product: NDArray[np.float32] | None = None
        answers = []
        for limit, allowed in asked:
            found = self._approximate(vector, limit, allowed)
            if found is None:
                rows = self._allowed(allowed.mask())
                # A few rows are gathered; for many the whole product is cheaper than the copy.
                if product is None and len(asked) * len(rows) * 4 < self._size:
                    found = self._best_of(rows, vector, limit)
                else:
                    product = self.vectors[: self._size] @ vector if product is None else product
                    found = _best(rows, product[rows], limit)
            answers.append(found)
        return answers

    # -- the index ---------------------------------------------------------------------------------

    def take_stale(self, batch: int, cold: Callable[[Rows], Mask]) -> Batch | None:
        """At most ``batch`` rows that the index does not know as they are; None while the exact product is used."""
        if np.count_nonzero(self.searchable[: self._size]) <= self._exact_below:
            return None
        rows = np.flatnonzero(self._stale[: self._size])[:batch]
        if not len(rows):
            return None
        return Batch(rows, self._changes[rows], self.searchable[rows], cold(rows), self.vectors[rows], self._indexes)

    def indexed(self, batch: Batch) -> None:
        """Those rows of a batch that did not change meanwhile are known to the index now."""
        if batch.indexes is self._indexes:
            self._stale[batch.rows[self._changes[batch.rows] == batch.changes]] = False

    def _approximate(self, vector: Vector, limit: int, allowed: RowFilter) -> Found | None:
        """The index for rows it knows as they are, the exact product for the others; looks at rows found, not at all.

        None: the exact product is to be used, because few rows are allowed or the index lags.
        """
        if self._indexes.size(None) <= self._exact_below:
            return None
        indexed, fetched = self._indexes.size(allowed.cold), limit + allowed.excluded + SPARE
        if indexed <= self._exact_below and fetched > MOST_OF_INDEX * indexed:
            return None
        near = self._found(vector, fetched, allowed)
        if len(near) < limit:
            # the index knows no filters: as many more are fetched as the filter will take away
            fetched = fetched * limit // max(1, len(near)) + limit // 10 + SPARE
            if fetched > MOST_OF_INDEX * indexed:
                return None
            near = self._found(vector, fetched, allowed)
            if len(near) < limit:
                return None
        stale = self._stale[: self._size]
        if stale.any():
            late = np.flatnonzero(stale & self.searchable[: self._size])
            late = late[allowed.among(late)]
            if len(late) * MOST_LATE > len(stale):
                return None
            near = np.concatenate([near, late])
        return self._best_of(near, vector, limit)

    def _found(self, vector: Vector, count: int, allowed: RowFilter) -> Rows:
        """Rows that the index finds, knows as they are, and the filter allows."""
        near = self._indexes.search(vector, count, allowed.cold)
        near = near[self.searchable[near] & ~self._stale[near]]
        return near[allowed.among(near)]

    def _allowed(self, mask: Mask) -> Rows:
        known = min(len(mask), self._size)
        return np.flatnonzero(mask[:known] & self.searchable[:known])

    def _best_of(self, rows: Rows, vector: Vector, limit: int) -> Found:
        return _best(rows, self.vectors[rows] @ vector, limit)

    def _reach(self, row: int) -> None:
        if row >= len(self.vectors):
            self._grow(max(2 * len(self.vectors), row + 1))
        self._size = max(self._size, row + 1)

    def _grow(self, capacity: int) -> None:
        added = capacity - len(self.vectors)
        self.vectors = np.concatenate([self.vectors, np.zeros((added, self.dim), np.float32)])
        self.searchable = np.concatenate([self.searchable, np.zeros(added, np.bool_)])
        self._stale = np.concatenate([self._stale, np.zeros(added, np.bool_)])
        self._changes = np.concatenate([self._changes, np.zeros(added, np.int64)])


def put_in_index(batch: Batch) -> None:
    """The slow part of indexing; needs no lock of the table."""
    for place, row in enumerate(batch.rows.tolist()):
        vector = batch.vectors[place] if batch.searchable[place] else None
        batch.indexes.put(row, vector, cold=bool(batch.cold[place]))


def _best(rows: Rows, scores: NDArray[np.float32], limit: int) -> Found:
    best = top(scores, limit)
    return rows[best], scores[best]


def top(scores: NDArray[np.floating], limit: int) -> Rows:
    """Indices of the largest scores, best first; equal ones in order of arrival."""
    if limit < len(scores):
        part = np.argpartition(-scores, limit - 1)[:limit] if limit > 0 else np.empty(0, np.int64)
        part.sort()
        return part[np.argsort(-scores[part], kind="stable")]
    return np.argsort(-scores, kind="stable")
