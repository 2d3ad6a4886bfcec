"""Cold places drawn by lot: the probabilities are those of the draws."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from processors.serving.candidates import Candidates
from processors.serving.experiments.exploration import BLOCK, draw, explore, place_probabilities
from processors.serving.ranking import choose

SCORES = np.array([1.0, 0.6, 0.5, 0.1, -0.4])


def candidates(scores: list[float], cold: list[bool]) -> Candidates:
    count = len(scores)
    zeros = np.zeros(count, np.int64)
    return Candidates(
        ids=np.array([f"i-{number}" for number in range(count)], object),
        kind=zeros.astype(np.int8),
        cold=np.array(cold),
        similarity=zeros.astype(np.float32),
        score=np.array(scores, np.float32),
        reason=zeros.astype(np.int8),
        published_ms=zeros,
        plays=zeros,
        completions=zeros,
        decayed=zeros.astype(np.float64),
        played_ms=zeros,
    )


def by_hand(weights: list[float], others: float) -> np.ndarray:
    """Plackett and Luce, item after item, over all orders."""
    found, count = np.zeros((len(weights), len(weights))), len(weights)
    for order in permutations(range(count)):
        left, probability = others + sum(weights), 1.0
        for item in order:
            probability *= weights[item] / left
            left -= weights[item]
        for place, item in enumerate(order):
            found[item, place] += probability
    return found / found[:, 0].sum()


@pytest.mark.parametrize("others", [0.0, 0.3, 50.0])
def test_places_have_the_probabilities_of_all_orders(others: float) -> None:
    weights = [3.0, 1.0, 0.5, 0.2]
    np.testing.assert_allclose(place_probabilities(np.array(weights), others), by_hand(weights, others), rtol=1e-9)


def test_the_logged_probability_is_how_often_it_happens() -> None:
    """Of the draws that hold the same items, the part in which an item lies at a place."""
    drawn = [draw(SCORES, 3, 0.5, f"request-{number}") for number in range(8_000)]
    same = [each for each in drawn if set(each.chosen.tolist()) == {0, 1, 2}]
    assert len(same) > 2_000
    for place in range(3):
        for item in range(3):
            times = sum(each.chosen[place] == item for each in same) / len(same)
            logged = next(float(each.propensity[place]) for each in same if each.chosen[place] == item)
            assert times == pytest.approx(logged, abs=0.045)  # 4 standard errors


def test_a_request_draws_the_same_again() -> None:
    one, again, other = draw(SCORES, 5, 1.0, "a"), draw(SCORES, 5, 1.0, "a"), draw(SCORES, 5, 1.0, "b")
    assert one.chosen.tolist() == again.chosen.tolist() != other.chosen.tolist()
    assert sorted(one.chosen.tolist()) == [0, 1, 2, 3, 4]


def test_a_cold_lot_is_the_order_of_the_scores_and_a_hot_one_any() -> None:
    cold = draw(SCORES, 3, 1e-3, "a")
    assert cold.chosen.tolist() == [0, 1, 2]
    np.testing.assert_allclose(cold.propensity, 1.0)
    np.testing.assert_allclose(draw(SCORES, 5, 1e9, "a").propensity, 0.2, rtol=1e-6)


def test_many_places_are_drawn_in_blocks() -> None:
    found = draw(np.linspace(0, 900, 2 * BLOCK + 1), 2 * BLOCK + 1, 0.5, "far apart: weights underflow")
    assert sorted(found.chosen.tolist()) == list(range(2 * BLOCK + 1))
    assert found.propensity[-1] == 1.0
    assert ((found.propensity > 0) & (found.propensity <= 1)).all()


def test_fewer_candidates_than_places_and_none() -> None:
    assert sorted(draw(SCORES, 9, 1.0, "a").chosen.tolist()) == [0, 1, 2, 3, 4]
    assert len(draw(np.zeros(0), 3, 1.0, "a").chosen) == 0


@pytest.mark.parametrize(("scores", "temperature"), [([1.0, np.nan], 1.0), ([1.0, np.inf], 1.0), ([1.0, 2.0], 0.0)])
def test_what_cannot_be_drawn_is_refused(scores: list[float], temperature: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        draw(np.array(scores), 1, temperature, "a")


def test_only_cold_places_are_drawn() -> None:
    ranked = candidates([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], [False, True, False, True, False, True, False, True])
    chosen = choose(ranked, 5, 0.4)
    orders = set()
    for number in range(50):
        found, propensity = explore(chosen, ranked, 0.5, f"r-{number}")
        assert found.cold.tolist() == chosen.cold.tolist() == [False, True, False, True, False]
        assert found.ids[~found.cold].tolist() == chosen.ids[~chosen.cold].tolist()
        assert (propensity[~found.cold] == 1.0).all()
        assert (propensity[found.cold] < 1.0).all()
        assert len(set(found.ids.tolist())) == 5
        orders.add(tuple(found.ids[found.cold]))
    assert {item for order in orders for item in order} == {"i-1", "i-3", "i-5", "i-7"}
