"""Records of the domain ``media``.

Generated from ``schemas/avro/media/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from schemas.common import Decision, Label, MediaKind, ObjectRef, Reason
from schemas.record import Record
from schemas.upload import PostSurface


@dataclass(frozen=True, kw_only=True)
class MediaRejected(Record):
    """An upload cannot be accepted; final, not a failure of ours.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        source_event_id: event_id of the upload event this was derived from.
        occurred_at: When the upload was accepted, UTC; carried through all derived events.
        produced_at: When the capability finished, UTC.
        media_id: Id of the upload, and of the item it becomes.
        stage: Capability that found it.
        reasons: Why.
    """

    CONTRACT: ClassVar[str] = "overture.media.MediaRejected"

    event_id: str
    source_event_id: str
    occurred_at: datetime
    produced_at: datetime
    media_id: str
    stage: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class MediaWithdrawn(Record):
    """The owner or an operator asked for an item to be taken away.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When the fact happened, UTC.
        media_id: Id of the upload, and of the item it becomes.
        requested_by: User or operator.
        erase: Whether its bytes and all that was said of it go too.
    """

    CONTRACT: ClassVar[str] = "overture.media.MediaWithdrawn"

    event_id: str
    occurred_at: datetime
    media_id: str
    requested_by: str
    erase: bool = False


@dataclass(frozen=True, kw_only=True)
class MediaAnalysed(Record):
    """An upload was opened once and measured; the arrays lie in the blob.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        source_event_id: event_id of the upload event this was derived from.
        occurred_at: When the upload was accepted, UTC; carried through all derived events.
        produced_at: When the capability finished, UTC.
        media_id: Id of the upload, and of the item it becomes.
        kind: Kind of upload.
        uploader: User id of the uploader.
        title: Title as uploaded.
        text: Text as uploaded.
        tags: Tags as uploaded.
        song_id: Song the upload belongs to.
        language: BCP 47 tag of the text.
        object: The uploaded file; null for a text-only post.
        blob: Arrays of the decode pass (safetensors); null for a text-only post.
        analyser_version: Version of the decode pass.
        embedded_text: Text found inside the file (tags, subtitles), cleaned.
        container: Container format; empty for a text-only post.
        width_px: Display width, pixels; 0 without picture.
        height_px: Display height, pixels; 0 without picture.
        duration_ms: Measured length, milliseconds; 0 for a still picture.
        frame_count: Frames decoded.
        sampled_frames: Frames kept in the blob.
        shot_count: Shots found.
        has_video: Whether there is a moving or still picture.
        has_audio: Whether there is sound.
        silence_share: Share of the sound that is silent, 0..1; 0 without sound.
        loudness_dbfs: RMS level of the sound, dB full scale; -120 without sound.
        thumbnail: Small picture made from the arrays; null where there is none.
    """

    CONTRACT: ClassVar[str] = "overture.media.MediaAnalysed"

    event_id: str
    source_event_id: str
    occurred_at: datetime
    produced_at: datetime
    media_id: str
    kind: MediaKind
    uploader: str
    title: str = ""
    text: str = ""
    tags: tuple[str, ...] = ()
    song_id: str | None = None
    language: str | None = None
    object: ObjectRef | None = None
    blob: ObjectRef | None = None
    analyser_version: str
    embedded_text: str = ""
    container: str = ""
    width_px: int = 0
    height_px: int = 0
    duration_ms: int = 0
    frame_count: int = 0
    sampled_frames: int = 0
    shot_count: int = 0
    has_video: bool = False
    has_audio: bool = False
    silence_share: float = 0.0
    loudness_dbfs: float = -120.0
    thumbnail: ObjectRef | None = None


MediaState = Literal["unknown", "received", "processing", "review", "published", "rejected", "failed", "deleted"]
"""Progress of an upload."""


@dataclass(frozen=True, kw_only=True)
class TimelineEntry(Record):
    """One stage's outcome.

    Attributes:
        stage: Capability or step.
        state: Outcome, for example analysed or approve.
        at: When it finished, UTC.
        reasons: Why, where the outcome needs reasons.
    """

    CONTRACT: ClassVar[str] = "overture.media.TimelineEntry"

    stage: str
    state: str
    at: datetime
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MediaStatus(Record):
    """The only truth on an upload's progress; compacted, key = media id.

    Attributes:
        media_id: Id of the upload, and of the item it becomes.
        kind: Kind of upload.
        uploader: User id of the uploader.
        state: Progress.
        seq: Number of facts merged so far; grows with each change.
        accepted_at: When the upload was accepted, UTC; null until that event arrives.
        changed_at: Time of the newest fact merged, UTC.
        reasons: Why rejected, failed, deleted or in review.
        labels: Classes found.
        timeline: Each stage's outcome, in order of time.
        title: Title as uploaded.
        song_id: Song the upload belongs to.
        language: BCP 47 tag of the text.
        object: The uploaded file.
        source_event_id: event_id of the upload event; empty until it arrives.
        decision: Verdict of moderation, none until judged.
        vectors: The item's content vectors, null until embedded.
        vector: Joint content vector, unit length; empty until embedded.
        vector_version: Version of the joint vector's space.
        thumbnail: Small picture of the upload; null until analysed and where there is none.
        erased: Whether the upload was erased: its fields are blank and stay so.
        surface: Place of a post; none for other kinds, and for posts from before it was kept.
    """

    CONTRACT: ClassVar[str] = "overture.media.MediaStatus"

    media_id: str
    kind: MediaKind
    uploader: str = ""
    state: MediaState
    seq: int
    accepted_at: datetime | None = None
    changed_at: datetime
    reasons: tuple[Reason, ...] = ()
    labels: tuple[Label, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    title: str = ""
    song_id: str | None = None
    language: str | None = None
    object: ObjectRef | None = None
    source_event_id: str = ""
    decision: Decision = "none"
    vectors: ObjectRef | None = None
    vector: tuple[float, ...] = ()
    vector_version: str = ""
    thumbnail: ObjectRef | None = None
    erased: bool = False
    surface: PostSurface = "none"
