"""Records to write, and how their bytes are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas import topics
from schemas.codec import Codec
from schemas.common import Label, ObjectRef, Reason
from schemas.errors import BadEventError
from schemas.media import MediaStatus, MediaWithdrawn, TimelineEntry
from schemas.record import Record

RECORDS = tuple(dict.fromkeys(t.record for t in topics.ALL))
GOLDEN_AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
PLAY: dict[str, Any] = {
    "event_id": "e",
    "occurred_at": GOLDEN_AT,
    "user_id": "u",
    "song_id": "s",
    "played_ms": 5,
    "duration_ms": 10,
    "completion": 0.5,
    "exposure": None,
}


def withdrawn() -> MediaWithdrawn:
    return MediaWithdrawn(event_id="e1", occurred_at=GOLDEN_AT, media_id="m1", requested_by="u1")


def status() -> MediaStatus:
    return MediaStatus(
        media_id="m1",
        kind="post",
        uploader="u1",
        state="published",
        seq=3,
        accepted_at=GOLDEN_AT,
        changed_at=GOLDEN_AT,
        reasons=(Reason(code="c", text="音"),),
        labels=(Label(name="jazz", score=0.5),),
        timeline=(TimelineEntry(stage="upload", state="received", at=GOLDEN_AT),),
        object=ObjectRef(key="k", sha256="0f", size_bytes=7, content_type="image/png"),
        decision="approve",
        vector=(0.25, -1.0),
        vector_version="v1",
    )


def refused(known: Codec, data: bytes | None, expected: type[Record] = MediaWithdrawn) -> str:
    with pytest.raises(BadEventError) as caught:
        known.decode(data, expected)
    return caught.value.code
