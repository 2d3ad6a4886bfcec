"""Where to put a threshold, from what people decided of the cases between the thresholds.

Only what is reviewed is seen: nothing is known of items below the threshold of review, nor of those beyond that of
rejection where that is not reviewed. So every figure is one among reviewed cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 30
"""Decisions under which nothing is said of a rule."""
FEWEST_BEYOND = 10
"""Cases beyond a border under which its precision is no finding."""
RESAMPLES = 500
SURE = 0.95
"""Of every interval."""
_Z = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """A share of cases with its 95 % interval (E. B. Wilson, 1927).

    Attributes:
        value: 0..1; NaN of no cases.
        low: Lower end.
        high: Upper end.
        cases: Of how many.
    """

    value: float
    low: float
    high: float
    cases: int

    @classmethod
    def of(cls, hits: int, cases: int) -> Share:
        """``hits`` of ``cases``."""
        if not cases:
            return cls(math.nan, 0.0, 1.0, 0)
        share = hits / cases
        spread = _Z * math.sqrt(share * (1 - share) / cases + (_Z / (2 * cases)) ** 2)
        middle, scale = share + _Z**2 / (2 * cases), 1 + _Z**2 / cases
        return cls(share, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale), cases)


@dataclass(frozen=True)
class Border:
    """A threshold that reaches the precision asked for.

    Attributes:
        score: From there on.
        low: Lower end of its 95 % interval, by resampling the cases.
        high: Upper end.
        precision: Share of the cases beyond it that people decided so.
        recall: Share of the cases that people decided so which lie beyond it; among reviewed ones.
    """

    score: float
    low: float
    high: float
    precision: Share
    recall: Share


def border(scores: Sequence[float], hit: Sequence[bool], target: float, *, rising: bool) -> Border | None:
    """The threshold nearest to the harmless end beyond which ``target`` of the cases are hits.

    Args:
        scores: Score of each case.
        hit: Whether people decided as the rule would beyond the threshold.
        target: Precision, 0..1.
        rising: Whether beyond means higher.

    Returns:
        None where no threshold with ``FEWEST_BEYOND`` cases beyond it has that precision.
    """
    sign = 1.0 if rising else -1.0
    signed = sign * np.asarray(scores, np.float64)
    order = np.argsort(-signed, kind="stable")
    values, hits = signed[order], np.asarray(hit, np.int64)[order]
    last = _last(values, hits, np.ones_like(hits), target)
    if last is None:
        return None
    chances, drawing = np.full(len(values), 1 / len(values)), np.random.default_rng(0)
    resampled = [_last(values, hits, drawing.multinomial(len(values), chances), target) for _ in range(RESAMPLES)]
    between = [_between(values, each) for each in (last, *resampled) if each is not None]
    ends = np.quantile(between, [(1 - SURE) / 2, (1 + SURE) / 2])
    low, high = sorted(float(sign * end) for end in ends)
    beyond, right = last + 1, int(hits[: last + 1].sum())
    precision, recall = Share.of(right, beyond), Share.of(right, int(hits.sum()))
    return Border(sign * _between(values, last), low, high, precision, recall)


def _last(values: NDArray[np.float64], hits: NDArray[np.int64], drawn: NDArray[np.int64], target: float) -> int | None:
    """Index of the last case beyond the border in a sample; None: there is no border.

    Args:
        values: Scores, the worst first, shape [N].
        hits: 0 or 1, shape [N].
        drawn: How often each case is in the sample, shape [N].
        target: Precision, 0..1.
    """
    cases, right = np.cumsum(drawn), np.cumsum(drawn * hits)
    # equal scores lie on one side of any threshold
    last_of_equals = np.append(values[1:] != values[:-1], True)
    good = np.flatnonzero((right >= target * cases) & (cases >= FEWEST_BEYOND) & last_of_equals)
    return int(good[-1]) if len(good) else None


def _between(values: NDArray[np.float64], last: int) -> float:
    """Half-way to the next case, so that it does not matter on which side of a threshold an equal score lies."""
    return float(values[last : last + 2].mean())
