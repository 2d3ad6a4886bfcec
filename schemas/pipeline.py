"""Records of the domain ``pipeline``.

Generated from ``schemas/avro/pipeline/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from schemas.record import Record


@dataclass(frozen=True, kw_only=True)
class DeadLettered(Record):
    """An event was given up; its bytes lie unchanged in the dead-letter topic.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When the fact happened, UTC.
        capability: Capability that gave up.
        key: Key of the event, for example a media id; replacement characters where it was not UTF-8.
        origin_topic: Topic the event came from.
        origin_partition: Its partition there.
        origin_offset: Its offset there.
        dead_letter_topic: Topic that keeps the bytes.
        attempts: Attempts made.
        code: Error code.
        text: Error text, at most 512 characters.
    """

    CONTRACT: ClassVar[str] = "overture.pipeline.DeadLettered"

    event_id: str
    occurred_at: datetime
    capability: str
    key: str
    origin_topic: str
    origin_partition: int
    origin_offset: int
    dead_letter_topic: str
    attempts: int
    code: str
    text: str
