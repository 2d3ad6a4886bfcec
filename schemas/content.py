"""Records of the domain ``content``.

Generated from ``schemas/avro/content/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from schemas.common import Appearance, Decision, Label, MediaKind, ObjectRef, Reason
from schemas.record import Record


@dataclass(frozen=True, kw_only=True)
class ContentModerated(Record):
    """Moderation has judged an upload.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        source_event_id: event_id of the upload event this was derived from.
        occurred_at: When the upload was accepted, UTC; carried through all derived events.
        produced_at: When the capability finished, UTC.
        media_id: Id of the upload, and of the item it becomes.
        decision: Verdict.
        reasons: Why, unless approved.
        scores: Every score by name, 0..1.
        model_version: Version of the model or rules that produced this.
        people: Public figures seen, most alike first.
        faces: Greatest number of faces in one sampled picture.
    """

    CONTRACT: ClassVar[str] = "overture.content.ContentModerated"

    event_id: str
    source_event_id: str
    occurred_at: datetime
    produced_at: datetime
    media_id: str
    decision: Decision
    reasons: tuple[Reason, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    model_version: str
    people: tuple[Appearance, ...] = ()
    faces: int = 0


@dataclass(frozen=True, kw_only=True)
class ContentEmbedded(Record):
    """Content vectors of an upload, by modality.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        source_event_id: event_id of the upload event this was derived from.
        occurred_at: When the upload was accepted, UTC; carried through all derived events.
        produced_at: When the capability finished, UTC.
        media_id: Id of the upload, and of the item it becomes.
        kind: Kind of upload.
        has_audio: Whether the audio vector is present.
        has_image: Whether the image vector is present.
        has_text: Whether the text vector is present.
        audio: musicnn embedding, unit length, 200 values; empty when absent.
        image: EfficientNet-Lite0 embedding, unit length, 1280 values; empty when absent.
        text: multilingual-e5-small embedding, unit length, 384 values; empty when absent.
        vector: Joint content vector, unit length.
        vector_version: Version of the joint vector's space.
        encoder_versions: Encoder version by modality.
        vectors: The same vectors as safetensors.
        audio_tags: Strongest music tags.
        model_version: Version of the model or rules that produced this.
    """

    CONTRACT: ClassVar[str] = "overture.content.ContentEmbedded"

    event_id: str
    source_event_id: str
    occurred_at: datetime
    produced_at: datetime
    media_id: str
    kind: MediaKind
    has_audio: bool
    has_image: bool
    has_text: bool
    audio: tuple[float, ...] = ()
    image: tuple[float, ...] = ()
    text: tuple[float, ...] = ()
    vector: tuple[float, ...]
    vector_version: str
    encoder_versions: dict[str, str]
    vectors: ObjectRef
    audio_tags: tuple[Label, ...] = ()
    model_version: str


@dataclass(frozen=True, kw_only=True)
class ContentClassified(Record):
    """Classes of an upload from picture, sound and text together.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        source_event_id: event_id of the upload event this was derived from.
        occurred_at: When the upload was accepted, UTC; carried through all derived events.
        produced_at: When the capability finished, UTC.
        media_id: Id of the upload, and of the item it becomes.
        labels: Classes over the threshold, best first.
        model_version: Version of the model or rules that produced this.
    """

    CONTRACT: ClassVar[str] = "overture.content.ContentClassified"

    event_id: str
    source_event_id: str
    occurred_at: datetime
    produced_at: datetime
    media_id: str
    labels: tuple[Label, ...]
    model_version: str
