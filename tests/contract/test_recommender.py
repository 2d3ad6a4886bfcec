"""What every `Recommender` promises: the real one over the debug bundle, and the fake that other tests use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bundled_recommender import BundledRecommender
from models.content_vector import DIM
from models.ranker import RankingWeights
from models.ranking_features import ItemColumns
from models.recommender import ItemContent, Person, Recommender
from models.recommender_bundle import open_bundle
from tests.fakes.recommender import FakeRecommender

DEBUG = Path("tests/data/recommender-debug")
TRAINED = "debug-item-03"


@pytest.fixture(params=["bundle", "fake"])
def recommender(request: pytest.FixtureRequest) -> Recommender:
    if request.param == "fake":
        return FakeRecommender(trained={TRAINED: (1.0, 0.0, 0.0)}, boundary=0.2)
    return BundledRecommender(open_bundle(DEBUG), RankingWeights())


@pytest.fixture
def label(recommender: Recommender) -> str:
    return "rock" if isinstance(recommender, FakeRecommender) else "calm"


def content(ids: list[str], *labels: tuple[str, ...]) -> ItemContent:
    count = len(ids)
    return ItemContent(ids, np.zeros((count, DIM), np.float32), [""] * count, labels, np.zeros(count, np.int16))


def columns(recommender: Recommender, ids: list[str], *labels: tuple[str, ...]) -> ItemColumns:
    found, count = recommender.map(content(ids, *labels)), len(ids)
    return ItemColumns(
        found.trained.astype(np.int64),
        found.tagged,
        np.zeros(count, np.int16),
        np.ones(count, np.int8),
        found.codes.astype(np.int64),
        np.arange(count, dtype=np.int64),
        np.zeros(count),
        np.ones(count),
        np.arange(count) % 2 == 0,
        found.vectors,
        np.arange(count, dtype=np.int64),
        np.full(count, 0.5),
    )


def person(heard: ItemColumns, **changes: object) -> Person:
    known = {"age": 30, "gender": "female", "occupation": "student", "plays": len(heard), "completion_rate": 0.5}
    return Person(**(known | changes), heard=heard, completion=np.ones(len(heard), np.float32))


def test_items_are_placed_by_training_by_content_or_not_at_all(recommender: Recommender, label: str) -> None:
    found = recommender.map(content([TRAINED, "new", "bare"], (), (label,), ()))
    assert found.found.tolist() == [True, True, False]
    assert found.vectors.shape == (3, recommender.dim)
    assert found.vectors.dtype == np.float32
    assert not found.vectors[2].any()
    assert found.trained[0] >= 0
    assert found.trained[1:].tolist() == [-1, -1]
    assert found.gates.shape == (3, len(recommender.parts))
    assert found.gates[1, recommender.parts.index("tags")] > 0
    assert not found.gates[0].any()
    assert found.tagged[1].any()


def test_an_item_comes_out_the_same_in_any_batch(recommender: Recommender, label: str) -> None:
    one = recommender.map(content(["a"], (label,)))
    many = recommender.map(content([f"i{n}" for n in range(100)] + ["a"], *[(label,)] * 101))
    assert one.vectors[0] == pytest.approx(many.vectors[-1], abs=1e-6)
    assert one.codes[0].tolist() == many.codes[-1].tolist()


def test_no_items_are_no_trouble(recommender: Recommender) -> None:
    found = recommender.map(content([]))
    assert found.vectors.shape == (0, recommender.dim)
    assert recommender.rank(person(columns(recommender, [])), columns(recommender, [])).shape == (0,)


@pytest.mark.parametrize(
    "known", [{}, {"age": None, "gender": "", "occupation": ""}, {"gender": "?", "occupation": "?"}]
)
def test_a_user_with_plays_or_without_told_or_not_has_a_vector(recommender: Recommender, label: str, known) -> None:
    for heard in (columns(recommender, []), columns(recommender, ["a", TRAINED], (label,), ())):
        vector, boundary = recommender.user(person(heard, **known))
        assert vector.shape == (recommender.dim,)
        assert np.isfinite(vector).all()
        assert np.isfinite(boundary)


def test_plays_without_a_vector_do_not_count(recommender: Recommender, label: str) -> None:
    with_bare, _ = recommender.user(person(columns(recommender, ["a", "bare"], (label,), ())))
    without, _ = recommender.user(person(columns(recommender, ["a"], (label,))))
    assert with_bare == pytest.approx(without, abs=1e-6)


def test_likelihoods_are_probabilities_and_grow_with_the_score(recommender: Recommender) -> None:
    score = np.linspace(-1, 1, 9, dtype=np.float32)
    for cold in (True, False):
        likely = recommender.likelihood(score, 0.2, np.full(9, cold))
        assert likely.dtype == np.float32
        assert ((likely > 0) & (likely < 1)).all()
        assert (np.diff(likely) > 0).all()


def test_ranking_gives_one_finite_number_an_item(recommender: Recommender, label: str) -> None:
    items = columns(recommender, ["a", TRAINED, "bare"], (label,), (), ())
    for heard in (columns(recommender, []), items):
        found = recommender.rank(person(heard), items)
        assert found.shape == (3,)
        assert np.isfinite(found).all()
