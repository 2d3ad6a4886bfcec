"""Approximate neighbours in the snapshot's two partitions, by row number."""

from __future__ import annotations

import threading
from typing import Literal

import numpy as np

# onnxruntime must be in the process before usearch: loaded after it, it crashes (ADR 0007)
import onnxruntime  # noqa: F401
from numpy.typing import NDArray
from usearch.index import Index

from processors.serving.item_table import Rows

EXPANSION_SEARCH = 192
"""Nodes HNSW looks at at least; the default of 64 loses a third of 50 neighbours of random vectors."""
EXPANSION_ADD = 256
"""Of 375 neighbours among 80,000 clustered vectors of 192 numbers the default of 128 loses 11 %, this 7 %."""

Metric = Literal["cos", "ip"]
STORED_AS = {"cos": "i8", "ip": "f16"}
"""Eight bits need unit vectors; where lengths mean something, sixteen."""


class PartitionIndexes:
    """One HNSW for cold rows and one for warm ones (usearch; unit vectors in eight bits a number).

    Keys are rows of the item table. Eight bits make building and searching twice as fast as floats; who searches
    compares what was found with the vectors themselves. Putting a row takes a quarter of a millisecond, so its lock
    is its own and is held for one row at a time.

    Args:
        dim: Length of the vectors.
        metric: ``cos`` for unit vectors, ``ip`` (inner product) for others.
    """

    def __init__(self, dim: int, metric: Metric = "cos") -> None:
        self._lock = threading.Lock()
        self._of = {
            cold: Index(
                ndim=dim,
                metric=metric,
                dtype=STORED_AS[metric],
                expansion_search=EXPANSION_SEARCH,
                expansion_add=EXPANSION_ADD,
            )
            for cold in (True, False)
        }

    def put(self, row: int, vector: NDArray[np.float32] | None, *, cold: bool) -> None:
        """Have the row with this vector in this partition only; None: in neither."""
        with self._lock:
            for index in self._of.values():
                if row in index:
                    index.remove(row)
            if vector is not None:
                self._of[cold].add(row, vector, threads=1)

    def size(self, cold: bool | None) -> int:
        """Rows in the partition; None: in both."""
        return sum(len(self._of[each]) for each in _partitions(cold))

    def search(self, vector: NDArray[np.float32], limit: int, cold: bool | None) -> Rows:
        """About the ``limit`` nearest rows of the partition (None: of each of both), unordered."""
        with self._lock:
            return np.concatenate([_search(self._of[each], vector, limit) for each in _partitions(cold)])


def _partitions(cold: bool | None) -> tuple[bool, ...]:
    return (True, False) if cold is None else (cold,)


def _search(index: Index, vector: NDArray[np.float32], limit: int) -> Rows:
    if not len(index):
        return np.empty(0, np.int64)
    rows: Rows = index.search(vector, min(limit, len(index)), threads=1).keys.astype(np.int64)
    return rows
