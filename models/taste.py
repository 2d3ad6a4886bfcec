"""What few plays tell: means drawn to a prior, and a ridge regression (Hoerl & Kennard 1970) on item vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 5.0
"""Plays that a mean is drawn to the prior with."""
RIDGE = 3.0
"""Penalty of the regression, against vectors of norm 1."""
COMPLETION_UNITS = 10_000
"""Of a whole play, in sums of completions: whole numbers, so that a sum does not depend on the order of its plays."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]


def taste(vectors: Floats, beyond: Doubles) -> tuple[Floats, float]:
    """What a user's plays tell of his liking of items.

    Args:
        vectors: Unit vectors of the items played, float32 [n, D].
        beyond: `ranking_features.surplus` of each play, float64 [n].

    Returns:
        float32 [D], whose inner product with a unit vector is the expected surplus beyond his mean; and that mean
        surplus, drawn to 0. Zeros without plays.
    """
    count, dim = vectors.shape
    if not count:
        return np.zeros(dim, np.float32), 0.0
    lift = float(beyond.sum() / (count + SMOOTHING))
    wide, rest = vectors.astype(np.float64), beyond - lift
    if count < dim:
        weights = wide.T @ np.linalg.solve(wide @ wide.T + RIDGE * np.eye(count), rest)  # [D]
    else:
        weights = np.linalg.solve(wide.T @ wide + RIDGE * np.eye(dim), wide.T @ rest)  # [D]
    return weights.astype(np.float32), lift


def smoothed(mean: Doubles, plays: Longs, prior: float) -> Doubles:
    """Mean of that many plays [n] drawn to a prior, float64 [n]; the prior without plays."""
    found: Doubles = (np.where(plays > 0, mean, 0.0) * plays + SMOOTHING * prior) / (plays + SMOOTHING)
    return found


def mean_completion(total: Longs, plays: Longs) -> Doubles:
    """Mean completion, float64 [n], of plays whose completions in `COMPLETION_UNITS` sum up to ``total`` [n].

    Args:
        total: int64 [n].
        plays: int64 [n]; without any the mean is 0.
    """
    mean: Doubles = total / (np.maximum(plays, 1) * COMPLETION_UNITS)
    return mean


def unit(vectors: Floats) -> Floats:
    """Rows [n, D] scaled to norm 1; zeros stay zeros."""
    norm = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return (vectors / np.where(norm > 0, norm, 1.0)).astype(np.float32)
