"""Records of the domain ``item``.

Generated from ``schemas/avro/item/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from schemas.common import Label, MediaKind, ObjectRef
from schemas.record import Record

Change = Literal["unknown", "published", "withdrawn"]
"""What the catalogue should do."""


@dataclass(frozen=True, kw_only=True)
class ItemChanged(Record):
    """An item entered the catalogue, changed or left it; compacted, key = item id.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When the upload was accepted, UTC; carried through all derived events.
        changed_at: When it changed, UTC; event time of its features.
        item_id: The item, equal to the media id.
        kind: Kind of upload.
        change: What the catalogue should do.
        seq: Sequence number; a lower one than seen is late and ignored.
        uploader: User id of the uploader.
        title: Title as uploaded.
        song_id: Song the item belongs to.
        language: BCP 47 tag of the text.
        labels: Classes found so far.
        vector: Joint content vector, unit length; empty when withdrawn.
        vector_version: Version of the joint vector's space.
        vectors: Vectors by modality (safetensors); null when withdrawn.
    """

    CONTRACT: ClassVar[str] = "overture.item.ItemChanged"

    event_id: str
    occurred_at: datetime
    changed_at: datetime
    item_id: str
    kind: MediaKind
    change: Change
    seq: int
    uploader: str = ""
    title: str = ""
    song_id: str | None = None
    language: str | None = None
    labels: tuple[Label, ...] = ()
    vector: tuple[float, ...] = ()
    vector_version: str = ""
    vectors: ObjectRef | None = None


@dataclass(frozen=True, kw_only=True)
class ItemIndexed(Record):
    """The stores hold (or no longer hold) an item as of this change; compacted, key = item id.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When the upload was accepted, UTC.
        produced_at: When the stores had it, UTC.
        item_id: The item.
        change: What was done.
        seq: Sequence number of the change; a lower one is late and ignored.
        collections: Aliases of the vector collections that hold the item.
    """

    CONTRACT: ClassVar[str] = "overture.item.ItemIndexed"

    event_id: str
    occurred_at: datetime
    produced_at: datetime
    item_id: str
    change: Change
    seq: int
    collections: tuple[str, ...] = ()
