"""Records of the domain ``item``.

Generated from ``schemas/avro/item/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from schemas.common import Label, MediaKind, ObjectRef
from schemas.record import Record
from schemas.upload import PostSurface

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
        release_year: Year in which the work came out; null when unknown.
        surface: Place of a post; none for other kinds, and for posts from before it was kept.
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
    release_year: int | None = None
    surface: PostSurface = "none"


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


@dataclass(frozen=True, kw_only=True)
class ItemMapped(Record):
    """An item's place in the recommender's space, computed from its content; compacted, key = item id.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When the upload was accepted, UTC; carried through all derived events.
        produced_at: When it was computed, UTC.
        item_id: The item.
        change: Whether it is published or withdrawn.
        seq: Sequence number of the item's change; a lower one than seen is late and ignored.
        model_version: Version of the recommender bundle that computed it; empty when withdrawn.
        vector: Vector in the space of that version; empty when withdrawn.
        gates: Weight of each modality present, by its name; the larger the more it decided.
        source: trained: the item tower's own vector; content: mapped from its content.
    """

    CONTRACT: ClassVar[str] = "overture.item.ItemMapped"

    event_id: str
    occurred_at: datetime
    produced_at: datetime
    item_id: str
    change: Change
    seq: int
    model_version: str = ""
    vector: tuple[float, ...] = ()
    gates: dict[str, float] = field(default_factory=dict)
    source: str = "content"
