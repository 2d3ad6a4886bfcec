"""Brings published items to Feast and Milvus, and takes withdrawn ones away.

consumes  item.catalogue.changed.v1
produces  item.index.updated.v1 (its state)
stores    Feast `item_content_v1`; Milvus `content_joint`, `content_audio`, `content_image`, `content_text`

Apart from ``content_embedding`` because only published items may be found, and because the stores scale and
fail by themselves. The state remembers each item's last sequence number, withdrawn ones too: a late change changes
nothing, in whatever order dead letters are replayed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import safetensors.numpy

from features.ports import FeatureRow, FeatureWriter, ObjectStore, VectorIndex, VectorRow
from features.views import COLLECTIONS, CONTENT_JOINT, ITEM_CONTENT
from processors.runtime.processor import Emit, Received, State, capability
from schemas.ids import stable_id
from schemas.item import ItemChanged, ItemIndexed
from schemas.topics import ITEM_CHANGED, ITEM_INDEXED

STORED_NAMES = {
    "content_audio": "audio",
    "content_image": "image",
    "content_text": "text",
    CONTENT_JOINT.alias: "joint",
}


@capability(consumes=(ITEM_CHANGED,), produces=(ITEM_INDEXED,), state=ITEM_INDEXED, batch=True)
async def item_indexing(
    events: Sequence[Received[ItemChanged]],
    *,
    state: State,
    objects: ObjectStore,
    feature_writer: FeatureWriter,
    vector_index: VectorIndex,
) -> list[Emit]:
    """Makes published items findable in the stores and withdrawn ones not."""
    newest: dict[str, ItemChanged] = {}
    for item in (received.record for received in events):
        known = newest.get(item.item_id) or state.get(item.item_id)
        if isinstance(known, ItemChanged | ItemIndexed) and item.seq < known.seq:
            continue
        newest[item.item_id] = item
    published = [item for item in newest.values() if item.change == "published"]
    withdrawn = [item.item_id for item in newest.values() if item.change == "withdrawn"]
    rows = await asyncio.gather(*[_vector_rows(item, objects) for item in published])
    held = {item.item_id: tuple(found) for item, found in zip(published, rows, strict=True)}
    for alias in COLLECTIONS:
        if wanted := [found[alias] for found in rows if alias in found]:
            await vector_index.upsert(alias, wanted)
        if gone := withdrawn + [item for item in held if alias not in held[item] and alias in _before(state, item)]:
            await vector_index.delete(alias, gone)
    if published:
        await feature_writer.push(ITEM_CONTENT.name, [_feature_row(item) for item in published])
    if withdrawn:
        await feature_writer.delete(ITEM_CONTENT.name, withdrawn)
    now = datetime.now(UTC)
    return [Emit(ITEM_INDEXED, i.item_id, _indexed(i, held.get(i.item_id, ()), now)) for i in newest.values()]


def _before(state: State, item_id: str) -> tuple[str, ...]:
    """Collections that held the item so far."""
    known = state.get(item_id)
    return known.collections if isinstance(known, ItemIndexed) else ()


def _indexed(item: ItemChanged, collections: tuple[str, ...], now: datetime) -> ItemIndexed:
    return ItemIndexed(
        event_id=stable_id("indexed", item.event_id),
        occurred_at=item.occurred_at,
        produced_at=now,
        item_id=item.item_id,
        change=item.change,
        seq=item.seq,
        collections=collections,
    )


async def _vector_rows(item: ItemChanged, objects: ObjectStore) -> dict[str, VectorRow]:
    """Row by collection alias; a modality that the item lacks has none."""
    if item.vectors is None:
        return {}
    arrays = safetensors.numpy.load(await objects.get(item.vectors.key))
    scalars: dict[str, Any] = {
        "kind": item.kind,
        "language": item.language or "",
        "uploader": item.uploader,
        "published_at_ms": int(item.changed_at.timestamp() * 1000),
        "seq": item.seq,
        "vector_version": item.vector_version,
    }
    return {
        alias: VectorRow(item.item_id, arrays[name], scalars) for alias, name in STORED_NAMES.items() if name in arrays
    }


def _feature_row(item: ItemChanged) -> FeatureRow:
    return FeatureRow(
        item.item_id,
        item.changed_at,
        {
            "vector": np.asarray(item.vector, dtype=np.float32),
            "vector_version": item.vector_version,
            "kind": item.kind,
            "uploader": item.uploader,
            "title": item.title,
            "labels": [label.name for label in item.labels],
            "language": item.language or "",
        },
    )
