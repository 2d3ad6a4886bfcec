"""Published items come into the stores and withdrawn ones go, whatever the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from features import ownership
from features.views import COLLECTIONS
from processors.item_indexing import STORED_NAMES, item_indexing
from processors.runtime.processor import Milestone, Received
from schemas import topics
from schemas.common import Label
from schemas.item import ItemChanged
from tests.fakes.features import MemoryFeatures, MemoryObjects, MemoryVectors
from tests.fakes.runtime import NOW, MemoryState, at

ALL = ("audio", "image", "text", "joint")
DIMS = {name: COLLECTIONS[alias].dim for alias, name in STORED_NAMES.items()}


def unit(dim: int, place: int = 0) -> Any:
    vector = np.zeros(dim, dtype=np.float32)
    vector[place] = 1
    return vector


class Desk:
    def __init__(self) -> None:
        self.objects = MemoryObjects()
        self.features = MemoryFeatures(now=lambda: at(1000))
        self.vectors = MemoryVectors()
        self.state = MemoryState()
        self.milestones: list[Milestone] = []

    async def published(self, item: str = "i1", seq: int = 1, has: tuple[str, ...] = ALL, **more: Any) -> ItemChanged:
        arrays = {name: unit(DIMS[name], seq) for name in has}
        ref = await self.objects.put(f"derived/items/{item}/{seq}", safetensors.numpy.save(arrays), "x")
        values: dict[str, Any] = {
            "event_id": f"{item}-{seq}",
            "occurred_at": NOW,
            "changed_at": at(seq),
            "item_id": item,
            "kind": "video",
            "change": "published",
            "seq": seq,
            "uploader": "alice",
            "title": f"T{seq}",
            "labels": (Label(name="jazz", score=0.5),),
            "vector": tuple(unit(DIMS["joint"], seq).tolist()),
            "vector_version": "v1",
            "vectors": ref,
        }
        return ItemChanged(**values | more)

    async def work(self, *changes: ItemChanged) -> None:
        batch = [Received(c, topics.ITEM_CHANGED.name, 0, i) for i, c in enumerate(changes)]
        needs: dict[str, Any] = {
            "state": self.state,
            "objects": self.objects,
            "feature_writer": self.features,
            "vector_index": self.vectors,
        }
        for emit in await item_indexing.handler(batch, **needs):
            assert emit.topic is topics.ITEM_INDEXED
            self.state.values[emit.key] = emit.record
            self.milestones += [emit.milestone] if emit.milestone else []

    async def indexed(self, item: str = "i1") -> set[str]:
        return {alias for alias in COLLECTIONS if await self.vectors.fetch(alias, [item])}

    def row(self, item: str = "i1") -> Any:
        return self.features.rows.get(("item_content_v1", item))


def gone(item: str = "i1", seq: int = 2) -> ItemChanged:
    return ItemChanged(
        event_id=f"{item}-{seq}",
        occurred_at=NOW,
        changed_at=at(seq),
        item_id=item,
        kind="video",
        change="withdrawn",
        seq=seq,
    )


def test_every_collection_has_its_array() -> None:
    assert set(STORED_NAMES) == set(COLLECTIONS)


async def test_a_published_item() -> None:
    desk = Desk()
    await desk.work(await desk.published(language="en"))
    assert await desk.indexed() == set(COLLECTIONS)
    (row,) = (await desk.vectors.fetch("content_joint", ["i1"])).values()
    assert row.vector == pytest.approx(unit(DIMS["joint"], 1))
    assert row.scalars == {
        "kind": "video",
        "language": "en",
        "uploader": "alice",
        "published_at_ms": int(at(1).timestamp() * 1000),
        "seq": 1,
        "vector_version": "v1",
    }
    stored = desk.row()
    assert stored.at == at(1)
    values = dict(stored.values)
    assert values.pop("vector") == pytest.approx(unit(DIMS["joint"], 1))
    assert values == {
        "vector_version": "v1",
        "kind": "video",
        "uploader": "alice",
        "title": "T1",
        "labels": ["jazz"],
        "language": "en",
    }


async def test_a_modality_that_is_absent_has_no_row() -> None:
    desk = Desk()
    await desk.work(await desk.published(has=("text", "joint")))
    assert await desk.indexed() == {"content_text", "content_joint"}


async def test_an_item_without_vectors_has_features_only() -> None:
    desk = Desk()
    await desk.work(await desk.published(vectors=None))
    assert await desk.indexed() == set()
    assert desk.row() is not None


async def test_a_withdrawn_item_is_gone_everywhere() -> None:
    desk = Desk()
    await desk.work(await desk.published(), await desk.published("i2"))
    await desk.work(gone())
    assert await desk.indexed() == set()
    assert desk.row() is None
    assert await desk.indexed("i2") == set(COLLECTIONS)


async def test_an_unknown_change_changes_nothing() -> None:
    desk = Desk()
    await desk.work(await desk.published())
    await desk.work(await desk.published(seq=2, change="unknown"))
    assert desk.row().values["title"] == "T1"


async def test_the_newest_of_a_batch_counts() -> None:
    desk = Desk()
    await desk.work(await desk.published(seq=3), await desk.published(seq=1), await desk.published(seq=2))
    assert desk.row().values["title"] == "T3"
    await desk.work(gone(seq=4), await desk.published(seq=3))
    assert desk.row() is None
    assert await desk.indexed() == set()


async def test_a_late_event_changes_nothing() -> None:
    desk = Desk()
    await desk.work(await desk.published(seq=3))
    await desk.work(await desk.published(seq=2))
    assert desk.row().values["title"] == "T3"
    (row,) = (await desk.vectors.fetch("content_joint", ["i1"])).values()
    assert row.scalars["seq"] == 3


async def test_a_late_publication_does_not_bring_back_what_was_withdrawn() -> None:
    """A dead letter replayed after the item was withdrawn: the module says that a late write changes nothing."""
    desk = Desk()
    late = await desk.published(seq=1)
    await desk.work(gone(seq=2))
    await desk.work(late)
    assert await desk.indexed() == set()
    assert desk.row() is None


async def test_a_late_withdrawal_does_not_take_away_what_is_published() -> None:
    """A dead letter replayed: an item that was taken away and published again stays published."""
    desk = Desk()
    await desk.work(await desk.published(seq=3))
    await desk.work(gone(seq=2))
    assert desk.row() is not None
    assert await desk.indexed() == set(COLLECTIONS)


async def test_an_item_is_found_for_the_first_time_once() -> None:
    desk = Desk()
    for _ in range(2):
        await desk.work(await desk.published())
    await desk.work(await desk.published(seq=2))
    assert desk.milestones == [Milestone("indexed", NOW)]
    await desk.work(gone(seq=3))
    await desk.work(await desk.published(seq=4))
    assert len(desk.milestones) == 2


async def test_everything_twice_is_the_same_as_once() -> None:
    desk = Desk()
    changes = [await desk.published(), await desk.published("i2"), gone("i2")]
    await desk.work(*changes)
    before = dict(desk.features.rows)
    await desk.work(*changes)
    assert desk.features.rows.keys() == before.keys() == {("item_content_v1", "i1")}
    assert await desk.indexed("i2") == set()


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["i1", "i2"]), st.booleans()), min_size=1, max_size=8),
    data=st.data(),
)
async def test_the_cut_into_batches_changes_nothing(steps: list[tuple[str, bool]], data: st.DataObject) -> None:
    desk = Desk()
    changes = [
        await desk.published(item, seq) if publish else gone(item, seq)
        for seq, (item, publish) in enumerate(steps, start=1)
    ]
    position = 0
    while position < len(changes):
        size = data.draw(st.integers(1, len(changes) - position))
        await desk.work(*changes[position : position + size])
        position += size
    newest = {c.item_id: c for c in changes}
    for item, change in newest.items():
        published = change.change == "published"
        assert (desk.row(item) is not None) == published
        assert bool(await desk.indexed(item)) == published
        if published:
            assert desk.row(item).values["title"] == change.title


async def test_no_item_is_no_work() -> None:
    desk = Desk()
    await desk.work()
    assert desk.features.rows == {}


async def test_a_modality_that_an_item_lost_is_taken_away() -> None:
    desk = Desk()
    await desk.work(await desk.published(seq=1))
    await desk.work(await desk.published(seq=2, has=("text", "joint")))
    assert await desk.indexed() == {"content_text", "content_joint"}


async def test_an_upload_that_was_erased_meanwhile_waits_for_its_withdrawal() -> None:
    """Its vectors are gone already; that is no failure, and its neighbours in the batch are indexed."""
    desk = Desk()
    erased, other = await desk.published("i1"), await desk.published("i2")
    del desk.objects.data["derived/items/i1/1"]
    with pytest.raises(KeyError):
        await desk.work(erased, other)
    await ownership.erase_medium(desk.objects, "i1")
    await desk.work(erased, other)
    assert await desk.indexed("i1") == set()
    assert desk.row("i1") is None
    assert await desk.indexed("i2") == set(COLLECTIONS)
    await desk.work(gone("i1"))
    assert desk.row("i1") is None
