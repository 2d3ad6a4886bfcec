"""Approximate neighbours in the snapshot's two partitions, by row number."""

from __future__ import annotations

import threading

import numpy as np

# onnxruntime must be in the process before usearch: loaded after it, it crashes (ADR 0007)
import onnxruntime  # noqa: F401
from numpy.typing import NDArray
from usearch.index import Index

from processors.serving.item_table import Mask, Rows

EXPANSION = 256
"""Nodes HNSW looks at at least; the default of 64 loses a third of 50 neighbours of random vectors."""
MARGIN = 1.2
OVERFETCH = 4


class PartitionIndexes:
    """One HNSW for cold rows and one for warm ones (usearch, inner product of unit vectors).

    Keys are rows of the item table. Putting a row takes about a millisecond, so its lock is its own and is
    held for one row at a time.

    Args:
        dim: Length of the vectors.
    """

    def __init__(self, dim: int) -> None:
        self._lock = threading.Lock()
        self._of = {
            cold: Index(ndim=dim, metric="ip", dtype="f32", expansion_search=EXPANSION) for cold in (True, False)
        }

    def put(self, row: int, vector: NDArray[np.float32] | None, *, cold: bool) -> None:
        """Have the row with this vector in this partition only; None: in neither."""
        with self._lock:
            for index in self._of.values():
                if row in index:
                    index.remove(row)
            if vector is not None:
                self._of[cold].add(row, vector, threads=1)

    def search(
        self, vector: NDArray[np.float32], limit: int, allowed: Mask, cold: bool | None
    ) -> tuple[Rows, NDArray[np.float32]]:
        """At most ``limit`` allowed rows of each partition asked for, with their inner products, unordered."""
        partitions = (True, False) if cold is None else (cold,)
        with self._lock:
            found = [_search(self._of[c], vector, limit, allowed) for c in partitions]
        return np.concatenate([rows for rows, _ in found]), np.concatenate([scores for _, scores in found])


def _search(index: Index, vector: NDArray[np.float32], limit: int, allowed: Mask) -> tuple[Rows, NDArray[np.float32]]:
    """The index knows no filters: as many more are fetched as the filter will take away, and again more where
    too little was left."""
    expected = limit * len(index) / max(1, int(np.count_nonzero(allowed)))
    fetched = min(len(index), int(MARGIN * expected) + 16)
    while fetched:
        matches = index.search(vector, fetched, threads=1)
        rows = matches.keys.astype(np.int64)
        keep = allowed[rows]
        if keep.sum() >= limit or fetched == len(index):
            return rows[keep][:limit], (1.0 - matches.distances[keep][:limit]).astype(np.float32)
        fetched = min(len(index), fetched * OVERFETCH)
    return np.empty(0, np.int64), np.empty(0, np.float32)
