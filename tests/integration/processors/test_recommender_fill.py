"""A version's stores are filled from the catalogue's topic before it is published, and gone over once more after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features import milvus_versions
from features.apply import apply_views
from features.contents import milvus_contents
from features.milvus_index import prepare_collections
from features.views import ITEM_VECTOR, RECOMMENDER_ITEMS, recommender_items
from processors.item_mapping import item_mapping
from processors.runtime import topics_admin
from processors.runtime.processor import Emit
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.tools import recommender_fill
from processors.tools.recommender_fill import RecommenderFill
from processors.tools.verify.stores import read_vectors
from schemas.common import Label
from schemas.item import ItemChanged, ItemMapped
from schemas.topics import ITEM_CHANGED, ITEM_MAPPED
from tests.fakes.recommender import FakeRecommender
from tests.fakes.runtime import NOW, at

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture
async def wiring(
    streams_settings: Settings, milvus_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Wiring]:
    monkeypatch.setattr(recommender_fill, "SETTLE_S", 0.1)
    settings = streams_settings.model_copy(
        update={
            "data_dir": tmp_path,
            "milvus": streams_settings.milvus.model_copy(update={"uri": milvus_server.uri}),
        }
    )
    with closing(Wiring(settings)) as found:
        topics_admin.apply(settings.kafka, found.registry, [item_mapping])
        apply_views(found.feast_config)
        yield found
        await found.redis.aclose()


def changed(item: str, label: str, seq: int = 1, change: Any = "published") -> Emit:
    record = ItemChanged(
        event_id=f"{item}-{seq}",
        occurred_at=NOW,
        changed_at=at(seq),
        item_id=item,
        kind="audio",
        change=change,
        seq=seq,
        labels=(Label(name=label, score=1.0),),
    )
    return Emit(ITEM_CHANGED, item, record)


async def held(wiring: Wiring, version: str, *items: str) -> dict[str, list[float]]:
    rows = await wiring.vector_index.fetch(recommender_items(version).name, items)
    return {item: row.vector[:3].tolist() for item, row in rows.items()}


async def test_filled_before_and_gone_over_after_and_back_again(wiring: Wiring) -> None:
    await wiring.publisher.publish(
        [changed("fill-a", "rock"), changed("fill-b", "jazz"), changed("fill-gone", "jazz"), changed("fill-odd", "x")]
    )
    await wiring.publisher.publish([changed("fill-gone", "jazz", 2, "withdrawn")])
    first, second = FakeRecommender("fill-1", dim=64), FakeRecommender("fill-2", {"fill-b": (0.5, 0, 0.5)}, dim=64)
    first.map = _without_unknown(first)
    second.map = _without_unknown(second)
    ids = ("fill-a", "fill-b", "fill-gone", "fill-odd", "fill-late", "fill-race")
    steps: list[tuple[str, int, int]] = []
    with closing(RecommenderFill(wiring, lambda *step: steps.append(step))) as fill:
        assert await fill.prepare(first) >= 4
        assert await held(wiring, "fill-1", *ids) == {"fill-a": [1, 0, 0], "fill-b": [0, 1, 0]}
        assert fill.any_published(["other", "fill-b"])
        assert not fill.any_published(["other", "fill-gone"])
        # the move may still fail: what the version in use shares with it is untouched
        assert await wiring.feature_reader.read(ITEM_VECTOR.name, ["fill-a", "fill-b"]) == [None, None]
        assert await told(wiring, "fill-a") is None
        # a worker that has not heard of the version yet has placed this elsewhere
        await wiring.publisher.publish([changed("fill-late", "folk"), changed("fill-a", "jazz", 2)])
        race = _changed_while_placing(wiring, first, changed("fill-race", "folk"))
        assert await fill.settle(race) >= 6
        assert await held(wiring, "fill-1", *ids) == {
            "fill-a": [0, 1, 0],
            "fill-b": [0, 1, 0],
            "fill-late": [0, 0, 1],
            "fill-race": [0, 0, 1],
        }
        assert (await told(wiring, "fill-race")).model_version == "fill-1"
        assert steps[-1][0] == "placing what changed meanwhile"
        by_alias = await wiring.vector_index.fetch(RECOMMENDER_ITEMS, ["fill-late"])
        assert by_alias["fill-late"].scalars["vector_version"] == "fill-1"

        await fill.prepare(second)
        [feature] = await wiring.feature_reader.read(ITEM_VECTOR.name, ["fill-b"])
        assert feature.values["model_version"] == "fill-1"
        await fill.settle(second)
        assert (await held(wiring, "fill-2", *ids))["fill-b"] == [0.5, 0, 0.5]
        [feature] = await wiring.feature_reader.read(ITEM_VECTOR.name, ["fill-b"])
        assert feature is not None
        assert (feature.values["model_version"], feature.values["source"]) == ("fill-2", "trained")

        # of all that lie there: those to keep, and the one that readers get
        await asyncio.to_thread(milvus_versions.make, wiring.milvus_config, [recommender_items("fill-0")])
        dropped = await fill.tidy(["fill-1", "fill-new"])
        assert recommender_items("fill-0").name in dropped
        left = await asyncio.to_thread(milvus_versions.recommender_collections, wiring.milvus_config)
        assert left == [recommender_items(version).name for version in ("fill-1", "fill-2", "fill-new")]
        await asyncio.to_thread(prepare_collections, wiring.milvus_config)
        places = [place async for place, _ in milvus_contents(wiring.vector_index, left) if "/fill-race" in place]
        assert places == [f"{name}/fill-race" for name in left[:2]]
        assert "fill-race" in (await asyncio.to_thread(read_vectors, wiring.milvus_config))[RECOMMENDER_ITEMS]

    # back: an item that was withdrawn meanwhile is taken out of the older collection, too
    await wiring.publisher.publish([changed("fill-late", "folk", 2, "withdrawn")])
    with closing(RecommenderFill(wiring, lambda *_: None)) as fill:
        await fill.prepare(first)
        await fill.settle(first)
        back = await held(wiring, "fill-1", *ids)
        assert back == {"fill-a": [0, 1, 0], "fill-b": [0, 1, 0], "fill-race": [0, 0, 1]}
    assert await told(wiring, "fill-late") == replace(await told(wiring, "fill-late"), change="withdrawn", vector=())
    assert (await told(wiring, "fill-b")).model_version == "fill-1"


async def told(wiring: Wiring, item: str) -> Any:
    from processors.serving.decoding import Decoder
    from processors.tools.rebuild.newest import NewestRecords

    records = NewestRecords(
        wiring.settings.kafka, ITEM_MAPPED, ItemMapped, Decoder(wiring.codec, wiring.registry.fetch)
    )
    with closing(records):
        records.advance()
        return records.get(item)


def _changed_while_placing(wiring: Wiring, recommender: FakeRecommender, change: Emit) -> FakeRecommender:
    """The same recommender; the first time that it places something, an item changes."""
    mapping, once = recommender.map, [change]

    def map_late(content: Any) -> Any:
        while once:
            asyncio.run(_published(wiring.settings, once.pop()))
        return mapping(content)

    recommender.map = map_late
    return recommender


async def _published(settings: Settings, change: Emit) -> None:
    # the publisher of the test belongs to its event loop
    with closing(Wiring(settings)) as other:
        await other.publisher.publish([change])


def _without_unknown(recommender: FakeRecommender) -> Any:
    """Other tests' items lie in the same topic; their labels are none of the axes."""
    mapping = recommender.map

    def map_known(content: Any) -> Any:
        known = [tuple(label for label in labels if label in ("rock", "jazz", "folk")) for labels in content.labels]
        return mapping(replace(content, labels=known))

    return map_known
