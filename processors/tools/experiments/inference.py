"""Means, intervals and tests for randomised users.

A rate such as clicks by offers is a ratio of sums over users, and the offers of one user are not independent: its
variance is that of the delta method over users (Deng, Knoblich and Lu 2018, *Applying the delta method in metric
analytics*), never that of so many independent offers. Intervals are normal ones of 95 %: right for some hundred users.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its uncertainty.

    Attributes:
        value: Estimate.
        error: Its standard error; not negative.
    """

    value: float
    error: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - Z * self.error

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value + Z * self.error

    @property
    def p_value(self) -> float:
        """Probability of a value at least so far from 0 by chance, were it 0; 1 where nothing varied and it is 0."""
        if self.error == 0.0:
            return float(self.value == 0.0)
        return math.erfc(abs(self.value) / self.error / math.sqrt(2.0))

    def minus(self, other: Estimate) -> Estimate:
        """Difference of two independent estimates."""
        return Estimate(self.value - other.value, math.hypot(self.error, other.error))


def ratio(numerator: Floats, denominator: Floats) -> Estimate | None:
    """Sum of ``numerator`` by sum of ``denominator``, each [users]; None with under two users or a sum of 0."""
    users, below = len(denominator), float(denominator.sum())
    if users < 2 or below <= 0.0:
        return None
    value = float(numerator.sum()) / below
    # the numerator's residual carries all three terms of the delta method
    residual = numerator - value * denominator
    return Estimate(value, float(residual.std(ddof=1)) * math.sqrt(users) / below)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Probability that a chi-square variable exceeds ``statistic``.

    The finite sums for whole degrees of freedom (Abramowitz and Stegun 26.4.4 and 26.4.5); SciPy would be a hundred
    megabytes of the service's image for this one function.

    Args:
        statistic: Not negative.
        freedom: Degrees of freedom, at least 1.
    """
    half = statistic / 2.0
    if half == 0.0:
        return 1.0
    odd = freedom % 2
    tail = math.erfc(math.sqrt(half)) if odd else 0.0
    # each term half^k e^-half / Gamma(k + 1) by its logarithm: the power alone would overflow
    for step in range(freedom // 2):
        power = step + odd / 2.0
        tail += math.exp(power * math.log(half) - half - math.lgamma(power + 1.0))
    return min(1.0, tail)


def goodness_of_fit_p(counts: Sequence[float] | Floats, shares: Sequence[float] | Floats) -> float:
    """Pearson's chi-square test: probability of such counts under the shares; 1 where nothing was counted.

    Args:
        counts: How many fell into each class, [k].
        shares: Planned parts, positive, in proportion, [k] with k >= 2.
    """
    found = np.asarray(counts, np.float64)
    planned = np.asarray(shares, np.float64)
    expected = found.sum() * planned / planned.sum()
    if found.sum() == 0.0:
        return 1.0
    return chi_square_tail(float(((found - expected) ** 2 / expected).sum()), len(found) - 1)


def independence_p(one: NDArray[np.int64], other: NDArray[np.int64], classes: int) -> float:
    """Pearson's chi-square test of independence of two classifications, each 0..classes-1, [n]."""
    table = np.bincount(one * classes + other, minlength=classes * classes).reshape(classes, classes).astype(float)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return chi_square_tail(float(((table - expected) ** 2 / expected).sum()), (classes - 1) ** 2)
