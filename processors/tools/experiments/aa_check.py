"""Checks of the split itself: buckets are uniform, layers independent, and equal arms are found to be equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from processors.runtime.experiment_settings import BUCKETS, LAYERS, Experiments
from processors.serving.experiments.split import bucket_of
from processors.tools.experiments.inference import goodness_of_fit_p, independence_p
from processors.tools.experiments.measures import RATES, rate
from processors.tools.experiments.observations import Observations

USERS = 100_000
ALPHA = 0.05
TENTHS = 10
LEAST_P = 1e-4
SAFE_Z = 3.9
"""A sound check fails once in ten thousand times: there are a dozen, and an alarm must mean something."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: What was checked.
        value: A probability (``p``) or a rate of false alarms.
        low: Least value that a sound split has but once in ten thousand times.
        high: Largest such value.
    """

    name: str
    value: float
    low: float
    high: float

    @property
    def ok(self) -> bool:
        """Whether it passed."""
        return self.low <= self.value <= self.high


def split_checks(settings: Experiments, users: int = USERS) -> list[Check]:
    """Uniform buckets in each layer and independent layers, over made-up user ids."""
    buckets = {
        layer: np.array([bucket_of(settings.salts[layer], f"user-{number}") for number in range(users)], np.int64)
        for layer in LAYERS
    }
    uniform = [
        Check(
            f"buckets of layer {layer} uniform, p",
            goodness_of_fit_p(np.bincount(of, minlength=BUCKETS).astype(float), np.ones(BUCKETS)),
            LEAST_P,
            1.0,
        )
        for layer, of in buckets.items()
    ]
    tenth = BUCKETS // TENTHS
    independent = [
        Check(
            f"layers {one} and {other} independent, p",
            independence_p(buckets[one] // tenth, buckets[other] // tenth, TENTHS),
            LEAST_P,
            1.0,
        )
        for one, other in combinations(LAYERS, 2)
    ]
    return uniform + independent


def false_alarms(observed: Observations, splits: int) -> list[Check]:
    """Split the window's users in halves again and again, by a new salt each time: 5 % of the comparisons must alarm.

    Args:
        observed: The window.
        splits: How many re-splits.
    """
    ids, everybody = observed.everybody()
    p_values: dict[str, list[float]] = {name: [] for name in RATES}
    for turn in range(splits):
        first = np.array([bucket_of(f"aa-{turn}", user) < BUCKETS // 2 for user in ids], np.bool_)
        halves = [everybody.users(np.flatnonzero(mine)) for mine in (first, ~first)]
        for name in RATES:
            one, other = (rate(half, name) for half in halves)
            if one is not None and other is not None:
                p_values[name].append(one.minus(other).p_value)
    return [_alarms(name, values) for name, values in p_values.items() if values]


def _alarms(name: str, p_values: Sequence[float]) -> Check:
    found: NDArray[np.bool_] = np.array(p_values) < ALPHA
    tolerance = SAFE_Z * math.sqrt(ALPHA * (1 - ALPHA) / len(found))
    return Check(f"{name}: false alarms", float(found.mean()), max(0.0, ALPHA - tolerance), ALPHA + tolerance)
