"""Semantic ids: an item's vector as a few codes, coarse to fine.

Residual k-means of QARM (Luo et al. 2024, arXiv:2411.11739): the first code names the nearest of some centres, the
second the nearest to what the first leaves over, and so on. Items that agree in the first codes are alike, so codes
serve the ranker as fields that a new item shares with old ones, and name buckets of items.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from schemas.errors import AppError

TENSOR = "codebooks"


class SemanticIdError(AppError):
    """Codebooks that cannot be used, or vectors that they are not made for."""

    code = "semantic-ids-unusable"


class SemanticIds:
    """Encodes vectors. May be used by several threads at once.

    Args:
        codebooks: Centres of each level, float32 [L, K, D], finite.

    Raises:
        SemanticIdError: Another shape or type, or a value that is not finite.
    """

    def __init__(self, codebooks: NDArray[np.float32]) -> None:
        if codebooks.ndim != 3 or codebooks.dtype != np.float32 or 0 in codebooks.shape:
            raise SemanticIdError(f"codebooks: float32 [L, K, D] expected, got {codebooks.dtype} {codebooks.shape}")
        if not np.isfinite(codebooks).all():
            raise SemanticIdError("codebooks: a value is not finite")
        self.codebooks = codebooks
        self.levels, self.size, self.dim = codebooks.shape
        self._half_norms = 0.5 * (codebooks**2).sum(axis=2)  # [L, K]

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Codes of vectors [N, D], coarse to fine, int64 [N, L], 0 to K - 1; ties go to the lower code.

        Raises:
            SemanticIdError: Vectors of another width or not finite; the message names the row.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise SemanticIdError(f"vectors: [N, {self.dim}] expected, got {vectors.shape}")
        broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(broken):
            raise SemanticIdError(f"vectors: row {int(broken[0])} is not finite")
        left = vectors.astype(np.float32)
        codes = np.empty((len(vectors), self.levels), np.int64)
        for level, centres in enumerate(self.codebooks):
            # the nearest centre is that of the greatest x.c - |c|^2 / 2
            codes[:, level] = (left @ centres.T - self._half_norms[level]).argmax(axis=1)
            left = left - centres[codes[:, level]]
        return codes

    def decode(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        """What codes stand for, float32 [N, D]; codes [N, l] with l <= L give the coarser answer.

        Raises:
            SemanticIdError: A code that is not in the codebook, or more codes than levels.
        """
        self._check(codes)
        centres = self.codebooks[np.arange(codes.shape[1]), codes]  # [N, l, D]
        total: NDArray[np.float32] = centres.sum(axis=1, dtype=np.float32)
        return total

    def buckets(self, codes: NDArray[np.int64], levels: int = 1) -> NDArray[np.int64]:
        """Bucket of each item [N], 0 to K ** levels - 1: items that agree in the first codes share one.

        Args:
            codes: int64 [N, L].
            levels: How many codes must agree, 1 to L.

        Raises:
            SemanticIdError: See `decode`.
        """
        self._check(codes[:, :levels])
        place = self.size ** np.arange(levels - 1, -1, -1, dtype=np.int64)
        numbers: NDArray[np.int64] = codes[:, :levels] @ place
        return numbers

    def to_bytes(self) -> bytes:
        """The codebooks as safetensors."""
        return save({TENSOR: np.ascontiguousarray(self.codebooks)})

    def _check(self, codes: NDArray[np.int64]) -> None:
        if codes.ndim != 2 or not 0 < codes.shape[1] <= self.levels:
            raise SemanticIdError(f"codes: [N, 1 to {self.levels}] expected, got {codes.shape}")
        if codes.size and not (codes.min() >= 0 and codes.max() < self.size):
            raise SemanticIdError(f"codes: {int(codes.min())} to {int(codes.max())} given, 0 to {self.size - 1} known")


def from_bytes(content: bytes) -> SemanticIds:
    """What `SemanticIds.to_bytes` wrote.

    Raises:
        SemanticIdError: Other bytes.
    """
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise SemanticIdError(f"codebooks: not a safetensors file: {error}") from error
    if TENSOR not in tensors:
        raise SemanticIdError(f"codebooks: the file holds {sorted(tensors)}")
    return SemanticIds(tensors[TENSOR])


def read(path: Path) -> SemanticIds:
    """Codebooks from a file.

    Raises:
        SemanticIdError: It is not there or not such a file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SemanticIdError(f"{path}: {error.strerror}") from error
    return from_bytes(content)


def squared_errors(ids: SemanticIds, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean squared length of what is left of vectors [N, D] after 0, 1, ... L codes, float64 [L + 1]."""
    codes = ids.encode(vectors)
    left = [vectors] + [vectors - ids.decode(codes[:, : level + 1]) for level in range(ids.levels)]
    return np.array([float((each.astype(np.float64) ** 2).sum(axis=1).mean()) for each in left])
