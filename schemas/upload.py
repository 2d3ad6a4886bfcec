"""Records of the domain ``upload``.

Generated from ``schemas/avro/upload/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from schemas.common import MediaKind, ObjectRef
from schemas.record import Record

PostSurface = Literal["none", "comment", "moment", "dynamic", "fan_group"]
"""Where a post appears."""


@dataclass(frozen=True, kw_only=True)
class UploadCreated(Record):
    """A user's upload is durable and waits to be processed.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When the fact happened, UTC.
        media_id: Id of the upload, and of the item it becomes.
        kind: Kind of upload.
        uploader: User id of the uploader.
        object: The file; null for a text-only post.
        title: Title as the user gave it.
        text: Body text as the user gave it.
        tags: Tags as the user gave them.
        song_id: Song the upload belongs to.
        language: BCP 47 tag of the text.
        surface: Place of a post; none for other kinds.
    """

    CONTRACT: ClassVar[str] = "overture.upload.UploadCreated"

    event_id: str
    occurred_at: datetime
    media_id: str
    kind: MediaKind
    uploader: str
    object: ObjectRef | None = None
    title: str = ""
    text: str = ""
    tags: tuple[str, ...] = ()
    song_id: str | None = None
    language: str | None = None
    surface: PostSurface = "none"
