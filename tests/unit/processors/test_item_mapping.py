"""Published items come into the recommender's space and withdrawn ones go, whatever the batch."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from prometheus_client import REGISTRY

from features.views import ITEM_VECTOR, recommender_items
from models.bundled_recommender import BundledRecommender
from models.content_vector import DIM
from models.ranker import RankingWeights
from models.recommender import Recommender
from models.recommender_bundle import open_bundle
from processors.item_mapping import item_mapping
from processors.runtime.processor import Received
from schemas import topics
from schemas.common import Label
from schemas.item import ItemChanged, ItemMapped
from tests.bundles import DEBUG
from tests.fakes.features import MemoryFeatures, MemoryVectors
from tests.fakes.recommender import FakeRecommender
from tests.fakes.runtime import NOW, MemoryState, at

ITEMS = recommender_items("r-1").name


class Active:
    def __init__(self, recommender: Recommender | None) -> None:
        self.recommender = recommender
        self.previous: str | None = None


async def at_once(function: Any, *args: Any) -> Any:
    return function(*args)


class Desk:
    def __init__(self, recommender: Recommender | None) -> None:
        self.active = Active(recommender)
        self.features = MemoryFeatures(now=lambda: at(1000))
        self.vectors = MemoryVectors()
        self.state = MemoryState()

    async def work(self, *changes: ItemChanged) -> list[ItemMapped]:
        batch = [Received(c, topics.ITEM_CHANGED.name, 0, i) for i, c in enumerate(changes)]
        emits = await item_mapping.handler(
            batch,
            state=self.state,
            active=self.active,
            feature_writer=self.features,
            vector_index=self.vectors,
            offload=at_once,
        )
        self.state.apply(emits, topics.ITEM_MAPPED)
        return [emit.record for emit in emits]

    async def vector(self, item: str) -> Any:
        row = (await self.vectors.fetch(ITEMS, [item])).get(item)
        [feature] = await self.features.read(ITEM_VECTOR.name, [item])
        assert (row is None) == (feature is None)
        if row is None:
            return None
        assert feature.values["vector"].tolist() == row.vector.tolist()
        assert feature.values["model_version"] == row.scalars["vector_version"] == "r-1"
        assert row.scalars["uploader"] == ""
        return row.vector[:3].tolist()


def changed(item: str, *labels: str, seq: int = 1, change: Any = "published") -> ItemChanged:
    return ItemChanged(
        event_id=f"{item}-{seq}",
        occurred_at=NOW,
        changed_at=at(seq),
        item_id=item,
        kind="audio",
        uploader="ada",
        change=change,
        seq=seq,
        labels=tuple(Label(name=name, score=1.0) for name in labels),
    )


def without_content() -> float:
    found = REGISTRY.get_sample_value("overture_recommend_fallbacks_total", {"reason": "item-without-content"})
    return found or 0.0


def desk(**changes: Any) -> Desk:
    return Desk(FakeRecommender(dim=64, **changes))


async def test_an_item_is_placed_by_its_content_and_a_trained_one_by_training() -> None:
    made = desk(trained={"old": (0.5, 0.5, 0.0)})
    told = {record.item_id: record for record in await made.work(changed("new", "jazz"), changed("old", "folk"))}
    assert await made.vector("new") == [0, 1, 0]
    assert await made.vector("old") == [0.5, 0.5, 0]
    assert (told["new"].source, told["new"].gates, told["new"].model_version) == ("content", {"tags": 1.5}, "r-1")
    assert (told["old"].source, told["old"].gates) == ("trained", {})
    # a finer time than the topic keeps would make another row of a rebuild
    assert told["new"].produced_at.microsecond % 1000 == 0


async def test_a_batch_larger_than_the_network_takes_at_once() -> None:
    made = desk()
    await made.work(*(changed(f"i{n}", ("rock", "jazz", "folk")[n % 3]) for n in range(150)))
    assert await made.vector("i0") == [1, 0, 0]
    assert await made.vector("i149") == [0, 0, 1]


async def test_an_item_of_no_known_content_has_no_vector_and_is_told() -> None:
    made = desk()
    before = without_content()
    told = {record.item_id: record for record in await made.work(changed("odd"), changed("known", "rock"))}
    assert (told["odd"].change, told["odd"].vector) == ("published", ())
    assert await made.vector("odd") is None
    assert without_content() == before + 1
    await made.work(changed("known", seq=2, change="withdrawn"))
    assert without_content() == before + 1


async def test_withdrawn_and_late() -> None:
    made = desk()
    await made.work(changed("a", "rock"), changed("a", "jazz", seq=3))
    assert await made.vector("a") == [0, 1, 0]
    await made.work(changed("a", "folk", seq=2))
    assert await made.vector("a") == [0, 1, 0]
    [record] = await made.work(changed("a", seq=4, change="withdrawn"))
    assert (record.change, record.vector) == ("withdrawn", ())
    assert await made.vector("a") is None
    assert await made.work(changed("a", "rock", seq=3)) == []
    assert await made.vector("a") is None


async def test_what_is_withdrawn_goes_from_the_previous_versions_collection_too() -> None:
    made, older = desk(), recommender_items("r-0").name
    await made.work(changed("a", "rock"), changed("b", "jazz"))
    rows = await made.vectors.fetch(ITEMS, ["a", "b"])
    await made.vectors.upsert(older, list(rows.values()))
    made.active.previous = "r-0"
    await made.work(changed("a", seq=2, change="withdrawn"), changed("b", "folk", seq=2))
    assert await made.vector("a") is None
    left = await made.vectors.fetch(older, ["a", "b"])
    assert {item: row.vector[:3].tolist() for item, row in left.items()} == {"b": [0, 1, 0]}


async def test_an_item_that_lost_its_content_is_taken_away() -> None:
    made = desk()
    await made.work(changed("a", "rock"))
    await made.work(changed("a", seq=2))
    assert await made.vector("a") is None


async def test_the_same_batch_twice_tells_the_same() -> None:
    made = desk()
    first = await made.work(changed("a", "rock"))
    again = await made.work(changed("a", "rock"))
    assert [record.event_id for record in first] == [record.event_id for record in again]


async def test_a_vector_that_is_not_finite_is_an_error_and_nothing_is_stored() -> None:
    bundle = open_bundle(DEBUG)
    made = Desk(BundledRecommender(bundle, RankingWeights()))
    broken = changed("a", "calm")
    nan = dataclasses.replace(broken, vector=(math.nan,) * DIM, vector_version=bundle.manifest.content_version)
    with pytest.raises(ValueError, match="finite"):
        await made.work(nan)
    assert made.features.rows == {}
    # alone, without the vector, its tags place it
    [record] = await made.work(broken)
    assert record.vector


async def test_without_a_recommender_nothing_is_told() -> None:
    assert await Desk(None).work(changed("a", "rock")) == []


async def test_a_store_that_is_away_leaves_the_batch_to_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = desk()

    async def away(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(made.vectors, "upsert", away)
    with pytest.raises(ConnectionError):
        await made.work(changed("a", "rock"))
