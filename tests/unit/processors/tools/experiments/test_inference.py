"""Intervals and tests against SciPy, against the bootstrap, and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from processors.tools.experiments.inference import (
    Estimate,
    chi_square_tail,
    goodness_of_fit_p,
    independence_p,
    ratio,
)


@pytest.mark.parametrize("freedom", [1, 2, 3, 8, 81, 999])
@pytest.mark.parametrize("part", [0.01, 0.3, 0.9, 0.999999])
def test_the_tail_is_scipys(freedom: int, part: float) -> None:
    statistic = float(stats.chi2.ppf(part, freedom))
    assert chi_square_tail(statistic, freedom) == pytest.approx(float(stats.chi2.sf(statistic, freedom)), rel=1e-9)


def test_the_ends_of_the_tail() -> None:
    assert chi_square_tail(0.0, 3) == 1.0
    assert chi_square_tail(1e5, 999) == pytest.approx(0.0, abs=1e-300)


def test_tests_of_counts_are_scipys() -> None:
    assert goodness_of_fit_p([480, 520], [1, 1]) == pytest.approx(float(stats.chisquare([480, 520]).pvalue))
    assert goodness_of_fit_p([0, 0], [1, 1]) == 1.0
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 4, 500), rng.integers(0, 4, 500)
    table = np.bincount(one * 4 + other, minlength=16).reshape(4, 4)
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert independence_p(one, other, 4) == pytest.approx(float(expected))


def test_a_mean_is_the_ordinary_one() -> None:
    values = np.array([1.0, 4.0, 2.0, 7.0])
    found = ratio(values, np.ones(4))
    assert found is not None
    assert found.value == values.mean()
    assert found.error == pytest.approx(values.std(ddof=1) / 2)
    assert found.low == pytest.approx(found.value - 1.959964 * found.error, rel=1e-6)


@pytest.mark.parametrize(("above", "below"), [([1.0], [1.0]), ([], []), ([0.0, 0.0], [0.0, 0.0])])
def test_nothing_to_divide_by_is_no_estimate(above: list[float], below: list[float]) -> None:
    assert ratio(np.array(above), np.array(below)) is None


def test_p_values_are_two_sided() -> None:
    assert Estimate(-1.959964, 1.0).p_value == pytest.approx(0.05, abs=1e-6)
    assert Estimate(0.0, 0.0).p_value == 1.0
    assert Estimate(0.5, 0.0).p_value == 0.0
    assert Estimate(3.0, 3.0).minus(Estimate(1.0, 4.0)) == Estimate(2.0, 5.0)


def clicks(rng: np.random.Generator, users: int) -> tuple[np.ndarray, np.ndarray]:
    """Users who differ much in how often they look, and the more they look the more they click."""
    offered = 1.0 + rng.geometric(0.1, users)
    inclined = np.clip(rng.beta(1, 3, users) + offered / 100, 0, 1)
    return rng.binomial(offered.astype(int), inclined).astype(float), offered


def test_the_interval_holds_the_truth_as_often_as_it_says_and_the_naive_one_does_not() -> None:
    rng = np.random.default_rng(1)
    above, below = clicks(rng, 2_000_000)
    truth = above.sum() / below.sum()
    held = naive_held = 0
    for _ in range(1000):
        above, below = clicks(rng, 300)
        found = ratio(above, below)
        assert found is not None
        held += found.low <= truth <= found.high
        naive = 1.96 * np.sqrt(found.value * (1 - found.value) / below.sum())
        naive_held += abs(found.value - truth) <= naive
    assert 0.925 <= held / 1000 <= 0.97
    assert naive_held / 1000 < 0.75


def test_the_error_is_that_of_the_bootstrap_over_users() -> None:
    rng = np.random.default_rng(2)
    above, below = clicks(rng, 400)
    found = ratio(above, below)
    draws = rng.integers(0, 400, (2000, 400))
    again = above[draws].sum(axis=1) / below[draws].sum(axis=1)
    assert found is not None
    assert found.error == pytest.approx(again.std(), rel=0.1)
