"""Errors of searches by threshold: intervals, the tail, and the threshold that follows."""

from __future__ import annotations

import numpy as np
import pytest

from processors.tools.gallery.curve import (
    LEAST_PERSONS,
    SHIPPED_EMBEDDER,
    Likenesses,
    Share,
    curve,
    fit_tail,
    threshold_for,
)


def told(impostors: np.ndarray, genuine: np.ndarray | None = None) -> Likenesses:
    return Likenesses(impostors, np.zeros(0) if genuine is None else genuine, ())


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    # R: binom.test
    [
        (0, 3000, 0.0, 0.0012289),
        (3, 20_000, 3.0935e-05, 4.3831e-04),
        (5, 10, 0.187086, 0.812914),
        (10, 10, 0.691503, 1),
    ],
)
def test_intervals_are_exact(count: int, of: int, low: float, high: float) -> None:
    share = Share(count, of)
    assert share.low == pytest.approx(low, rel=1e-4)
    assert share.high == pytest.approx(high, rel=1e-4)


def test_nothing_of_nothing_is_anything() -> None:
    assert (Share(0, 0).value, Share(0, 0).low, Share(0, 0).high) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("persons", [60, 300, 3000])
def test_the_threshold_errs_no_more_often_than_wanted(persons: int) -> None:
    random = np.random.default_rng(persons)
    errs = []
    for _ in range(20):
        # greatest of many likenesses: a tail that is shorter than exponential
        threshold, own = threshold_for(told(0.9 + 0.01 * random.gumbel(size=persons)), "any", 1e-3)
        assert own
        errs.append(1 - np.exp(-np.exp(-(threshold - 0.9) / 0.01)))
    assert np.median(errs) <= 1e-3
    assert np.quantile(errs, 0.9) <= 3e-3
    assert np.median(errs) >= 1e-5


def test_a_smaller_share_has_a_higher_threshold_up_to_one() -> None:
    found = told(np.random.default_rng(1).normal(0.9, 0.01, 500))
    thresholds = [threshold_for(found, "any", share)[0] for share in (0.5, 1e-2, 1e-3, 1e-6, 1e-300)]
    assert thresholds == sorted(thresholds)
    assert thresholds[-1] == 1.0
    shipped, own = threshold_for(told(np.zeros(LEAST_PERSONS - 1)), SHIPPED_EMBEDDER, 1e-3)
    assert not own
    assert 0.95 < shipped < 0.98


def test_points_count_both_errors() -> None:
    impostors = np.linspace(0.90, 0.949, 50)
    found = told(impostors, np.linspace(0.93, 0.979, 50))
    points = {point.threshold: point for point in curve(found, 0.94)}
    at = points[0.94]
    assert (at.false_accepts, at.false_rejects) == (Share(10, 50), Share(10, 50))
    assert points[0.9].modelled is None
    assert at.modelled == fit_tail(impostors).beyond(0.94)
    assert curve(told(impostors[:5]), 0.94)[0].modelled is None
