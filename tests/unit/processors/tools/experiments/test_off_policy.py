"""Other orders from the log of this one: the intervals hold the truth, and what cannot be known is refused."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors.serving.experiments.exploration import draw, place_probabilities
from processors.tools.experiments.off_policy import (
    NotEstimableError,
    drawn_blocks,
    evaluate,
    named_policy,
    rewards,
    target,
)
from processors.tools.experiments.reading import Window, WindowLog
from schemas.recommendation import ListedItem, ListServed
from tests.fakes.serving import NOW
from tests.unit.processors.tools.experiments.events import did, played

COLD, PLACES, TEMPERATURE = 4, 3, 0.7
SCORES = np.array([0.9, 0.5, 0.2, -0.3])
APPEAL = np.array([0.1, 0.2, 0.5, 0.6])
"""The worse the score, the better the item is liked: the score's order is a bad one."""
EXAMINED = np.array([0.9, 0.5, 0.2])


def listed(request: str, user: str, items: list[tuple[str, float, float, bool]]) -> ListServed:
    return ListServed(
        event_id=request,
        occurred_at=NOW,
        request_id=request,
        user_id=user,
        surface="",
        model_version="",
        items=tuple(
            ListedItem(item_id=item, score=score, cold=cold, reason="fresh", propensity=propensity)
            for item, score, propensity, cold in items
        ),
    )


def world(rng: np.random.Generator, users: int) -> tuple[list[ListServed], dict[tuple[str, str], float]]:
    """Lists whose three cold places were drawn from four candidates, and what was clicked there."""
    lists, earned = [], {}
    for user in range(users):
        mood = rng.uniform(0.5, 1.5)
        for turn in range(2):
            request = f"{rng.integers(2**62)}-{user}-{turn}"
            drawn = draw(SCORES, PLACES, TEMPERATURE, request)
            rows = [
                (f"i-{item}", float(SCORES[item]), float(np.float32(p)), True)
                for item, p in zip(drawn.chosen, drawn.propensity, strict=True)
            ]
            lists.append(listed(request, f"u-{user}", [("warm", 2.0, 1.0, False), *rows]))
            clicked = rng.random(PLACES) < mood * APPEAL[drawn.chosen] * EXAMINED
            earned |= {(request, rows[place][0]): 1.0 for place in np.flatnonzero(clicked)}
    return lists, earned


def truth(order: np.ndarray) -> float:
    """Expected clicks of a block if its items are ordered by ``order``, best first; the items are drawn as they are."""
    weights, value = np.exp(SCORES / TEMPERATURE), 0.0
    for shown in permutations(range(COLD), PLACES):
        left, probability = weights.sum(), 1.0
        for item in shown:
            probability *= weights[item] / left
            left -= weights[item]
        best_first = sorted(shown, key=lambda item: -order[item])
        value += probability * float(APPEAL[best_first] @ EXAMINED)
    return value


@pytest.mark.parametrize("by_appeal", [True, False])
def test_the_intervals_hold_the_truth_and_the_naive_mean_does_not(by_appeal: bool) -> None:
    rng, turns = np.random.default_rng(int(by_appeal)), 50
    order = APPEAL if by_appeal else SCORES
    policy: Any = {f"i-{item}": float(order[item]) for item in range(COLD)} if by_appeal else "score"
    wanted, held = truth(order), dict.fromkeys(("ips", "snips", "doubly_robust", "logged"), 0)
    for _ in range(turns):
        blocks = drawn_blocks(*world(rng, 200))
        value = evaluate(blocks, target(blocks, policy))
        for name in held:
            estimate = getattr(value, name)
            held[name] += estimate.low <= wanted <= estimate.high
    assert {name: held[name] / turns > 0.86 for name in held} == {
        "ips": True,
        "snips": True,
        "doubly_robust": True,
        "logged": False,
    }


def test_the_logged_policy_is_worth_what_it_earned() -> None:
    """Weights of 1: the same distribution as the log's own."""
    lists, earned = world(np.random.default_rng(3), 200)
    blocks = drawn_blocks(lists, earned)
    own = np.zeros((len(blocks.block), 6))
    own[np.arange(len(own)), blocks.place] = blocks.propensity
    value = evaluate(blocks, own)
    assert value.ips.value == pytest.approx(value.logged.value) == pytest.approx(len(earned) / value.blocks)
    assert value.effective_sample == pytest.approx(3 * value.blocks)


