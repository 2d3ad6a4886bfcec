"""Decides when an upload is in the catalogue; the only writer of ``media.status``.

consumes  uploads, analysed, rejected, moderated, embedded, classified, withdrawn, dead-lettered
produces  media.status.changed.v1 (its state), item.catalogue.changed.v1
stores    its state topic

Every fact is merged into one ``MediaStatus``. The merge is idempotent and gives the same state whatever
the order in which facts arrive, so redelivery, replay and reordering between topics change nothing.
"""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime
from typing import Any

from processors.runtime.processor import Emit, State, capability
from schemas.common import Reason
from schemas.content import ContentClassified, ContentEmbedded, ContentModerated
from schemas.errors import REJECTION_CODES
from schemas.ids import stable_id
from schemas.item import ItemChanged
from schemas.media import (
    MediaAnalysed,
    MediaRejected,
    MediaState,
    MediaStatus,
    MediaWithdrawn,
    TimelineEntry,
)
from schemas.pipeline import DeadLettered
from schemas.topics import (
    CONTENT_CLASSIFIED,
    CONTENT_EMBEDDED,
    CONTENT_MODERATED,
    DEAD_LETTERED,
    ITEM_CHANGED,
    MEDIA_ANALYSED,
    MEDIA_REJECTED,
    MEDIA_STATUS,
    MEDIA_WITHDRAWN,
    UPLOADS,
)
from schemas.upload import UploadCreated

Fact = (
    UploadCreated
    | MediaAnalysed
    | MediaRejected
    | ContentModerated
    | ContentEmbedded
    | ContentClassified
    | MediaWithdrawn
    | DeadLettered
)
PUBLICATION = "item_publication"
FAILURE_TEXT = "Something went wrong on our side; we are looking into it."
ITEM_TOPICS = frozenset(
    topic.name
    for topic in (*UPLOADS, MEDIA_ANALYSED, MEDIA_REJECTED, CONTENT_MODERATED, CONTENT_EMBEDDED, MEDIA_WITHDRAWN)
)
"""Topics keyed by media id: an event given up there means an item without its result."""
OPTIONAL = frozenset({"content_classification", "item_indexing"})
"""Capabilities whose failure does not fail the item: it can be recommended without their result."""


@capability(
    consumes=(
        *UPLOADS,
        MEDIA_ANALYSED,
        MEDIA_REJECTED,
        CONTENT_MODERATED,
        CONTENT_EMBEDDED,
        CONTENT_CLASSIFIED,
        MEDIA_WITHDRAWN,
        DEAD_LETTERED,
    ),
    produces=(MEDIA_STATUS, ITEM_CHANGED),
    state=MEDIA_STATUS,
)
async def item_publication(event: Fact, *, state: State) -> list[Emit]:
    """Joins what is known of an upload and publishes or withdraws it."""
    media_id = event.key if isinstance(event, DeadLettered) else event.media_id
    if isinstance(event, DeadLettered) and not _concerns_an_upload(event):
        return []
    before = state.get(media_id)
    old = before if isinstance(before, MediaStatus) else _blank(media_id, event)
    new = merge(old, event, datetime.now(UTC))
    # published again even when nothing changed: a crash may have come between the two
    emits = [Emit(MEDIA_STATUS, media_id, new)]
    change = catalogue_change(new)
    if change is not None:
        emits.append(Emit(ITEM_CHANGED, media_id, change))
    return emits


def merge(old: MediaStatus, fact: Fact, now: datetime) -> MediaStatus:
    """``old`` with ``fact`` in it.

    A fact replaces an older one of the same stage; an older one than known changes nothing. ``seq`` grows
    by one if anything changed.
    """
    stage, outcome, at = _stage(fact)
    known = {entry.stage: entry for entry in old.timeline}
    if stage in known and at <= known[stage].at:
        return old
    known[stage] = TimelineEntry(stage=stage, state=outcome, at=at)
    details = _details(fact)
    reasons = {r.code: r for r in (*old.reasons, *details.pop("reasons", ()))}
    merged = dataclasses.replace(old, **details, timeline=_ordered(known))
    state = _state(merged)
    if state == "published" and PUBLICATION not in known:
        known[PUBLICATION] = TimelineEntry(stage=PUBLICATION, state="published", at=now)
    return dataclasses.replace(
        merged,
        state=state,
        seq=old.seq + 1,
        reasons=() if state == "published" else tuple(reasons[code] for code in sorted(reasons)),
        timeline=_ordered(known),
        changed_at=max(entry.at for entry in known.values()),
    )


