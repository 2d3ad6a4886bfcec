"""What is measured of an arm, and what distinguishes it from the control arm."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.runtime.experiment_settings import Experiment
from processors.tools.experiments.inference import Estimate, goodness_of_fit_p, ratio
from processors.tools.experiments.observations import Sample

RATES: dict[str, tuple[str, str | None]] = {
    "click-rate": ("opened", "offered"),
    "like-rate": ("liked", "plays"),
    "completion-rate": ("full_plays", "plays"),
    "play-minutes": ("minutes", None),
    "cold-offer-share": ("cold_offered", "offered"),
    "cold-play-share": ("cold_plays", "plays"),
}
"""Measure -> columns whose sums are divided; None: by the number of users."""
SUBSAMPLES = 100


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of one arm.

    Attributes:
        measure: Name; see ``docs/experiments.md``.
        arm: Arm.
        users: Users it was computed from.
        estimate: Its value.
        difference: Its value minus the control's; None for the control itself, or where that has none.
    """

    measure: str
    arm: str
    users: int
    estimate: Estimate
    difference: Estimate | None


def rate(sample: Sample, measure: str) -> Estimate | None:
    """A measure of ``RATES``; None where there is nothing to divide by."""
    above, below = RATES[measure]
    denominator = np.ones(len(sample)) if below is None else sample.counts[below]
    return ratio(sample.counts[above], denominator)


def measure(experiment: Experiment, samples: Mapping[str, Sample]) -> Iterator[Measured]:
    """Every measure of every arm that has users; arms that the settings do not know are left out.

    Args:
        experiment: Names the arms and the control.
        samples: Users by arm.
    """
    known = {arm.name: samples[arm.name] for arm in experiment.arms if arm.name in samples}
    if not known:
        return
    compared = min(len(sample) for sample in known.values()) // 2
    for name in (*RATES, *SPREADS):
        found = {
            arm: rate(sample, name) if name in RATES else spread(sample, name, compared)
            for arm, sample in known.items()
        }
        control = found.get(experiment.control)
        for arm, estimate in found.items():
            if estimate is not None:
                difference = None if control is None or arm == experiment.control else estimate.minus(control)
                yield Measured(name, arm, len(known[arm]), estimate, difference)


def sample_ratio_p(experiment: Experiment, samples: Mapping[str, Sample]) -> float:
    """Probability of the arms' numbers of users, were the users split as the buckets say."""
    counts = [len(samples[arm.name]) if arm.name in samples else 0 for arm in experiment.arms]
    return goodness_of_fit_p(counts, [arm.size for arm in experiment.arms])


def coverage(offers: NDArray[np.int64]) -> float:
    """Part of all items that was offered at all, 0..1, of offers by item."""
    return float((offers > 0).mean())


def gini(offers: NDArray[np.int64]) -> float:
    """Gini coefficient of the offers by item, 0 (all items alike) .. 1 (all offers one item's)."""
    ordered = np.sort(offers)
    total = float(ordered.sum())
    if total == 0.0:
        return 0.0
    count = len(ordered)
    return float(2.0 * (np.arange(1, count + 1) @ ordered) / (count * total) - (count + 1) / count)


SPREADS: dict[str, Callable[[NDArray[np.int64]], float]] = {"coverage": coverage, "gini": gini}
"""Measures of how the offers lie over the items."""


def spread(sample: Sample, measure: str, size: int) -> Estimate | None:
    """A measure of ``SPREADS``: its mean over random groups of ``size`` users, with the delete-d jackknife's error.

    Both grow with the number of users, so arms are compared by groups of equal size; drawn without replacement, since
    repeated users would hide items (Shao and Wu 1989, *A general theory for jackknife variance estimation*).
    """
    users, statistic = len(sample), SPREADS[measure]
    if size < 2:
        return None
    rng = np.random.default_rng(0)
    found = np.empty(SUBSAMPLES)
    for turn in range(SUBSAMPLES):
        chosen = np.zeros(users, np.bool_)
        chosen[rng.choice(users, size, replace=False)] = True
        offers = sample.offer_items[chosen[sample.offer_users]]
        found[turn] = statistic(np.bincount(offers, minlength=sample.items))
    return Estimate(float(found.mean()), float(found.std(ddof=1)) * math.sqrt(size / (users - size)))
