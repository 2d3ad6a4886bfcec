"""The taste of a user: its weights, and the row of features that holds it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.last_plays import NONE, LastPlays, unpacked
from features.ports import FeatureRow
from processors.play_aggregation.listener import EPOCH
from processors.play_aggregation.rows import TASTE_PLAYS, taste
from tests.fakes.runtime import NOW, at
from tests.unit.processors.play_desk import HALF_LIFE, Desk, play, received

HALF_LIFE_S = HALF_LIFE.total_seconds()


def heard(item: str, completion: float = 1.0, second: float = 0) -> LastPlays:
    return LastPlays.of([item], [completion], [round(at(second).timestamp() * 1000)])


def all_of(plays: Sequence[LastPlays]) -> LastPlays:
    return functools.reduce(LastPlays.then, plays, NONE)


def vector(*values: float) -> Any:
    return np.array(values, dtype=np.float32)


X, Y = vector(1, 0), vector(0, 1)


def test_weights_of_recency_and_completion_by_hand() -> None:
    plays = all_of([heard("x", 1.0, -HALF_LIFE_S), heard("y", 0.25)])
    found = taste(plays, {"x": X, "y": Y}, HALF_LIFE)
    assert found is not None
    # x: 1 * 0.5, y: 0.25 * 1
    assert found == pytest.approx(np.array([0.5, 0.25]) / math.hypot(0.5, 0.25))
    assert found.dtype == np.float32


def test_the_newest_play_is_the_reference_also_without_a_vector() -> None:
    """Weights are relative, so that the reference changes nothing."""
    plays = all_of([heard("x", 1.0, -HALF_LIFE_S), heard("y", 0.25)])
    later = plays.then(heard("?", 1.0, HALF_LIFE_S))
    assert taste(later, {"x": X, "y": Y}, HALF_LIFE) == pytest.approx(taste(plays, {"x": X, "y": Y}, HALF_LIFE))


@pytest.mark.parametrize(
    "plays",
    [[], [heard("?")], [heard("x", 0.0)], [heard("x"), heard("-x")]],
    ids=["none", "unknown", "skipped", "opposite"],
)
def test_no_taste(plays: list[LastPlays]) -> None:
    assert taste(all_of(plays), {"x": X, "-x": -X}, HALF_LIFE) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xy?"), st.floats(0, 1, width=32), st.integers(0, 10**6)), max_size=10))
def test_a_taste_has_unit_length(plays: list[tuple[str, float, int]]) -> None:
    found = taste(all_of([heard(*play) for play in plays]), {"x": X, "y": Y}, HALF_LIFE)
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
    plays = unpacked(values.pop("last_plays"))
    assert (plays.items, plays.completion.tolist()) == (["s1", "s9"], [1.0, 0.5])
    assert [EPOCH + timedelta(milliseconds=moment) for moment in plays.at_ms.tolist()] == [at(-10), at(-5)]
    assert values == {
        "vector_version": "v1",
        "plays": 2,
        "completion_rate": 0.5,
        "played_ms": 150,
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


async def test_a_taste_is_that_of_the_newest_plays_and_the_row_holds_more() -> None:
    desk = Desk()
    await desk.features.push("item_content_v1", [content("old", X), content("new", Y)])
    plays = [play("e0", song="old"), *(play(f"e{n}", song="new", second=n) for n in range(1, TASTE_PLAYS + 1))]
    await desk.work(received(plays[:1]))
    await desk.work(received(plays[1:], first=1))
    values = desk.features.rows["user_taste_v1", "u1"].values
    assert values["vector"] == pytest.approx(Y)
    assert unpacked(values["last_plays"]).items == [each.song_id for each in plays]
