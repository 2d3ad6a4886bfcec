"""Each partition is asked for its places only; the candidates are those of asking both for all."""

from __future__ import annotations

import numpy as np
import pytest

from processors.serving.candidates import Candidates, joined
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.decoding import Decoder
from processors.serving.recall import PartitionedRecaller, Wanted, quota
from processors.serving.user_reader import UserContext
from processors.serving.where import Where
from schemas.topics import ITEM_CHANGED, SONG_COUNTED
from tests.fakes.serving import DIM, NOW, counted, item, no_registry, numbered_codec

CODEC = numbered_codec()
COLD_SHARE = 0.25


def snapshot(cold: int, warm: int, **changes) -> CatalogueSnapshot:
    catalogue = CatalogueSnapshot(
        Decoder(CODEC, no_registry), **({"cold_plays": 10, "half_life_h": 72.0, "dim": DIM} | changes)
    )
    dice = np.random.default_rng(8)
    for number in range(cold + warm):
        # every ninth has no vector: found by popularity and freshness only
        vector = () if number % 9 == 4 else dice.normal(size=DIM)
        record = item(f"i{number}", vector, uploader=("me", "you")[number % 5 > 0], kind=("video", "audio")[number % 2])
        catalogue.apply(ITEM_CHANGED.name, record.item_id, CODEC.encode(record))
        if number >= cold:
            catalogue.apply(SONG_COUNTED.name, record.item_id, CODEC.encode(counted(record.item_id, 10 + number)))
    return catalogue


def all_of_both(catalogue: CatalogueSnapshot, user: UserContext, limit: int, kind: str | None) -> list[str]:
    """As it was done at first: the whole limit of both partitions, cut to the places afterwards."""
    recaller = PartitionedRecaller(catalogue, lambda: NOW)
    cold, warm = (recaller._search(user, limit, Where(kind, c, user.heard, user.user_id)) for c in (True, False))
    kept_cold = max(quota(limit, COLD_SHARE), limit - len(warm))
    kept_warm = limit - min(len(cold), kept_cold)
    first = [part.take(np.arange(min(kept, len(part)))) for part, kept in ((warm, kept_warm), (cold, kept_cold))]
    return list(joined(first).ids)


@pytest.mark.parametrize("limit", [1, 10, 200])
@pytest.mark.parametrize(("cold", "warm"), [(60, 60), (3, 100), (100, 3), (0, 50)])
@pytest.mark.parametrize("taste", [None, np.array([0.6, 0.8, 0, 0], np.float32)], ids=["unknown", "taste"])
@pytest.mark.parametrize("kind", [None, "audio"])
async def test_the_same_candidates_as_asking_both_for_all(limit, cold, warm, taste, kind) -> None:
    catalogue = snapshot(cold, warm)
    user = UserContext("me", taste, heard=frozenset({"i2", "i7", "i30"}))
    recaller = PartitionedRecaller(catalogue, lambda: NOW)
    found: Candidates = await recaller.recall(user, Wanted(limit, COLD_SHARE, (kind,) if kind else ()))
    assert list(found.ids) == all_of_both(catalogue, user, limit, kind)


@pytest.mark.parametrize("cold", [None, True, False])
def test_the_index_finds_what_the_exact_product_finds(cold) -> None:
    """Of a small index nearly all is fetched, so both ways must agree exactly."""
    catalogue, exact = snapshot(150, 150, exact_below=0), snapshot(150, 150)
    while catalogue.index_stale(50):
        pass
    for each in (catalogue, exact):
        # not indexed any more: one that is new, one that is no longer cold, one that is gone
        for change in (item("late", (1, 0, 0, 0), uploader="you"), item("i7", (), change="withdrawn", seq=2)):
            each.apply(ITEM_CHANGED.name, change.item_id, CODEC.encode(change))
        each.apply(SONG_COUNTED.name, "i8", CODEC.encode(counted("i8", 50)))
    dice = np.random.default_rng(2)
    for _ in range(20):
        vector = dice.normal(size=DIM).astype(np.float32)
        vector /= np.linalg.norm(vector)
        where = Where(None, cold, frozenset({"i1", "i3", "i200"}), "me")
        rows, scores = catalogue._content._approximate(vector, 8, catalogue._filter(where)) or pytest.fail(
            "the index was not asked"
        )
        wanted = exact.nearest(vector, 8, where)
        assert catalogue._table.columns.ids[rows].tolist() == wanted.ids.tolist()
        assert scores == pytest.approx(wanted.score, abs=1e-6)
