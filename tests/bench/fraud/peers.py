"""Other ways to cluster the same vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import HDBSCAN

from models.fraud_clustering.likeness_graph import COSINE_UNIT, LikenessGraph, likeness, rounded

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
CORE = 3


def hdbscan(vectors: Floats) -> Ints:
    """scikit-learn's HDBSCAN with clusters of three and more, [N]."""
    found: Ints = HDBSCAN(min_cluster_size=CORE, copy=True).fit_predict(vectors).astype(np.int64)
    return found


def sifted(vectors: Floats, cluster: Ints, least: float) -> Ints:
    """Only clusters whose members have at least this cosine in the mean, [N]."""
    kept = np.full_like(cluster, -1)
    for number in range(cluster.max() + 1):
        rows = np.flatnonzero(cluster == number)
        total = vectors[rows].sum(0)
        if (total @ total - len(rows)) / (len(rows) * (len(rows) - 1)) >= least:
            kept[rows] = number
    return kept


class Links:
    """Which vectors have at least some cosine, found by our own search."""

    def __init__(self, vectors: Floats, least: float) -> None:
        graph = LikenessGraph(vectors.shape[1], least, len(vectors))
        rows, _ = graph.replace([], [rounded(vector) for vector in vectors])
        found = [(row, other, key) for row in rows for other, key in graph.links[row].items() if row < other]
        ends = np.array([(row, other) for row, other, _ in found], dtype=np.int64).reshape(-1, 2)
        self._size = len(vectors)
        self._one, self._other = ends.T
        self._cosine = np.array([likeness(key) for _, _, key in found]) / COSINE_UNIT

    def components(self, least: float) -> Ints:
        """Everything joined that is alike, [N]."""
        return self._joined(self._cosine >= least)

    def dense(self, least: float) -> Ints:
        """DBSCAN's core faces, those with two likenesses and more, joined where they are alike, [N]."""
        alike = self._cosine >= least
        ends = np.concatenate([self._one[alike], self._other[alike]])
        core = np.bincount(ends, minlength=self._size) + 1 >= CORE
        return self._joined(alike & core[self._one] & core[self._other])

    def supported(self, least: float, overlap: float) -> Ints:
        """Our own rule, but for devices, accounts with one picture and crowds, in one product of matrices, [N]."""
        alike = self._cosine >= least
        one, other = self._one[alike], self._other[alike]
        ends = (np.concatenate([one, other]), np.concatenate([other, one]))
        matrix = csr_matrix((np.ones(len(ends[0])), ends), shape=(self._size, self._size))
        common = np.asarray(matrix[one].multiply(matrix[other]).sum(1)).ravel()
        count = np.asarray(matrix.sum(1)).ravel() + 1
        tied = np.zeros_like(alike)
        tied[alike] = (common > 0) & (common + 2 >= overlap * np.sqrt(count[one] * count[other]))
        return self._joined(tied)

    def _joined(self, kept: npt.NDArray[np.bool_]) -> Ints:
        ends = (self._one[kept], self._other[kept])
        matrix = csr_matrix((np.ones(len(ends[0]), bool), ends), shape=(self._size, self._size))
        _, label = connected_components(matrix, directed=False)
        return np.where(np.bincount(label)[label] >= CORE, label, -1).astype(np.int64)
