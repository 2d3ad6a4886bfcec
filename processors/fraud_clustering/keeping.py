"""Which faces are kept: of each account the newest, within the window, unless it was erased since.

Each function takes the greatest of what it is given, so that the order of events and their repeats do not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from schemas.fraud import FaceKept
from schemas.user import FaceEmbedded


def after(before: FaceKept, event: FaceEmbedded) -> FaceKept:
    """What is kept of a user once an event was heard; a face without a vector stands where older ones must not."""
    face, erased_at = before.face, before.erased_at
    if event.erased:
        erased_at = max(erased_at or event.occurred_at, event.occurred_at)
    elif face is None or _order(face) < _order(event):
        face = event
    if face is not None and erased_at is not None and face.occurred_at <= erased_at:
        face = None
    return replace(before, face=face, erased_at=erased_at)


def _order(face: FaceEmbedded) -> tuple[datetime, bool, str]:
    """Of two judgements of one avatar the one that forgets goes before: matching was turned off in between."""
    return face.occurred_at, not face.vector, face.event_id


def within(kept: FaceKept, now: datetime, window: timedelta) -> FaceKept | None:
    """What of it still counts; None: nothing. A fence is not needed longer than what it keeps out would count."""
    begin = now - window
    face = kept.face if kept.face is not None and kept.face.occurred_at > begin else None
    erased_at = kept.erased_at if kept.erased_at is not None and kept.erased_at > begin else None
    return None if face is None and erased_at is None else replace(kept, face=face, erased_at=erased_at)


def times(kept: FaceKept) -> Iterator[datetime]:
    """Each time that the window will pass."""
    if kept.face is not None:
        yield kept.face.occurred_at
    if kept.erased_at is not None:
        yield kept.erased_at


def face_of(kept: FaceKept | None) -> FaceEmbedded | None:
    """The face that is compared with others; None: there is none."""
    return kept.face if kept is not None and kept.face is not None and kept.face.vector else None
