"""Decides when an upload is in the catalogue; the only writer of ``media.status``.

consumes  uploads, analysed, rejected, moderated, embedded, classified, reviewed, withdrawn, dead-lettered
produces  media.status.changed.v1 (its state), item.catalogue.changed.v1, review.action.taken.v1 (what is deleted
          needs no review)
stores    its state topic

Every fact is merged into one ``MediaStatus``. The merge is idempotent and gives the same state whatever
the order in which facts arrive, so redelivery, replay and reordering between topics change nothing. What people decided
in a review stands over what moderation says, whichever is newer.
"""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from processors.runtime.processor import Emit, Milestone, State, capability
from schemas.common import Reason
from schemas.content import ContentClassified, ContentEmbedded, ContentModerated
from schemas.errors import REJECTION_CODES
from schemas.ids import stable_id, upload_event_id
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
from schemas.review import ReviewActed, ReviewDecided
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
    REVIEW_ACTED,
    REVIEW_DECIDED,
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
    | ReviewDecided
    | DeadLettered
)
PUBLICATION = "item_publication"
WITHDRAWAL = "withdrawal"
MODERATION = "content_moderation"
REVIEW = "review"
FAILED = "failed"
TICK = timedelta(milliseconds=1)
WITHDRAWN = Reason(code="withdrawn", text=REJECTION_CODES["withdrawn"])
BLANK: dict[str, Any] = {
    "uploader": "",
    "title": "",
    "song_id": None,
    "language": None,
    "object": None,
    "thumbnail": None,
    "source_event_id": "",
    "decision": "none",
    "labels": (),
    "vectors": None,
    "vector": (),
    "vector_version": "",
    "surface": "none",
}
"""Fields of an erased upload; its id, kind and times stay, so that late facts meet a fence."""
FAILURE_TEXT = "Something went wrong on our side; we are looking into it."
ITEM_TOPICS = frozenset(
    topic.name
    for topic in (*UPLOADS, MEDIA_ANALYSED, MEDIA_REJECTED, CONTENT_MODERATED, CONTENT_EMBEDDED, MEDIA_WITHDRAWN)
)
"""Topics keyed by media id: an event given up there means an item without its result."""
MILESTONES = frozenset({"published", "rejected", "review", "failed"})
LOST_STAGE = dict.fromkeys((topic.name for topic in UPLOADS), "upload") | {
    MEDIA_ANALYSED.name: "media_analysis",
    CONTENT_MODERATED.name: MODERATION,
    CONTENT_EMBEDDED.name: "content_embedding",
    MEDIA_WITHDRAWN.name: WITHDRAWAL,
}
"""Stage that lacks its fact when this capability itself gave it up; a replay that brings the fact ends the failure."""
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
        REVIEW_DECIDED,
        DEAD_LETTERED,
    ),
    produces=(MEDIA_STATUS, ITEM_CHANGED, REVIEW_ACTED),
    state=MEDIA_STATUS,
)
async def item_publication(event: Fact, *, state: State) -> list[Emit]:
    """Joins what is known of an upload and publishes or withdraws it."""
    media_id = _media_id(event)
    if media_id is None:
        return []
    before = state.get(media_id)
    old = before if isinstance(before, MediaStatus) else _blank(media_id, event)
    new = merge(old, event, datetime.now(UTC))
    # published again even when nothing changed: a crash may have come between the two
    emits = [Emit(MEDIA_STATUS, media_id, new, milestone=_milestone(old, new))]
    change = catalogue_change(new)
    if change is not None:
        emits.append(Emit(ITEM_CHANGED, media_id, change))
    moot = moot_review(new, event)
    if moot is not None:
        emits.append(Emit(REVIEW_ACTED, moot.review_id, moot))
    return emits


