"""Features of the ranker: the same for a pair wherever it stands, nothing unusable let through."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from models.ranking_features import (
    DENSE,
    GROUPS,
    TAG_SLOTS,
    ItemColumns,
    RankingInputError,
    RankingLayout,
    UserColumns,
    groups,
    interest_shift,
    ranking_rows,
    surplus,
    together,
    user_columns,
)
from models.taste import mean_completion, smoothed, taste, unit

DIM, TAGS, ITEMS = 64, 7, 150
LAYOUT = RankingLayout(
    items=40,
    occupations=("", "artist", "lawyer"),
    tags=tuple(f"tag-{number}" for number in range(TAGS)),
    kinds=("song",),
    dim=DIM,
    code_levels=3,
    code_size=32,
    history=200,
    completion_rate=0.3,
    mean_completion=0.35,
    usual=(0.5, 0.7),
    tag_shift=tuple(np.linspace(-0.4, 0.4, TAGS).tolist()),
)


def items(count: int = ITEMS, seed: int = 1) -> ItemColumns:
    random = np.random.default_rng(seed)
    plays = random.integers(0, 300, count)
    return ItemColumns(
        random.integers(-1, 40, count),
        random.random((count, TAGS)) < 0.3,
        random.choice([0, 1949, 1995, 2026], count).astype(np.int16),
        np.zeros(count, np.int8),
        random.integers(-1, 32, (count, 3)),
        plays,
        random.random(count),
        random.random(count) * 1000,
        plays < 10,
        random.normal(size=(count, DIM)).astype(np.float32),
        plays,
        random.random(count),
    )


def user(plays: int = 80, gender: int = 1, heard: int = 30, seed: int = 2) -> UserColumns:
    completions = np.random.default_rng(seed).random(heard).astype(np.float32)
    return user_columns(LAYOUT, 34, gender, 2, plays, 0.4, items(heard, seed), completions)


def test_a_row_has_the_same_bits_whichever_rows_stand_beside_it() -> None:
    shown, one = items(), user()
    together_rows = ranking_rows(LAYOUT, one, shown)
    order = np.random.default_rng(3).permutation(ITEMS)
    shuffled = ranking_rows(LAYOUT, one, shown.take(order))
    offline = ranking_rows(LAYOUT, together([user(seed=9), one]).take(np.ones(ITEMS, np.int64)), shown)
    alone = [ranking_rows(LAYOUT, one, shown.take(np.array([number]))) for number in range(ITEMS)]
    for name in ("fields", "dense", "group"):
        expected = getattr(together_rows, name)
        assert getattr(shuffled, name).tobytes() == expected[order].tobytes()
        assert getattr(offline, name).tobytes() == expected.tobytes()
        assert b"".join(getattr(each, name).tobytes() for each in alone) == expected.tobytes()


def test_an_unknown_item_and_an_unknown_user_have_features() -> None:
    nobody = user_columns(LAYOUT, -1, 0, 0, 0, float("nan"), items(0), np.zeros(0, np.float32))
    nothing = ItemColumns(
        np.array([-1]), np.zeros((1, TAGS), np.bool_), np.zeros(1, np.int16), np.full(1, -1, np.int8),
        np.full((1, 3), -1), np.zeros(1, np.int64), np.array([np.nan]), np.zeros(1), np.ones(1, np.bool_),
        np.zeros((1, DIM), np.float32), np.zeros(1, np.int64), np.array([np.nan]),
    )  # fmt: skip
    rows = ranking_rows(LAYOUT, nobody, nothing)
    names = [name for name, _ in LAYOUT.fields]
    assert {name for name, number in zip(names, rows.fields[0], strict=True) if number} == {"cold"}
    known = dict(zip(DENSE, rows.dense[0], strict=True))
    assert known["user_completion"] == known["item_completion"] == np.float32(LAYOUT.completion_rate)
    assert known["user_mean"] == known["item_mean"] == np.float32(LAYOUT.mean_completion)
    assert not any(known[name] for name in ("affinity", "closeness", "tag_match", "item_plays", "user_plays"))
    assert GROUPS[rows.group[0]] == "new unknown"


def test_groups_are_activity_by_gender() -> None:
    told = [GROUPS[n] for n in groups(np.array([0, 1, 1, 2], np.int8), np.array([50, 49, 50, 0]))]
    assert told == ["old unknown", "new female", "old female", "new male"]


def test_tags_fill_the_slots_in_order() -> None:
    shown = items(3)
    tagged = np.zeros((3, TAGS), np.bool_)
    tagged[1, [2, 5]] = True
    tagged[2] = True
    rows = ranking_rows(LAYOUT, user(), replace(shown, tagged=tagged))
    first = [name for name, _ in LAYOUT.fields].index("tag_0")
    assert rows.fields[:, first : first + TAG_SLOTS].tolist() == [[0, 0, 0], [3, 6, 0], [1, 2, 3]]


def test_the_taste_is_the_ridge_regression_by_either_form() -> None:
    random = np.random.default_rng(4)
    for count in (10, 200):
        vectors, beyond = unit(random.normal(size=(count, DIM)).astype(np.float32)), random.normal(size=count)
        weights, lift = taste(vectors, beyond)
        wide = vectors.astype(np.float64)
        expected = np.linalg.solve(wide.T @ wide + 3.0 * np.eye(DIM), wide.T @ (beyond - lift))
        assert np.allclose(weights, expected, atol=1e-6)
        assert lift == pytest.approx(beyond.sum() / (count + 5))


def test_the_taste_turns_to_what_was_played_longer_than_usual() -> None:
    heard = replace(items(2), vector=np.eye(DIM, dtype=np.float32)[:2], measured=np.zeros(2, int))
    assert surplus(LAYOUT, heard, np.array([1.0, 0.0], np.float32)) == pytest.approx([0.255, -0.745])
    one = user_columns(LAYOUT, 20, 1, 0, 2, 0.5, heard, np.array([1.0, 0.0], np.float32))
    shown = replace(items(2), vector=np.eye(DIM, dtype=np.float32)[:2] * 7)
    affinity = ranking_rows(LAYOUT, one, shown).dense[:, DENSE.index("affinity")]
    assert affinity[0] > 0 > affinity[1]


def test_plays_beyond_the_layouts_history_are_not_looked_at() -> None:
    heard, completions = items(30), np.linspace(0, 1, 30).astype(np.float32)
    short = replace(LAYOUT, history=10)
    whole = user_columns(short, 20, 1, 0, 30, 0.5, heard, completions)
    cut = user_columns(short, 20, 1, 0, 30, 0.5, heard.take(slice(10)), completions[:10])
    for name in UserColumns.__slots__:
        assert getattr(whole, name).tobytes() == getattr(cut, name).tobytes()
    assert user_columns(LAYOUT, 20, 1, 0, 30, 0.5, heard, completions).mean[0] > whole.mean[0]


def test_a_mean_completion_is_of_what_was_measured_and_drawn_to_the_prior() -> None:
    shown = replace(items(2), measured=np.array([5, 0]), plays=np.array([5, 90]), mean=np.array([0.85, 0.85]))
    one = user_columns(LAYOUT, 20, 1, 0, 2, 0.5, items(2), np.array([1.0, 0.9], np.float32))
    dense = ranking_rows(LAYOUT, one, shown).dense
    assert dense[:, DENSE.index("item_mean")] == pytest.approx([0.6, 0.35])
    assert dense[:, DENSE.index("user_mean")] == pytest.approx([(1.9 + 5 * 0.35) / 7] * 2)
    assert mean_completion(np.array([15_000, 0]), np.array([2, 0])).tolist() == [0.75, 0.0]


def test_what_new_users_play_more_has_a_positive_shift() -> None:
    tagged = np.zeros((4000, 3), np.bool_)
    tagged[:, 0] = True
    tagged[:1000, 1] = True
    tagged[2000:2100, 1] = True
    shift = interest_shift(tagged, np.arange(4000) < 2000)
    assert shift[1] > 1 > 0 > shift[0]
    assert interest_shift(tagged[::2], np.arange(2000) % 2 == 0) == pytest.approx([0, 0, 0], abs=0.1)


def test_a_mean_of_few_plays_stays_near_the_prior() -> None:
    assert smoothed(np.array([1.0, 1.0, np.nan]), np.array([1, 1000, 0]), 0.2) == pytest.approx(
        [1 / 3, 0.996, 0.2], abs=1e-3
    )


def test_the_layout_survives_the_manifest() -> None:
    assert RankingLayout.from_manifest(json.loads(json.dumps(LAYOUT.manifest()))) == LAYOUT
    assert "user" not in dict(LAYOUT.fields)
    assert dict(replace(LAYOUT, users=5).fields)["user"] == 6
    with pytest.raises(RankingInputError, match="surprise"):
        RankingLayout.from_manifest({**LAYOUT.manifest(), "surprise": 1})


def test_an_item_older_than_any_trained_counts_as_the_oldest() -> None:
    bounded = replace(LAYOUT, greatest_age_days=30.0)
    old, oldest = (replace(items(), age_days=np.full(ITEMS, days)) for days in (5000.0, 30.0))
    found, expected = (ranking_rows(bounded, user(), each) for each in (old, oldest))
    assert np.array_equal(found.dense, expected.dense)
    assert np.array_equal(found.fields, expected.fields)
    assert RankingLayout.from_manifest(json.loads(json.dumps(bounded.manifest()))) == bounded


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vector": np.full((ITEMS, DIM), np.nan, np.float32)}, "affinity is not finite"),
        ({"age_days": np.full(ITEMS, np.inf)}, "item_age is not finite"),
        ({"row": np.full(ITEMS, 40)}, "field item: 41..41 of 41"),
        ({"codes": np.full((ITEMS, 3), 32)}, "field code_0"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(RankingInputError, match=message):
        ranking_rows(LAYOUT, user(), replace(items(), **change))


def test_users_and_items_must_belong_together() -> None:
    with pytest.raises(RankingInputError, match="2 users for 150 items"):
        ranking_rows(LAYOUT, together([user(), user()]), items())
