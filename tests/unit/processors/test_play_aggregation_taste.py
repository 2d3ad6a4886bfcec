"""The taste of a user: its weights, and the row of features that holds it."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.ports import FeatureRow
from processors.play_aggregation.rows import taste
from schemas.play import RecentPlay
from tests.fakes.runtime import NOW, at
from tests.unit.processors.play_desk import HALF_LIFE, Desk, play, received


def heard(item: str, completion: float = 1.0, played_at: datetime = NOW) -> RecentPlay:
    return RecentPlay(item_id=item, completion=completion, played_at=played_at)


def vector(*values: float) -> Any:
    return np.array(values, dtype=np.float32)


X, Y = vector(1, 0), vector(0, 1)


def test_weights_of_recency_and_completion_by_hand() -> None:
    found = taste([heard("x", 1.0, NOW - HALF_LIFE), heard("y", 0.25)], {"x": X, "y": Y}, HALF_LIFE)
    assert found is not None
    # x: 1 * 0.5, y: 0.25 * 1
    assert found == pytest.approx(np.array([0.5, 0.25]) / math.hypot(0.5, 0.25))
    assert found.dtype == np.float32


def test_the_newest_play_is_the_reference_also_without_a_vector() -> None:
    """Weights are relative, so that the reference changes nothing."""
    plays = [heard("x", 1.0, NOW - HALF_LIFE), heard("y", 0.25, NOW)]
    assert taste([*plays, heard("?", 1.0, NOW + HALF_LIFE)], {"x": X, "y": Y}, HALF_LIFE) == pytest.approx(
        taste(plays, {"x": X, "y": Y}, HALF_LIFE)
    )


@pytest.mark.parametrize(
    "plays",
    [[], [heard("?")], [heard("x", 0.0)], [heard("x"), heard("-x")]],
    ids=["none", "unknown", "skipped", "opposite"],
)
def test_no_taste(plays: list[RecentPlay]) -> None:
    assert taste(plays, {"x": X, "-x": -X}, HALF_LIFE) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xy?"), st.floats(0, 1, width=32), st.integers(0, 10**6)), max_size=10))
def test_a_taste_has_unit_length(plays: list[tuple[str, float, int]]) -> None:
    found = taste([heard(i, c, at(s)) for i, c, s in plays], {"x": X, "y": Y}, HALF_LIFE)
    assert found is None or float(np.linalg.norm(found)) == pytest.approx(1.0, abs=1e-5)


# features of users


def content(item: str, values: Any, version: str = "v1") -> FeatureRow:
    return FeatureRow(item, NOW, {"vector": values, "vector_version": version})


async def test_features_of_a_user() -> None:
    desk = Desk()
    await desk.features.push("item_content_v1", [content("s1", X)])
    await desk.work(received([play("e1", second=-10), play("e2", song="s9", second=-5, completion=0.5, played_ms=50)]))
    row = desk.features.rows["user_taste_v1", "u1"]
    assert row.at == at(-5)
    values = dict(row.values)
    assert values.pop("vector") == pytest.approx(X)
    assert values.pop("recent_completions").tolist() == [0.5, 1.0]
    assert values == {
        "vector_version": "v1",
        "plays": 2,
        "completion_rate": 0.5,
        "played_ms": 150,
        "recent_items": ["s9", "s1"],
    }


async def test_a_user_without_known_items_has_counts() -> None:
    desk = Desk()
    await desk.work(received([play("e1")]))
    values = desk.features.rows["user_taste_v1", "u1"].values
    assert values["plays"] == 1
    assert values.get("vector") is None
    assert values["vector_version"] == ""


async def test_vectors_of_two_spaces_are_not_mixed() -> None:
    desk = Desk()
    await desk.features.push("item_content_v1", [content("s1", X, "v1"), content("s2", Y, "v2")])
    await desk.work(received([play("e1", song="s1"), play("e2", song="s2")]))
    values = desk.features.rows["user_taste_v1", "u1"].values
    assert values["vector_version"] == "v2"
    assert values["vector"] == pytest.approx(Y)


async def test_a_taste_does_not_depend_on_who_else_played() -> None:
    desk = Desk()
    await desk.features.push("item_content_v1", [content("s1", X, "v1"), content("s2", Y, "v2")])
    await desk.work(received([play("e1", song="s1"), play("e2", user="u2", song="s2")]))
    values = desk.features.rows["user_taste_v1", "u1"].values
    assert values["vector_version"] == "v1"
    assert values["vector"] == pytest.approx(X)
