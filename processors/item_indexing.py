"""Brings published items to Feast and Milvus, and takes withdrawn ones away.

consumes  item.catalogue.changed.v1
produces  item.index.updated.v1 (its state)
stores    Feast `item_content_v1`; Milvus `content_joint`, `content_audio`, `content_image`, `content_text`

Apart from ``content_embedding`` because only published items may be found, and because the stores scale and
fail by themselves. The state remembers each item's last sequence number, withdrawn ones too: a late change changes
nothing, in whatever order dead letters are replayed.

What is written is a `Layout`. A new version of it runs beside the old one, as a group of its own with a state of its
own, until readers are switched to it (docs/rebuild-and-backfill.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import safetensors.numpy

from features.ownership import is_erased
from features.ports import FeatureRow, FeatureWriter, ObjectStore, VectorIndex, VectorRow
from features.views import COLLECTIONS, CONTENT_JOINT, ITEM_CONTENT, Collection, View
from processors.runtime.processor import Capability, Emit, Milestone, Received, State, capability
from schemas.ids import stable_id
from schemas.item import ItemChanged, ItemIndexed
from schemas.topics import ITEM_CHANGED, ITEM_INDEXED, Topic, of_version

STORED_NAMES = {
    "content_audio": "audio",
    "content_image": "image",
    "content_text": "text",
    CONTENT_JOINT.alias: "joint",
}
Batch = Sequence[Received[ItemChanged]]
Values = Callable[[ItemChanged], dict[str, Any]]


def scalars_of(item: ItemChanged) -> dict[str, Any]:
    """Filterable fields of an item's vectors, as `features.views.SCALARS` has them."""
    return {
        "kind": item.kind,
        "language": item.language or "",
        "uploader": item.uploader,
        "published_at_ms": int(item.changed_at.timestamp() * 1000),
        "seq": item.seq,
        "vector_version": item.vector_version,
    }


def content_of(item: ItemChanged) -> dict[str, Any]:
    """An item's values in `item_content_v1`."""
    return {
        "vector": np.asarray(item.vector, dtype=np.float32),
        "vector_version": item.vector_version,
        "kind": item.kind,
        "uploader": item.uploader,
        "title": item.title,
        "labels": [label.name for label in item.labels],
        "language": item.language or "",
    }


@dataclass(frozen=True)
class Layout:
    """What one version writes, and where.

    Attributes:
        version: From 1.
        view: Feature view of the items.
        collections: Vector collections, one for each alias.
        content: An item's values of the view.
        scalars: The scalars of an item's vectors.
    """

    version: int
    view: View
    collections: tuple[Collection, ...]
    content: Values = content_of
    scalars: Values = scalars_of


@dataclass(frozen=True)
class ItemRows:
    """All rows of one published item.

    Attributes:
        feature: Row of the layout's view.
        vectors: Row by collection alias; a modality that the item lacks has none.
    """

    feature: FeatureRow
    vectors: dict[str, VectorRow]


async def item_rows(item: ItemChanged, layout: Layout, objects: ObjectStore) -> ItemRows:
    """What the stores hold of a published item.

    Raises:
        KeyError: its vectors are not in the object store.
        UnavailableError: the object store does not answer.
    """
    feature = FeatureRow(item.item_id, item.changed_at, layout.content(item))
    if item.vectors is None:
        return ItemRows(feature, {})
    arrays = safetensors.numpy.load(await objects.get(item.vectors.key))
    scalars = layout.scalars(item)
    names = {each.alias: STORED_NAMES[each.alias] for each in layout.collections}
    return ItemRows(
        feature,
        {alias: VectorRow(item.item_id, arrays[name], scalars) for alias, name in names.items() if name in arrays},
    )


def indexing(layout: Layout) -> Capability:
    """The capability that fills a layout's stores."""
    told = of_version(ITEM_INDEXED, layout.version)

    @capability(
        consumes=(ITEM_CHANGED,),
        produces=(told,),
        state=told,
        batch=True,
        version=layout.version,
        stores=(layout.view, *layout.collections),
    )
    async def item_indexing(
        events: Batch,
        *,
        state: State,
        objects: ObjectStore,
        feature_writer: FeatureWriter,
        vector_index: VectorIndex,
    ) -> list[Emit]:
        """Makes published items findable in the stores and withdrawn ones not."""
        newest = _newest(events, state)
        published = [item for item in newest.values() if item.change == "published"]
        withdrawn = [item.item_id for item in newest.values() if item.change == "withdrawn"]
        tried = await asyncio.gather(*[_rows_unless_erased(item, layout, objects) for item in published])
        for item in (item for item, found in zip(published, tried, strict=True) if found is None):
            del newest[item.item_id]
        published = [item for item in published if item.item_id in newest]
        rows = [found for found in tried if found is not None]
        held = {item.item_id: tuple(found.vectors) for item, found in zip(published, rows, strict=True)}
        for each in layout.collections:
            alias = each.alias
            if wanted := [found.vectors[alias] for found in rows if alias in found.vectors]:
                await vector_index.upsert(each.name, wanted)
            if gone := withdrawn + [item for item in held if alias not in held[item] and alias in _before(state, item)]:
                await vector_index.delete(each.name, gone)
        if published:
            await feature_writer.push(layout.view.name, [found.feature for found in rows])
        if withdrawn:
            await feature_writer.delete(layout.view.name, withdrawn)
        now = datetime.now(UTC)
        return [
            replace(_told(told, item, held.get(item.item_id, ()), now), milestone=_milestone(state, item))
            for item in newest.values()
        ]

    return item_indexing


LAYOUTS: dict[int, Layout] = {1: Layout(1, ITEM_CONTENT, tuple(COLLECTIONS.values()))}
"""By version; a new one stands here, and in `processors.catalogue.VERSIONS`, until the old one was dropped."""
item_indexing = indexing(LAYOUTS[1])


async def _rows_unless_erased(item: ItemChanged, layout: Layout, objects: ObjectStore) -> ItemRows | None:
    """None for an upload that was erased since: its withdrawal follows in this partition."""
    try:
        return await item_rows(item, layout, objects)
    except KeyError:
        if await is_erased(objects, item.item_id):
            return None
        raise


def _newest(events: Batch, state: State) -> dict[str, ItemChanged]:
    """Newest change by item id; one older than the state knows is left out."""
    newest: dict[str, ItemChanged] = {}
    for item in (received.record for received in events):
        known = newest.get(item.item_id) or state.get(item.item_id)
        if isinstance(known, ItemChanged | ItemIndexed) and item.seq < known.seq:
            continue
        newest[item.item_id] = item
    return newest


def _before(state: State, item_id: str) -> tuple[str, ...]:
    """Collections that held the item so far."""
    known = state.get(item_id)
    return known.collections if isinstance(known, ItemIndexed) else ()


def _milestone(state: State, item: ItemChanged) -> Milestone | None:
    """That an item is found now and was not before."""
    known = state.get(item.item_id)
    found_before = isinstance(known, ItemIndexed) and known.change == "published"
    return None if found_before or item.change != "published" else Milestone("indexed", item.occurred_at)


def _told(topic: Topic, item: ItemChanged, collections: tuple[str, ...], now: datetime) -> Emit:
    record = ItemIndexed(
        event_id=stable_id("indexed", item.event_id),
        occurred_at=item.occurred_at,
        produced_at=now,
        item_id=item.item_id,
        change=item.change,
        seq=item.seq,
        collections=collections,
    )
    return Emit(topic, item.item_id, record)
