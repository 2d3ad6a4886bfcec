"""The facts of one upload, and their merge."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from processors.item_publication import Fact, merge
from schemas import topics
from schemas.common import Label, ObjectRef, Reason
from schemas.content import ContentClassified, ContentEmbedded, ContentModerated
from schemas.media import MediaAnalysed, MediaRejected, MediaStatus, MediaWithdrawn
from schemas.pipeline import DeadLettered
from schemas.review import ReviewDecided
from schemas.upload import UploadCreated
from tests.fakes.runtime import at

MEDIA = str(uuid.uuid5(uuid.NAMESPACE_OID, "m"))
FILE = ObjectRef(key="uploads/aa/x", sha256="aa", size_bytes=1, content_type="video/mp4")
VECTORS = ObjectRef(key="derived/items/x", sha256="bb", size_bytes=1, content_type="application/vnd.safetensors")
THUMBNAIL = ObjectRef(key="derived/aa/x/thumbnail", sha256="cc", size_bytes=1, content_type="image/webp")
LABELS = (Label(name="jazz", score=0.5),)
BLOCKED = Reason(code="text-blocked", text="no")
ORIGINS = {
    "media_analysis": topics.VIDEO_CREATED,
    "content_moderation": topics.MEDIA_ANALYSED,
    "content_embedding": topics.MEDIA_ANALYSED,
    "content_classification": topics.CONTENT_EMBEDDED,
}


def derived(second: float) -> dict[str, Any]:
    return {"event_id": "r", "source_event_id": "u", "occurred_at": at(0), "produced_at": at(second), "media_id": MEDIA}


def upload(second: float = 0) -> UploadCreated:
    return UploadCreated(
        event_id="u",
        occurred_at=at(second),
        media_id=MEDIA,
        kind="video",
        uploader="alice",
        object=FILE,
        title="Dawn",
        song_id="s1",
        language="en",
    )


def analysed(second: float = 1) -> MediaAnalysed:
    return MediaAnalysed(**derived(second), kind="video", uploader="alice", analyser_version="1", thumbnail=THUMBNAIL)


def moderated(decision: str = "approve", second: float = 2, reasons: tuple[Reason, ...] = ()) -> ContentModerated:
    return ContentModerated(**derived(second), decision=decision, reasons=reasons, model_version="1")  # type: ignore[arg-type]


def reviewed(decision: str = "approve", second: float = 6, reasons: tuple[Reason, ...] = ()) -> ReviewDecided:
    return ReviewDecided(
        event_id=f"v{second}",
        review_id="case",
        subject="media",
        subject_id=MEDIA,
        source_event_id="u",
        occurred_at=at(0),
        decided_at=at(second),
        decision=decision,  # type: ignore[arg-type]
        reasons=reasons,
        model_version="1",
    )


def embedded(second: float = 3) -> ContentEmbedded:
    return ContentEmbedded(
        **derived(second),
        kind="video",
        has_audio=False,
        has_image=True,
        has_text=False,
        vector=(0.5, 0.5),
        vector_version="v1",
        encoder_versions={},
        vectors=VECTORS,
        model_version="1",
    )


def classified(second: float = 4) -> ContentClassified:
    return ContentClassified(**derived(second), labels=LABELS, model_version="1")


def rejected(stage: str = "media_analysis", second: float = 1, code: str = "media-silent") -> MediaRejected:
    return MediaRejected(**derived(second), stage=stage, reasons=(Reason(code=code, text="t"),))


def withdrawn(second: float = 9, *, erase: bool = False) -> MediaWithdrawn:
    return MediaWithdrawn(event_id="w", occurred_at=at(second), media_id=MEDIA, requested_by="alice", erase=erase)


def dead(capability: str, second: float = 5, topic: str = "", key: str = MEDIA) -> DeadLettered:
    return DeadLettered(
        event_id="d",
        occurred_at=at(second),
        capability=capability,
        key=key,
        origin_topic=topic or ORIGINS[capability].name,
        origin_partition=0,
        origin_offset=0,
        dead_letter_topic="x",
        attempts=2,
        code="redis-away",
        text="secret details",
    )


def blank() -> MediaStatus:
    return MediaStatus(media_id=MEDIA, kind="unknown", state="unknown", seq=0, changed_at=at(0))


def merged(facts: Sequence[Fact], start: MediaStatus | None = None) -> MediaStatus:
    status = start or blank()
    for number, fact in enumerate(facts):
        status = merge(status, fact, at(1000 + number))
    return status


def outcome(status: MediaStatus) -> dict[str, Any]:
    """What may not depend on the order in which facts arrive."""
    return {
        "state": status.state,
        "decision": status.decision,
        "labels": status.labels,
        "reasons": status.reasons,
        "published": status.state == "published",
        "kind": status.kind,
        "uploader": status.uploader,
        "accepted_at": status.accepted_at,
        "thumbnail": status.thumbnail,
        "vector": status.vector,
        "vectors": status.vectors,
        "title": status.title,
        "erased": status.erased,
        "object": status.object,
        "stages": {(e.stage, e.state, e.at, e.reasons) for e in status.timeline if e.stage != "item_publication"},
    }
