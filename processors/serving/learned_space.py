"""The published items in the space of one recommender bundle.

Rows are those of the item table. Vectors come from the bundle in this process: of its own items the trained ones, of
all others those mapped from their content. So no vector of another version can get in, and a new version is filled
beside the one in use before it takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.ports import Vector
from features.views import CONTENT_JOINT
from models.ranking_features import ItemColumns
from models.recommender import ItemContent, MappedItems, Recommender
from models.taste import mean_completion
from processors.serving.candidates import Candidates
from processors.serving.item_table import FIRST_ROWS, ItemTable, Mask, Rows
from processors.serving.popularity import HOUR_MS
from processors.serving.search_space import SearchSpace

DAY_MS = 24 * HOUR_MS
NO_YEARS = np.zeros(0, np.int16)
EXACT_BELOW = 150_000
"""As ``search_space.EXACT_BELOW``, for vectors of 64 numbers: for 500 played and 250 other items with 200 left out the
exact product takes 0.25 ms at 20,000 rows, the index 1.6 ms; at 40,000 0.54 and 2.4 ms, at 80,000 1.2 and 2.8 ms."""


@dataclass(frozen=True)
class Waiting:
    """Items that a space does not hold as they are.

    Attributes:
        rows: Their rows.
        changes: How often each had changed when it was taken.
        content: What is known of them.
    """

    rows: Rows
    changes: NDArray[np.int64]
    content: ItemContent

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Placed:
    """One item in a space.

    Attributes:
        vector: float32 [D].
        trained: Whether training placed it; else its content did.
        parts: Weight of each part of its content that it has; none for a trained item.
        cold: Whether it counts as cold.
    """

    vector: Vector
    trained: bool
    parts: dict[str, float]
    cold: bool


class LearnedSpace:
    """Vectors, gates and codes by row. Not locked: ``CatalogueSnapshot`` does that.

    Args:
        recommender: The bundle.
        exact_below: See ``EXACT_BELOW``.
    """

    def __init__(self, recommender: Recommender, *, exact_below: int = EXACT_BELOW) -> None:
        self.recommender = recommender
        self.vectors = SearchSpace(recommender.dim, metric="ip", exact_below=exact_below)
        # how wide codes and tags are, it tells only with an answer
        none = recommender.map(ItemContent((), np.zeros((0, CONTENT_JOINT.dim), np.float32), (), (), NO_YEARS))
        self.trained: NDArray[np.int32] = np.full(FIRST_ROWS, -1, np.int32)
        self.gates: NDArray[np.float32] = np.zeros((FIRST_ROWS, len(recommender.parts)), np.float32)
        self.codes: NDArray[np.int16] = np.full((FIRST_ROWS, none.codes.shape[1]), -1, np.int16)
        self.tagged: Mask = np.zeros((FIRST_ROWS, none.tagged.shape[1]), np.bool_)
        self._seen: NDArray[np.int64] = np.full(FIRST_ROWS, -1, np.int64)

    @property
    def version(self) -> str:
        """Version of the bundle."""
        return self.recommender.version

    def behind(self, changes: NDArray[np.int64], alive: Mask, limit: int) -> Rows:
        """At most ``limit`` published rows that are not mapped as they are."""
        self.reach(len(changes))
        return np.flatnonzero(alive & (self._seen[: len(changes)] != changes))[:limit]

    def put(self, waiting: Waiting, mapped: MappedItems, still: Mask) -> None:
        """Take what was computed, for those rows that did not change meanwhile (``still``)."""
        for place in np.flatnonzero(still).tolist():
            row = int(waiting.rows[place])
            self._seen[row] = waiting.changes[place]
            self.vectors.set(row, mapped.vectors[place] if mapped.found[place] else None)
        rows = waiting.rows[still]
        self.trained[rows] = mapped.trained[still]
        self.gates[rows] = mapped.gates[still]
        self.codes[rows] = mapped.codes[still]
        self.tagged[rows] = mapped.tagged[still]

    def release(self, row: int) -> None:
        """Forget a row; another item may get it, which must not be taken for this one."""
        self.reach(row + 1)
        self.vectors.set(row, None)
        self.trained[row], self.gates[row], self.codes[row], self.tagged[row] = -1, 0, -1, False
        self._seen[row] = -1

    def columns(self, table: ItemTable, rows: Rows, now_ms: int) -> ItemColumns:
        """What ranking is told of rows of the table [n]."""
        self.reach(table.size)
        known, plays = table.columns, table.columns.plays[rows]
        return ItemColumns(
            row=self.trained[rows].astype(np.int64),
            tagged=self.tagged[rows],
            year=known.year[rows],
            kind=known.kind[rows],
            codes=self.codes[rows].astype(np.int64),
            plays=plays,
            completion=known.completions[rows] / np.maximum(plays, 1),
            age_days=np.maximum(0, now_ms - known.published_ms[rows]) / DAY_MS,
            # as the ranker was trained: not whether recall counts it among the cold ones
            cold=plays == 0,
            vector=self.vectors.rows(rows),
            measured=known.measured[rows],
            mean=mean_completion(known.completion_sum[rows], known.measured[rows]),
        )

    def reasons(self, rows: Rows) -> NDArray[np.int8]:
        """By which means each row was placed, as `Candidates.reason` has it."""
        learned, mapped = Candidates.code("learned"), Candidates.code("mapped")
        return np.where(self.trained[rows] >= 0, learned, mapped).astype(np.int8)

    def placed(self, row: int, *, cold: bool) -> Placed | None:
        """What is known of a row; None if it is not placed."""
        vector = self.vectors.vector_of(row)
        if vector is None:
            return None
        weights = zip(self.recommender.parts, self.gates[row].tolist(), strict=True)
        parts = {name: weight for name, weight in weights if weight > 0.0}
        return Placed(vector, bool(self.trained[row] >= 0), parts, cold)

    def reach(self, size: int) -> None:
        """Have room for so many rows."""
        missing = size - len(self._seen)
        if missing <= 0:
            return
        added = max(missing, len(self._seen))
        self._seen = np.concatenate([self._seen, np.full(added, -1, np.int64)])
        self.trained = np.concatenate([self.trained, np.full(added, -1, np.int32)])
        self.gates = np.concatenate([self.gates, np.zeros((added, self.gates.shape[1]), np.float32)])
        self.codes = np.concatenate([self.codes, np.full((added, self.codes.shape[1]), -1, np.int16)])
        self.tagged = np.concatenate([self.tagged, np.zeros((added, self.tagged.shape[1]), np.bool_)])
