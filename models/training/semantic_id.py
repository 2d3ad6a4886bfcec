"""Learns the codebooks of semantic ids: residual k-means.

QARM (Luo et al. 2024, arXiv:2411.11739); k-means++ starts of Arthur & Vassilvitskii 2007, as in scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from models.semantic_id import SemanticIds
from models.training.loop import TrainingError


@dataclass(frozen=True, slots=True)
class Config:
    """Settings.

    Attributes:
        levels: Codes an item.
        size: Centres a level.
        starts: Starts of k-means, the best of which is kept.
        seed: Seed of the starts.
    """

    levels: int = 3
    size: int = 32
    starts: int = 4
    seed: int = 7

    @staticmethod
    def debug() -> Config:
        """Small enough for a test."""
        return Config(levels=3, size=4, starts=1)


def fit_semantic_ids(vectors: NDArray[np.float32], config: Config | None = None) -> SemanticIds:
    """Codebooks float32 [L, K, D] of vectors [N, D].

    Raises:
        TrainingError: Fewer vectors than centres.
        ValueError: A vector that is not finite.
    """
    config = config or Config()
    if len(vectors) < config.size:
        raise TrainingError(f"{len(vectors)} items, {config.size} centres of semantic ids need as many at least")
    left = vectors.astype(np.float32)  # [N, D]
    books = []
    for level in range(config.levels):
        means = KMeans(config.size, n_init=config.starts, random_state=config.seed + level).fit(left)
        books.append(means.cluster_centers_.astype(np.float32))  # [K, D]
        left = left - books[-1][means.predict(left)]
    return SemanticIds(np.stack(books))