def catalogue_change(status: MediaStatus) -> ItemChanged | None:
    """What the catalogue must do now; None if the item is not and was not in it."""
    was_published = any(entry.stage == PUBLICATION for entry in status.timeline)
    if not was_published or status.accepted_at is None:
        return None
    published = status.state == "published"
    return ItemChanged(
        event_id=stable_id("item", status.media_id, str(status.seq)),
        occurred_at=status.accepted_at,
        changed_at=status.changed_at,
        item_id=status.media_id,
        kind=status.kind,
        change="published" if published else "withdrawn",
        seq=status.seq,
        uploader=status.uploader,
        title=status.title if published else "",
        song_id=status.song_id,
        language=status.language,
        labels=status.labels if published else (),
        vector=status.vector if published else (),
        vector_version=status.vector_version if published else "",
        vectors=status.vectors if published else None,
    )


def _blank(media_id: str, fact: Fact) -> MediaStatus:
    return MediaStatus(media_id=media_id, kind="unknown", state="unknown", seq=0, changed_at=fact.occurred_at)


def _concerns_an_upload(letter: DeadLettered) -> bool:
    """Plays fail without an item failing, and a key that is no id of ours names no item."""
    if letter.origin_topic not in ITEM_TOPICS:
        return False
    try:
        uuid.UUID(letter.key)
    except ValueError:
        return False
    return True


def _stage(fact: Fact) -> tuple[str, str, datetime]:
    """Stage, outcome and time of a fact, as the timeline shows them."""
    match fact:
        case UploadCreated():
            return "upload", "received", fact.occurred_at
        case MediaAnalysed():
            return "media_analysis", "analysed", fact.produced_at
        case MediaRejected():
            return fact.stage, "rejected", fact.produced_at
        case ContentModerated():
            return "content_moderation", fact.decision, fact.produced_at
        case ContentEmbedded():
            return "content_embedding", "embedded", fact.produced_at
        case ContentClassified():
            return "content_classification", "classified", fact.produced_at
        case MediaWithdrawn():
            return "withdrawal", "deleted", fact.occurred_at
        case DeadLettered():
            return fact.capability, "failed", fact.occurred_at


def _details(fact: Fact) -> dict[str, Any]:
    """Fields of the status that a fact settles."""
    match fact:
        case UploadCreated():
            return {
                "kind": fact.kind,
                "uploader": fact.uploader,
                "accepted_at": fact.occurred_at,
                "title": fact.title,
                "song_id": fact.song_id,
                "language": fact.language,
                "object": fact.object,
                "source_event_id": fact.event_id,
            }
        case MediaRejected():
            return {"reasons": fact.reasons}
        case ContentModerated():
            return {"decision": fact.decision, "reasons": fact.reasons}
        case ContentEmbedded():
            return {"vectors": fact.vectors, "vector": fact.vector, "vector_version": fact.vector_version}
        case ContentClassified():
            return {"labels": fact.labels}
        case MediaWithdrawn():
            return {"reasons": (Reason(code="withdrawn", text=REJECTION_CODES["withdrawn"]),)}
        case DeadLettered() if fact.capability not in OPTIONAL:
            return {"reasons": (Reason(code=fact.code, text=FAILURE_TEXT),)}
        case _:
            return {}


def _state(status: MediaStatus) -> MediaState:
    """The state that the facts add up to; independent of their order."""
    outcomes = {entry.stage: entry.state for entry in status.timeline}
    if outcomes.get("withdrawal") == "deleted":
        return "deleted"
    if status.decision == "reject" or "rejected" in outcomes.values():
        return "rejected"
    if status.decision == "approve" and status.vector and status.accepted_at is not None:
        return "published"
    if any(outcome == "failed" and stage not in OPTIONAL for stage, outcome in outcomes.items()):
        return "failed"
    if status.decision == "review":
        return "review"
    return "received" if set(outcomes) == {"upload"} else "processing"


def _ordered(entries: dict[str, TimelineEntry]) -> tuple[TimelineEntry, ...]:
    return tuple(sorted(entries.values(), key=lambda entry: (entry.at, entry.stage)))