def merge(old: MediaStatus, fact: Fact, now: datetime) -> MediaStatus:
    """``old`` with ``fact`` in it.

    A fact replaces an older one of the same stage; an older one than known changes nothing. A failure has a place of
    its own, so that it hides no result. Once erased, an upload stays blank whatever comes. ``seq`` grows by one, and
    ``changed_at`` at least by a millisecond, if anything changed.
    """
    entry = _entry(fact)
    known = {_place(e): e for e in old.timeline}
    newest = known.get(_place(entry))
    erases = isinstance(fact, MediaWithdrawn) and fact.erase and not old.erased
    late = newest is not None and entry.at <= newest.at
    if late and not erases:
        return old
    if not late:
        known[_place(entry)] = entry
    merged = dataclasses.replace(old, **_details(fact), erased=old.erased or erases)
    if merged.erased:
        known = {place: _without_reasons(e) for place, e in known.items()}
        merged = dataclasses.replace(merged, **BLANK)
    merged = dataclasses.replace(merged, timeline=_ordered(known))
    state = _state(merged)
    if state == "published" and not _was_published(merged):
        published = TimelineEntry(stage=PUBLICATION, state="published", at=now)
        known[_place(published)] = published
    changed_at = max(e.at for e in known.values())
    return dataclasses.replace(
        merged,
        state=state,
        seq=old.seq + 1,
        reasons=_reasons(state, _ordered(known)),
        timeline=_ordered(known),
        changed_at=max(changed_at, old.changed_at + TICK) if old.seq else changed_at,
    )


def catalogue_change(status: MediaStatus) -> ItemChanged | None:
    """What the catalogue must do now; None if the item is not and was not in it."""
    if not _was_published(status) or status.accepted_at is None:
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
        surface=status.surface,
    )


def moot_review(status: MediaStatus, fact: Fact) -> ReviewActed | None:
    """The end of the review of an upload that is deleted; None if it is not, or if nobody was asked about it.

    An upload may have been judged anew since somebody was asked: an erasure forgets the case whether it was or not.
    """
    judged = {entry.state for entry in status.timeline if entry.stage == MODERATION and entry.state != FAILED}
    asked = bool(judged) if status.erased else "review" in judged
    if status.state != "deleted" or not asked or isinstance(fact, ReviewDecided):
        return None
    withdrawn = next(entry for entry in status.timeline if entry.stage == WITHDRAWAL)
    return ReviewActed(
        event_id=stable_id("review-moot", status.media_id, str(status.erased)),
        occurred_at=withdrawn.at,
        review_id=stable_id("review", upload_event_id(status.media_id), MODERATION),
        moderator=f"system:{PUBLICATION}",
        action="erase" if status.erased else "withdraw",
    )


def _milestone(old: MediaStatus, new: MediaStatus) -> Milestone | None:
    """What the uploader waited for and has now; how long people took is not measured as the pipeline's time."""
    if new.state == old.state or new.state not in MILESTONES or new.accepted_at is None or _reviewed(new.timeline):
        return None
    return Milestone(new.state, new.accepted_at)


def _blank(media_id: str, fact: Fact) -> MediaStatus:
    return MediaStatus(media_id=media_id, kind="unknown", state="unknown", seq=0, changed_at=fact.occurred_at)


def _media_id(fact: Fact) -> str | None:
    """The upload that a fact concerns; None: no upload."""
    match fact:
        case DeadLettered():
            return fact.key if _concerns_an_upload(fact) else None
        case ReviewDecided():
            return fact.subject_id if fact.subject == "media" else None
        case _:
            return fact.media_id


def _concerns_an_upload(letter: DeadLettered) -> bool:
    """Plays fail without an item failing, and a key that is no id of ours names no item."""
    if letter.origin_topic not in ITEM_TOPICS:
        return False
    try:
        uuid.UUID(letter.key)
    except ValueError:
        return False
    return True


