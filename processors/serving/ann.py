"""Approximate neighbours of one partition of the snapshot, by row number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from processors.serving.item_table import Mask, Rows

OVERFETCH = 4


class RowIndex:
    """HNSW over unit vectors (usearch, inner product). Keys are rows of the item table. Not locked.

    Args:
        dim: Length of the vectors.
    """

    def __init__(self, dim: int) -> None:
        self._index = Index(ndim=dim, metric="ip", dtype="f32")

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, row: int) -> bool:
        return row in self._index

    def put(self, row: int, vector: NDArray[np.float32]) -> None:
        """Add or replace a row's vector."""
        self.drop(row)
        self._index.add(row, vector, threads=1)

    def drop(self, row: int) -> None:
        """Remove a row; an absent one is no error."""
        if row in self._index:
            self._index.remove(row)

    def search(self, vector: NDArray[np.float32], limit: int, allowed: Mask) -> tuple[Rows, NDArray[np.float32]]:
        """Nearest allowed rows and their inner products, best first.

        The index knows no filters, so more than asked is fetched, and again more where too little was left.
        """
        fetched = min(len(self), OVERFETCH * limit)
        while fetched:
            matches = self._index.search(vector, fetched, threads=1)
            rows = matches.keys.astype(np.int64)
            keep = allowed[rows]
            if keep.sum() >= limit or fetched == len(self):
                return rows[keep][:limit], (1.0 - matches.distances[keep][:limit]).astype(np.float32)
            fetched = min(len(self), fetched * OVERFETCH)
        return np.empty(0, np.int64), np.empty(0, np.float32)
