"""Content is learnt from warm items alone; the cold-item protocol counts what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.dataset import Dataset, DatasetError, Interactions, Items, Users
from models.training.cold_item_protocol import World, world
from models.training.content import ml100k_content
from models.training.data.splits import ColdItems, Split

ITEMS, WARM = 80, 70
IS_WARM = np.arange(ITEMS) < WARM


def films(seed: int = 1) -> tuple[Dataset, dict[str, list[frozenset[str]]], np.ndarray]:
    random = np.random.default_rng(seed)
    items = Items(
        tuple(map(str, range(ITEMS))),
        ("", *(f"film {number}" for number in range(1, ITEMS))),
        np.where(np.arange(ITEMS) == 1, 0, random.integers(1930, 1998, ITEMS)).astype(np.int16),
        ("drama", "war", "western"),
        random.random((ITEMS, 3)) < 0.5,
        {},
        {},
    )
    nobody = Users((), *(np.zeros(0, kind) for kind in (np.int16, np.int8, np.int16)), ("",))
    kinds = (np.int32, np.int32, np.int64, np.bool_, np.bool_, np.float32, np.int32, np.int16)
    none = Interactions(*(np.zeros(0, kind) for kind in kinds))
    names = [frozenset(f"person {n}" for n in random.integers(60, size=40)) for _ in range(ITEMS)]
    names[2] = frozenset({"known of one film only"})
    titles = random.normal(size=(ITEMS, 384)).astype(np.float32)
    return Dataset("films", "made up", nobody, items, none), {"actor": names}, titles


def test_each_part_is_standard_over_the_warm_items_and_zero_where_absent() -> None:
    dataset, entities, titles = films()
    content = ml100k_content(dataset, IS_WARM, entities, titles)
    assert content.names == ("tags", "year", "entities", "title")
    assert content.parts.shape == (ITEMS, 4, 64)
    assert not content.parts[~content.present].any()
    assert not content.present[1, 1]
    assert not content.present[2, 2]
    assert not content.present[0, 3]
    for place in range(4):
        known = content.parts[IS_WARM & content.present[:, place], place]
        assert np.allclose(known.mean(axis=0), 0, atol=1e-5)
        assert np.square(known).sum(axis=1).mean() == pytest.approx(1, abs=1e-4)


def test_cold_items_teach_nothing() -> None:
    dataset, entities, titles = films()
    before = ml100k_content(dataset, IS_WARM, entities, titles)
    other, other_entities, other_titles = films(seed=2)
    year = np.where(IS_WARM, dataset.items.year, other.items.year)
    tagged = np.where(IS_WARM[:, None], dataset.items.tagged, other.items.tagged)
    changed = replace(dataset, items=replace(dataset.items, year=year, tagged=tagged))
    mixed = {"actor": entities["actor"][:WARM] + other_entities["actor"][WARM:]}
    after = ml100k_content(changed, IS_WARM, mixed, np.where(IS_WARM[:, None], titles, other_titles))
    assert np.allclose(before.parts[:WARM], after.parts[:WARM], atol=1e-4)
    assert not np.allclose(before.parts[WARM:], after.parts[WARM:], atol=1e-2)


def test_content_that_cannot_be_used_is_refused() -> None:
    dataset, entities, titles = films()
    with pytest.raises(DatasetError, match="40 warm items, more than 48 needed"):
        ml100k_content(dataset, np.arange(ITEMS) < 40, entities, titles)
    titles[3] = np.nan
    with pytest.raises(DatasetError, match="title's vector is not finite"):
        ml100k_content(dataset, IS_WARM, entities, titles)


def test_a_shuffled_part_takes_its_mask_along_and_leaves_the_rest() -> None:
    content = ml100k_content(films()[0], IS_WARM, *films()[1:])
    rows = np.arange(ITEMS)
    shuffled = content.permuted("title", rows, np.random.default_rng(1))
    assert np.array_equal(shuffled.parts[:, :3], content.parts[:, :3])
    assert not np.array_equal(shuffled.parts[:, 3], content.parts[:, 3])
    assert np.array_equal(shuffled.present[:, 3], (shuffled.parts[:, 3] != 0).any(axis=1))


def tiny() -> World:
    """40 warm items, one cold to judge, one cold to report; one user, of whom all is known."""

    def plays(*items: int) -> csr_matrix:
        row = np.zeros((1, 42), np.float32)
        row[0, list(items)] = 1
        return csr_matrix(row)

    nothing = np.zeros(0, np.int64)
    split = ColdItems(Split(nothing, nothing, nothing), nothing, nothing, np.array([40]), np.array([41]))
    return World(split, np.arange(40), plays(0), plays(1), plays(2, 39), plays(40), plays(41))


def test_cold_items_get_their_places_and_known_plays_none() -> None:
    scores = -np.arange(42, dtype=np.float32)[None]
    at = tiny()
    assert at.warm_only(scores).tolist() == [0.5]
    # of 2, 39 and 41: the best 20 warm ones show 2
    assert at.overall(scores, scores, 0).tolist() == pytest.approx([1 / 3])
    assert at.overall(scores, scores, 1).tolist() == pytest.approx([2 / 3])
    # judged by the validation plays 1 and 40: 40 is best shown, 41 still unknown
    assert at.overall(scores, scores, 1, "validation").tolist() == pytest.approx([1.0])
    assert at.quota(scores, scores) == 1
    assert at.overall(-scores, scores, 0).tolist() == pytest.approx([1 / 3])


def test_users_without_anything_relevant_have_no_value() -> None:
    at = replace(tiny(), warm_test=csr_matrix((1, 42), dtype=np.float32))
    assert np.isnan(at.warm_only(np.zeros((1, 42), np.float32))).all()


def test_matrices_of_a_split_hold_its_rows() -> None:
    dataset = films()[0]
    item = np.array([0, 1, 2, 75, 79], np.int32)
    rows = Interactions(
        np.zeros(5, np.int32), item, np.zeros(5, np.int64), *(np.ones(5, k) for k in (bool, bool)),
        np.ones(5, np.float32), np.ones(5, np.int32), np.zeros(5, np.int16),
    )  # fmt: skip
    user = replace(dataset.users, ids=("a",), age=np.array([3], np.int16), gender=np.zeros(1, np.int8))
    one = (np.array([n]) for n in range(5))
    split = ColdItems(
        Split(next(one), next(one), next(one)), next(one), next(one), np.arange(70, 78), np.array([78, 79])
    )
    at = world(replace(dataset, users=user, interactions=rows), split)
    found = (at.train, at.warm_validation, at.warm_test, at.cold_validation, at.cold_test)
    assert [each.indices.tolist() for each in found] == [[0], [1], [2], [75], [79]]
    assert at.warm.tolist() == list(range(70))