def _entry(fact: Fact) -> TimelineEntry:
    """A fact as the timeline shows it."""
    match fact:
        case UploadCreated():
            return TimelineEntry(stage="upload", state="received", at=fact.occurred_at)
        case MediaAnalysed():
            return TimelineEntry(stage="media_analysis", state="analysed", at=fact.produced_at)
        case MediaRejected():
            return TimelineEntry(stage=fact.stage, state="rejected", at=fact.produced_at, reasons=fact.reasons)
        case ContentModerated():
            return TimelineEntry(stage=MODERATION, state=fact.decision, at=fact.produced_at, reasons=fact.reasons)
        case ContentEmbedded():
            return TimelineEntry(stage="content_embedding", state="embedded", at=fact.produced_at)
        case ContentClassified():
            return TimelineEntry(stage="content_classification", state="classified", at=fact.produced_at)
        case MediaWithdrawn():
            return TimelineEntry(stage=WITHDRAWAL, state="deleted", at=fact.occurred_at, reasons=(WITHDRAWN,))
        case ReviewDecided():
            return TimelineEntry(stage=REVIEW, state=fact.decision, at=fact.decided_at, reasons=fact.reasons)
        case DeadLettered():
            reason = Reason(code=fact.code, text=FAILURE_TEXT)
            lost = fact.capability == PUBLICATION
            stage = LOST_STAGE.get(fact.origin_topic, PUBLICATION) if lost else fact.capability
            return TimelineEntry(stage=stage, state=FAILED, at=fact.occurred_at, reasons=(reason,))


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
                "surface": fact.surface,
                "object": fact.object,
                "source_event_id": fact.event_id,
            }
        case MediaAnalysed():
            return {"thumbnail": fact.thumbnail}
        case ContentModerated():
            return {"decision": fact.decision}
        case ContentEmbedded():
            return {"vectors": fact.vectors, "vector": fact.vector, "vector_version": fact.vector_version}
        case ContentClassified():
            return {"labels": fact.labels}
        case _:
            return {}


def _state(status: MediaStatus) -> MediaState:
    """The state that the facts add up to; independent of their order."""
    outcomes = {entry.state for entry in status.timeline}
    reviewed = _reviewed(status.timeline)
    decision = reviewed.state if reviewed else status.decision
    if "deleted" in outcomes:
        return "deleted"
    if decision == "reject" or "rejected" in outcomes:
        return "rejected"
    if decision == "approve" and status.vector and status.accepted_at is not None:
        return "published"
    if _failures(status.timeline):
        return "failed"
    if decision == "review":
        return "review"
    return "received" if outcomes == {"received"} else "processing"


def _failures(timeline: tuple[TimelineEntry, ...]) -> list[TimelineEntry]:
    """Failures of capabilities that the item needs and that have given no result; a review stands for moderation."""
    done = {entry.stage for entry in timeline if entry.state != FAILED}
    done |= {MODERATION} if _reviewed(timeline) else set()
    return [e for e in timeline if e.state == FAILED and e.stage not in done and e.stage not in OPTIONAL]


def _reasons(state: MediaState, timeline: tuple[TimelineEntry, ...]) -> tuple[Reason, ...]:
    """Reasons of the facts that make the state what it is, each code once."""
    match state:
        case "rejected":
            overruled = MODERATION if _reviewed(timeline) else None
            speaking = [e for e in timeline if e.state == "rejected" or (e.state == "reject" and e.stage != overruled)]
        case "failed":
            speaking = _failures(timeline)
        case "review" | "deleted":
            speaking = [entry for entry in timeline if entry.state == state]
        case _:
            speaking = []
    return tuple({reason.code: reason for entry in speaking for reason in entry.reasons}.values())


def _reviewed(timeline: tuple[TimelineEntry, ...]) -> TimelineEntry | None:
    """What people decided, if they have."""
    return next((entry for entry in timeline if entry.stage == REVIEW), None)


def _was_published(status: MediaStatus) -> bool:
    return any(entry.stage == PUBLICATION and entry.state == "published" for entry in status.timeline)


def _without_reasons(entry: TimelineEntry) -> TimelineEntry:
    """Reasons may quote what was uploaded; that of a withdrawal is always the same."""
    return entry if entry.stage == WITHDRAWAL else dataclasses.replace(entry, reasons=())


def _place(entry: TimelineEntry) -> tuple[str, bool]:
    return entry.stage, entry.state == FAILED


def _ordered(entries: dict[tuple[str, bool], TimelineEntry]) -> tuple[TimelineEntry, ...]:
    return tuple(sorted(entries.values(), key=lambda entry: (entry.at, entry.stage, entry.state)))
