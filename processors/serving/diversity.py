"""Diversity: an answer's order by score and by unlikeness to what stands above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def maximal_marginal_relevance(
    score: NDArray[np.float32], vectors: NDArray[np.float32], weight: float, limit: int
) -> NDArray[np.int64]:
    """Places of the chosen ones, best first, int64 [min(limit, n)].

    Each step takes the item of the greatest ``weight * score - (1 - weight) * likeness``, likeness being the largest
    cosine to those taken before (Carbonell & Goldstein 1998). Scores are first stretched to 0..1, so that the weight
    means the same for every ranker.

    Args:
        score: float32 [n], larger is better.
        vectors: float32 [n, D]; zeros for an item without one: it is like no other.
        weight: 1: by score alone; 0: by unlikeness alone, after the best one.
        limit: Most items.
    """
    count = len(score)
    if weight >= 1.0 or count < 2:
        return np.argsort(-score, kind="stable")[:limit]
    spread = float(np.ptp(score))
    relevance = (score - score.min()) / spread if spread > 0 else np.zeros(count, np.float32)
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 0)
    likeness = np.zeros(count, np.float32)
    taken = np.empty(min(limit, count), np.int64)
    for place in range(len(taken)):
        value = weight * relevance - (1.0 - weight) * likeness
        value[taken[:place]] = -np.inf
        best = int(np.argmax(value))
        taken[place] = best
        np.maximum(likeness, units @ units[best], out=likeness)
    return taken