def test_doubly_robust_is_no_less_certain() -> None:
    blocks = drawn_blocks(*world(np.random.default_rng(4), 1000))
    value = evaluate(blocks, target(blocks, "uniform"))
    assert value.doubly_robust.error < value.ips.error


def test_targets_are_the_orders_that_they_say() -> None:
    lists = [
        listed("r", "u", [("a", 0.1, 0.5, True), ("b", 0.3, 0.5, True), ("c", 0.2, 0.5, True)]),
        listed("s", "u", [("a", 0.1, 0.5, True), ("c", 0.2, 0.5, True)]),
    ]
    blocks = drawn_blocks(lists, {})
    assert target(blocks, "score")[:, :3].tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert target(blocks, {"a": 3, "b": 2, "c": 1})[:, :3].tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [1, 0, 0],
        [0, 1, 0],
    ]
    np.testing.assert_allclose(target(blocks, "uniform")[:, :3], [[1 / 3] * 3] * 3 + [[0.5, 0.5, 0.0]] * 2)


def test_a_deterministic_log_is_refused() -> None:
    with pytest.raises(NotEstimableError, match="every propensity is 1"):
        drawn_blocks([listed("r", "u", [("a", 1.0, 1.0, False), ("b", 0.5, 1.0, True)])], {})
    with pytest.raises(NotEstimableError, match="every propensity is 1"):
        drawn_blocks([], {})


def test_a_policy_that_the_log_hardly_followed_is_refused() -> None:
    """Drawn so cold that the score's order is nearly always the one; the opposite of it is hardly ever there."""
    scores = {"a": 0.0, "b": 9.0}
    [[p, _], _] = place_probabilities(np.exp([9.0, 0.0]), 0.0)
    lists = [listed(f"r{n}", f"u{n}", [("b", 9.0, float(p), True), ("a", 0.0, float(p), True)]) for n in range(500)]
    blocks = drawn_blocks(lists, {})
    assert evaluate(blocks, target(blocks, scores)).blocks == 500
    with pytest.raises(NotEstimableError, match="effective sample is 0 of 1000 places"):
        evaluate(blocks, target(blocks, {"a": 9.0, "b": 0.0}))


def test_an_item_without_a_score_and_impossible_probabilities_are_refused() -> None:
    blocks = drawn_blocks([listed("r", "u", [("a", 0.1, 0.5, True), ("b", 0.3, 0.5, True)])], {})
    with pytest.raises(NotEstimableError, match="1 items that were shown have no score, for example b"):
        target(blocks, {"a": 1.0})
    with pytest.raises(NotEstimableError, match="outside of"):
        drawn_blocks([listed("r", "u", [("a", 0.1, 0.0, True), ("b", 0.3, 0.5, True)])], {})


def test_policies_by_name(tmp_path: Path) -> None:
    assert (named_policy("score"), named_policy("uniform")) == ("score", "uniform")
    (tmp_path / "scores.json").write_text('{"a": 1, "b": 2.5}')
    assert named_policy(str(tmp_path / "scores.json")) == {"a": 1.0, "b": 2.5}
    (tmp_path / "bad.json").write_text('{"a": "high"}')
    for name in ("bad.json", "missing.json"):
        with pytest.raises(NotEstimableError, match=name):
            named_policy(str(tmp_path / name))


def test_rewards_are_what_was_opened_liked_and_finished() -> None:
    log = WindowLog(Window(NOW, NOW.replace(hour=9), NOW - NOW))
    for event in (
        did("clicked", "r", "u", "a"),
        did("liked", "r", "u", "b"),
        played("r", "u", "c", completion=1.0),
        played("r", "u", "d", completion=0.2),
        did("clicked", "", "u", "e"),
    ):
        log.take(event)
    assert {kind: {item for _, item in rewards(log, kind)} for kind in ("opened", "liked", "finished")} == {
        "opened": {"a", "c", "d"},
        "liked": {"b"},
        "finished": {"c"},
    }
