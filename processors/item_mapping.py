"""Places published items in the recommender's space by their content, and takes withdrawn ones away.

consumes  item.catalogue.changed.v1
follows   model.version.published.v1
produces  item.vector.mapped.v1 (its state)
models    the recommender in use: trained items as training placed them, others by CB2CF
stores    Feast `item_vector_v1`; Milvus `recommender_items` (one collection a version: of that in use and the one
          before, which only loses what is withdrawn)

The HTTP service maps for itself and does not wait for this; who else reads recalls from these stores. Without a
published recommender there is nothing to do: the first publication fills what was published so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from features.ports import FeatureRow, FeatureWriter, VectorIndex, VectorRow
from features.views import ITEM_VECTOR, recommender_items
from models.content_vector import DIM
from models.recommender import SURE, ItemContent, Recommender, known_year
from processors.runtime.fallbacks import FALLBACKS
from processors.runtime.processor import Emit, Offload, Received, State, capability
from schemas.ids import stable_id
from schemas.item import ItemChanged, ItemMapped
from schemas.topics import ITEM_CHANGED, ITEM_MAPPED, MODEL_PUBLISHED

Batch = Sequence[Received[ItemChanged]]
AT_ONCE = 64
"""Items that the network is given at a time."""


class ActiveRecommender(Protocol):
    """The recommender in use, whichever that is now."""

    @property
    def recommender(self) -> Recommender | None:
        """None before the first was published."""
        ...

    @property
    def previous(self) -> str | None:
        """Version in use before, whose collection is kept; None where there was none."""
        ...


@capability(
    consumes=(ITEM_CHANGED,),
    produces=(ITEM_MAPPED,),
    follows=(MODEL_PUBLISHED,),
    state=ITEM_MAPPED,
    batch=True,
    weight="thread",
)
async def item_mapping(
    events: Batch,
    *,
    state: State,
    active: ActiveRecommender,
    feature_writer: FeatureWriter,
    vector_index: VectorIndex,
    offload: Offload,
) -> list[Emit]:
    """Places items in the recommender's space."""
    recommender, previous = active.recommender, active.previous
    if recommender is None:
        return []
    newest = _newest(events, state)
    published = [item for item in newest if item.change == "published"]
    told = await offload(place, recommender, published)
    unplaced = sum(not record.vector for record in told)
    gone = [withdrawn(item) for item in newest if item.change == "withdrawn"]
    told += gone
    await store_vectors(told, published, recommender.version, vector_index)
    if previous is not None:
        await store_vectors(gone, [], previous, vector_index)
    await store_features(told, feature_writer)
    # behind the stores: while one is away all this is tried again and again
    FALLBACKS.labels("item-without-content").inc(unplaced)
    return [Emit(ITEM_MAPPED, record.item_id, record) for record in told]


def place(recommender: Recommender, items: Sequence[ItemChanged]) -> list[ItemMapped]:
    """Where a recommender places published items; one whose content it does not know has no vector."""
    told = []
    for start in range(0, len(items), AT_ONCE):
        block = items[start : start + AT_ONCE]
        mapped = recommender.map(_content(block))
        for number, item in enumerate(block):
            weights = zip(recommender.parts, mapped.gates[number].tolist(), strict=True)
            told.append(
                _mapped(
                    item,
                    recommender.version,
                    vector=tuple(mapped.vectors[number].tolist()) if mapped.found[number] else (),
                    gates={name: weight for name, weight in weights if weight > 0.0},
                    source="trained" if mapped.trained[number] >= 0 else "content",
                )
            )
    return told


def withdrawn(item: ItemChanged) -> ItemMapped:
    """What is told of an item that is gone."""
    return _mapped(item, "")


async def store_vectors(
    told: Sequence[ItemMapped], items: Sequence[ItemChanged], version: str, vector_index: VectorIndex
) -> None:
    """Have the version's collection hold what was told, and no longer what has no vector.

    Raises:
        UnavailableError: Milvus does not answer, or the collection was not made.
    """
    collection, of_id = recommender_items(version).name, {item.item_id: item for item in items}
    placed, gone = _parted(told)
    if placed:
        await vector_index.upsert(collection, [vector_row(record, of_id[record.item_id]) for record in placed])
    if gone:
        await vector_index.delete(collection, gone)


async def store_features(told: Sequence[ItemMapped], feature_writer: FeatureWriter) -> None:
    """Have the features, which are those of the version in use, hold what was told.

    Raises:
        UnavailableError: the feature store does not answer.
    """
    placed, gone = _parted(told)
    if placed:
        await feature_writer.push(ITEM_VECTOR.name, [feature_row(record) for record in placed])
    if gone:
        await feature_writer.delete(ITEM_VECTOR.name, gone)


def _parted(told: Sequence[ItemMapped]) -> tuple[list[ItemMapped], list[str]]:
    """Those with a vector, and the ids of those without."""
    return [record for record in told if record.vector], [record.item_id for record in told if not record.vector]


def _newest(events: Batch, state: State) -> list[ItemChanged]:
    """Newest change of each item; one older than the state knows is left out."""
    newest: dict[str, ItemChanged] = {}
    for item in (received.record for received in events):
        known = newest.get(item.item_id) or state.get(item.item_id)
        if isinstance(known, ItemChanged | ItemMapped) and item.seq < known.seq:
            continue
        newest[item.item_id] = item
    return list(newest.values())


def _content(items: Sequence[ItemChanged]) -> ItemContent:
    joint = np.zeros((len(items), DIM), np.float32)
    for number, item in enumerate(items):
        if len(item.vector) == DIM:
            joint[number] = item.vector
    return ItemContent(
        [item.item_id for item in items],
        joint,
        [item.vector_version if len(item.vector) == DIM else "" for item in items],
        [tuple(label.name for label in item.labels if label.score >= SURE) for item in items],
        np.array([known_year(item.release_year) for item in items], np.int16),
    )


def _mapped(
    item: ItemChanged,
    version: str,
    vector: tuple[float, ...] = (),
    gates: dict[str, float] | None = None,
    source: str = "content",
) -> ItemMapped:
    now = datetime.now(UTC)
    return ItemMapped(
        event_id=stable_id("mapped", item.event_id, version),
        occurred_at=item.occurred_at,
        # to the millisecond that the topic keeps: what is rebuilt from it is the same row
        produced_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
        item_id=item.item_id,
        change=item.change,
        seq=item.seq,
        model_version=version,
        vector=vector,
        gates=gates or {},
        source=source,
    )


def vector_row(record: ItemMapped, item: ItemChanged) -> VectorRow:
    """An item's row in the collection of the version that placed it."""
    scalars = {
        "kind": item.kind,
        "language": item.language or "",
        # recall does not ask whose an item is, and what is not there need not be erased
        "uploader": "",
        "published_at_ms": int(item.changed_at.timestamp() * 1000),
        "seq": record.seq,
        "vector_version": record.model_version,
    }
    return VectorRow(record.item_id, np.array(record.vector, np.float32), scalars)


def feature_row(record: ItemMapped) -> FeatureRow:
    """An item's row in `item_vector_v1`."""
    values = {
        "vector": np.array(record.vector, np.float32),
        "model_version": record.model_version,
        "source": record.source,
    }
    # when it was placed, not when the item changed: another version places the same item anew, an older one too
    return FeatureRow(record.item_id, record.produced_at, values)
