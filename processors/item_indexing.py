"""Brings published items to Feast and Milvus, and takes withdrawn ones away.

consumes  item.catalogue.changed.v1
stores    Feast `item_content_v1`; Milvus `content_joint`, `content_audio`, `content_image`, `content_text`

Apart from ``content_embedding`` because only published items may be found, and because the stores scale and
fail by themselves. Writes carry the item's sequence number: a late one changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import safetensors.numpy

from features.ports import FeatureRow, FeatureWriter, ObjectStore, VectorIndex, VectorRow
from features.views import COLLECTIONS, CONTENT_JOINT, ITEM_CONTENT
from processors.runtime.processor import Emit, Received, capability
from schemas.item import ItemChanged
from schemas.topics import ITEM_CHANGED

STORED_NAMES = {
    "content_audio": "audio",
    "content_image": "image",
    "content_text": "text",
    CONTENT_JOINT.alias: "joint",
}


@capability(consumes=(ITEM_CHANGED,), produces=(), batch=True)
async def item_indexing(
    events: Sequence[Received[ItemChanged]],
    *,
    objects: ObjectStore,
    feature_writer: FeatureWriter,
    vector_index: VectorIndex,
) -> list[Emit]:
    """Makes published items findable in the stores and withdrawn ones not."""
    newest: dict[str, ItemChanged] = {}
    for received in events:
        known = newest.get(received.record.item_id)
        if known is None or received.record.seq >= known.seq:
            newest[received.record.item_id] = received.record
    published = [item for item in newest.values() if item.change == "published"]
    withdrawn = [item.item_id for item in newest.values() if item.change == "withdrawn"]
    rows = await asyncio.gather(*[_vector_rows(item, objects) for item in published])
    for alias in COLLECTIONS:
        wanted = [found[alias] for found in rows if alias in found]
        if wanted:
            await vector_index.upsert(alias, wanted)
        if withdrawn:
            await vector_index.delete(alias, withdrawn)
    if published:
        await feature_writer.push(ITEM_CONTENT.name, [_feature_row(item) for item in published])
    if withdrawn:
        await feature_writer.delete(ITEM_CONTENT.name, withdrawn)
    return []


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
