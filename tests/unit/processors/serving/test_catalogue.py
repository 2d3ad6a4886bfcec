"""The snapshot of published items."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.decoding import Decoder
from processors.serving.where import Where
from schemas.errors import BadEventError
from schemas.interaction import ExposuresCounted
from schemas.play import PlayAggregate, SongCounted
from schemas.topics import EXPOSURES_COUNTED, ITEM_CHANGED, PLAY_AGGREGATED, SONG_COUNTED
from tests.fakes.serving import DIM, NOW, counted, item, no_registry, numbered_codec, shown

X, Y = np.eye(DIM, dtype=np.float32)[:2]
NOW_MS = int(NOW.timestamp() * 1000)
CODEC = numbered_codec()


def snapshot(**changes) -> CatalogueSnapshot:
    return CatalogueSnapshot(
        Decoder(CODEC, no_registry), **({"cold_plays": 10, "half_life_h": 72.0, "dim": DIM} | changes)
    )


def tell(catalogue: CatalogueSnapshot, *records) -> None:
    for record in records:
        if isinstance(record, SongCounted):
            catalogue.apply(SONG_COUNTED.name, record.song_id, CODEC.encode(record))
        elif isinstance(record, ExposuresCounted):
            catalogue.apply(EXPOSURES_COUNTED.name, record.item_id, CODEC.encode(record))
        else:
            catalogue.apply(ITEM_CHANGED.name, record.item_id, CODEC.encode(record))


def near(catalogue: CatalogueSnapshot, vector=X, limit=10, **where) -> list[str]:
    return list(catalogue.nearest(np.asarray(vector, np.float32), limit, Where(**where)).ids)


def test_nearest_first() -> None:
    catalogue = snapshot()
    tell(catalogue, item("far", (0, 1, 0, 0)), item("near", (1, 0.1, 0, 0)), item("mid", (1, 1, 0, 0)))
    found = catalogue.nearest(X, 10, Where())
    assert list(found.ids) == ["near", "mid", "far"]
    assert found.similarity == pytest.approx([0.995, 0.7071, 0.0], abs=1e-3)
    assert near(catalogue, limit=1) == ["near"]


def test_a_withdrawn_item_is_gone_at_once_and_its_row_is_used_again() -> None:
    catalogue = snapshot()
    tell(catalogue, item("a"), item("b", (0, 1, 0, 0)), item("a", (), change="withdrawn", seq=2))
    assert near(catalogue) == ["b"]
    assert len(catalogue) == 1
    tell(catalogue, item("c", kind="audio"))
    found = catalogue.nearest(X, 10, Where())
    assert list(found.ids) == ["c", "b"]
    assert list(catalogue.pick(["a"], X).ids) == []


def test_seq_fences_late_records_also_after_withdrawal() -> None:
    catalogue = snapshot()
    tell(catalogue, item("a", seq=3), item("a", (), change="withdrawn", seq=2))
    assert near(catalogue) == ["a"]
    tell(catalogue, item("a", (), change="withdrawn", seq=4), item("a", seq=3))
    assert near(catalogue) == []
    tell(catalogue, item("a", seq=5))
    assert near(catalogue) == ["a"]


def test_the_same_record_twice_changes_nothing() -> None:
    catalogue = snapshot()
    tell(catalogue, item("a"), item("a"), item("a"))
    assert near(catalogue) == ["a"]
    assert len(catalogue) == 1


def test_a_tombstone_forgets() -> None:
    catalogue = snapshot()
    tell(catalogue, item("a"))
    catalogue.apply(ITEM_CHANGED.name, "a", None)
    assert (near(catalogue), len(catalogue), catalogue.known("a")) == ([], 0, False)


def test_an_unknown_change_is_never_answered() -> None:
    catalogue = snapshot()
    tell(catalogue, item("a", change="unknown"))
    assert near(catalogue) == []
    assert len(catalogue.freshest(9, Where(), NOW_MS)) == 0


def test_filters() -> None:
    catalogue = snapshot()
    tell(
        catalogue,
        item("v"),
        item("p", kind="post"),
        item("mine", uploader="me"),
        item("warm"),
        counted("warm", 10),
        counted("v", 9),
    )
    assert near(catalogue, kind="post") == ["p"]
    assert set(near(catalogue, cold=True)) == {"v", "p", "mine"}
    assert near(catalogue, cold=False) == ["warm"]
    assert set(near(catalogue, exclude={"v", "ghost"})) == {"p", "mine", "warm"}
    assert set(near(catalogue, exclude_uploader="me")) == {"v", "p", "warm"}
    assert len(near(catalogue, exclude_uploader="nobody")) == 4


def test_only_the_current_version_is_searched_but_others_stay_published() -> None:
    catalogue = snapshot()
    late = NOW + timedelta(hours=1)
    tell(catalogue, item("old"), item("new", vector_version="joint-2", at=late))
    assert catalogue.vector_version == "joint-2"
    assert near(catalogue) == ["new"]
    assert set(catalogue.freshest(9, Where(), NOW_MS).ids) == {"old", "new"}
    tell(catalogue, item("older", vector_version="joint-1", at=NOW))
    assert catalogue.vector_version == "joint-2"
    tell(catalogue, item("old", vector_version="joint-2", seq=2, at=late))
    assert set(near(catalogue)) == {"new", "old"}


def test_a_pinned_version_stays() -> None:
    catalogue = snapshot(vector_version="joint-1")
    tell(catalogue, item("a"), item("b", vector_version="joint-2", at=NOW + timedelta(days=1)))
    assert near(catalogue) == ["a"]


@pytest.mark.parametrize("vector", [(), (1.0, 0.0), (3.0, 0.0, 0.0, 0.0), (0.0,) * 4, (float("nan"),) * 4])
def test_a_vector_that_cannot_be_compared_leaves_the_item_published(vector: tuple) -> None:
    catalogue = snapshot()
    record = item("odd")
    object.__setattr__(record, "vector", vector)
    tell(catalogue, item("a"), record)
    assert near(catalogue) == ["a"]
    assert "odd" in catalogue.freshest(9, Where(), NOW_MS).ids
    assert catalogue.vector_of("odd") is None


def test_counts_are_summed_over_partitions_and_replaced_within_one() -> None:
    catalogue = snapshot()
    tell(catalogue, item("a"), counted("a", 4, 0, 10), counted("a", 5, 1, 3), counted("a", 6, 0, 12))
    assert list(catalogue.pick(["a"], None).plays) == [11]
    tell(catalogue, counted("a", 4, 0, 10))
    assert list(catalogue.pick(["a"], None).plays) == [11]


def test_counts_that_come_before_the_item_are_kept() -> None:
    catalogue = snapshot()
    tell(catalogue, counted("a", 20), item("a"))
    assert near(catalogue, cold=False) == ["a"]


def test_an_item_leaves_cold_by_plays_or_by_exposures() -> None:
    catalogue = snapshot(cold_exposures=100)
    tell(catalogue, *(item(each) for each in ("new", "played", "shown", "almost")), counted("played", 10))
    tell(catalogue, shown("shown", 60, 0), shown("shown", 40, 1), counted("almost", 9), shown("almost", 99))
    assert set(near(catalogue, cold=True)) == {"new", "almost"}
    assert set(near(catalogue, cold=False)) == {"played", "shown"}
    assert catalogue.pick(["new", "played", "shown", "almost"], None).cold.tolist() == [True, False, False, True]


def test_exposures_are_replaced_within_a_partition_and_kept_for_the_item_to_come() -> None:
    catalogue = snapshot(cold_exposures=100)
    tell(catalogue, shown("a", 99, offset=7), shown("a", 60, offset=3), shown("a", 99, offset=7), item("a"))
    assert near(catalogue, cold=True) == ["a"]
    tell(catalogue, shown("a", 100, offset=8))
    assert near(catalogue, cold=False) == ["a"]
    tell(catalogue, item("a", (), change="withdrawn", seq=2), item("a", seq=3))
    assert near(catalogue, cold=False) == ["a"]


def test_without_a_number_of_exposures_nothing_is_cold() -> None:
    catalogue = snapshot(cold_exposures=0)
    tell(catalogue, item("a"))
    assert (near(catalogue, cold=False), near(catalogue, cold=True)) == (["a"], [])


def test_the_index_moves_an_item_that_was_shown_enough() -> None:
    catalogue = snapshot(exact_below=0)
    tell(catalogue, item("a"), item("b"))
    assert catalogue.index_stale(10) == 2
    tell(catalogue, shown("a", 99))
    assert catalogue.index_stale(10) == 0
    tell(catalogue, shown("a", 100, offset=2))
    assert near(catalogue, cold=False) == ["a"]
    assert catalogue.index_stale(10) == 1
    assert (near(catalogue, cold=False), near(catalogue, cold=True)) == (["a"], ["b"])


def test_impossible_exposures_are_refused() -> None:
    catalogue = snapshot()
    tell(catalogue, item("a"))
    for number in (-1, 2**50):
        with pytest.raises(BadEventError, match="impossible"):
            tell(catalogue, shown("a", number))
    assert near(catalogue, cold=True) == ["a"]


def test_totals_of_the_state_topic_feed_the_counts_too() -> None:
    catalogue = snapshot()
    tell(catalogue, item("a"))
    total = PlayAggregate(
        aggregate_id="total:a",
        plays=12,
        completions=1,
        played_ms=1,
        last_played_at=NOW,
        partials=(counted("a", 7, 0), counted("a", 5, 1)),
    )
    catalogue.apply(PLAY_AGGREGATED.name, "total:a", CODEC.encode(total))
    catalogue.apply(PLAY_AGGREGATED.name, "user:x", b"never decoded")
    assert list(catalogue.pick(["a"], None).plays) == [12]


def test_popularity_decays() -> None:
    catalogue = snapshot()
    tell(
        catalogue,
        item("hit"),
        item("old-hit"),
        counted("hit", 20, last_played_at=NOW),
        counted("old-hit", 30, 0, last_played_at=NOW - timedelta(hours=144)),
        counted("old-hit", 2, 1, last_played_at=NOW),
    )
    found = catalogue.popular(9, Where(), NOW_MS)
    assert list(found.ids) == ["hit", "old-hit"]
    assert found.score == pytest.approx([20.0, 30 / 4 + 2])


def test_fresh_and_well_listened_first() -> None:
    catalogue = snapshot()
    tell(catalogue, item("new", at=NOW), item("old", at=NOW - timedelta(days=30)), item("loved", at=NOW))
    tell(catalogue, counted("loved", 8, completions=8))
    assert list(catalogue.freshest(9, Where(), NOW_MS).ids) == ["loved", "new", "old"]


def test_the_table_grows_and_keeps_its_rows() -> None:
    catalogue = snapshot()
    for n in range(700):
        tell(catalogue, item(f"i{n}", (np.cos(n / 700), np.sin(n / 700), 0, 0)))
    assert near(catalogue, limit=3) == ["i0", "i1", "i2"]
    assert near(catalogue, (np.cos(1.0), np.sin(1.0), 0, 0), limit=1) == ["i699"]


def test_the_index_agrees_with_the_exact_product_through_changes() -> None:
    dice = np.random.default_rng(3)
    exact, index = snapshot(), snapshot(exact_below=0)
    vectors = dice.normal(size=(400, DIM))
    for catalogue in (exact, index):
        for n, vector in enumerate(vectors):
            tell(catalogue, item(f"i{n}", vector, kind=("video", "audio")[n % 2]))
        for n in range(0, 400, 3):
            tell(catalogue, counted(f"i{n}", 50))
        for n in range(0, 400, 7):
            tell(catalogue, item(f"i{n}", (), change="withdrawn", seq=2))
        for n in range(0, 400, 14):
            tell(catalogue, item(f"i{n}", -vectors[n], seq=3))
    # Half of the rows indexed, then all; what is not indexed is compared exactly.
    indexed = index.index_stale(200)
    assert (indexed, exact.index_stale(200)) == (200, 0)
    agree(exact, index, dice)
    while index.index_stale(50):
        pass
    agree(exact, index, dice)
    for catalogue in (exact, index):
        for n in range(0, 400, 5):
            tell(catalogue, item(f"i{n}", vectors[-n], seq=9))
    agree(exact, index, dice)
    for n in (7, 21, 42, 49):
        if n % 14 and n % 5:
            assert f"i{n}" not in near(index, limit=400)
    tell(index, item("jump", vector_version="joint-2", at=NOW))
    assert near(index, limit=400) == ["jump"]
    while index.index_stale(50):
        pass
    assert near(index, limit=400) == ["jump"]


def agree(exact: CatalogueSnapshot, index: CatalogueSnapshot, dice: np.random.Generator) -> None:
    shared = total = 0
    for _ in range(20):
        vector = dice.normal(size=DIM)
        vector /= np.linalg.norm(vector)
        for where in ({}, {"cold": True}, {"cold": False}, {"kind": "audio"}):
            want, got = near(exact, vector, 10, **where), near(index, vector, 10, **where)
            assert len(got) == 10
            shared += len(set(want) & set(got))
            total += 10
    assert shared / total > 0.97


def test_a_change_that_overtakes_the_index_is_not_lost() -> None:
    catalogue = snapshot(exact_below=0)
    tell(catalogue, item("a"), item("b", (0, 1, 0, 0)))
    indexes = catalogue._content._indexes
    put = indexes.put
    changed = []

    def slow_put(row: int, vector: object, *, cold: bool) -> None:
        put(row, vector, cold=cold)
        if not changed:
            changed.append(row)
            tell(catalogue, item("a", (0, 1, 0, 0), seq=2))

    indexes.put = slow_put
    catalogue.index_stale(10)
    assert catalogue.nearest(X, 1, Where()).similarity[0] == pytest.approx(0.0)
    assert catalogue.index_stale(10) == 1
    assert catalogue.nearest(Y, 2, Where()).similarity == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    "impossible",
    [
        {"plays": 2**50},
        {"plays": -1},
        {"completions": 2**62},
        {"decayed_plays": float("nan")},
        {"measured_plays": 2**50},
        {"measured_plays": 2**48, "completion_sum": 2**49},
        {"measured_plays": 1, "completion_sum": 10_001},
    ],
)
def test_impossible_counts_are_refused_before_they_spoil_a_sum(impossible: dict[str, float]) -> None:
    """Two of them did not fit into the column, and each later count of the song failed, too. Found by fuzzing."""
    catalogue = snapshot()
    tell(catalogue, item("a"))
    for partition in (0, 1):
        with pytest.raises(BadEventError, match="impossible"):
            tell(catalogue, counted("a", **({"plays": 5, "partition": partition} | impossible)))
    tell(catalogue, counted("a", 5))
    assert catalogue.pick(["a"], None).plays.tolist() == [5]


def test_a_vector_whose_square_is_too_large_is_not_searchable() -> None:
    """Found by fuzzing: numpy warned of an overflow."""
    catalogue = snapshot()
    tell(catalogue, replace(item("a"), vector=(3e38, 3e38, 0.0, 0.0)))
    assert catalogue.vector_of("a") is None
