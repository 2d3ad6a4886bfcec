"""Records of the domain ``pipeline``.

Generated from ``schemas/avro/pipeline/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from schemas.record import Record

LetterAction = Literal["unknown", "replayed", "purged"]
"""What was done with a dead letter."""


@dataclass(frozen=True, kw_only=True)
class LetterHandled(Record):
    """An operator sent a dead letter back to its capability, or put it away; holds nothing of its content.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When the letter was taken in hand, just before it was sent, UTC.
        place: Where the letter lies: dead-letter topic/partition/offset.
        capability: Capability that had given up.
        code: Error code of the letter.
        origin: Where the event came from: topic/partition/offset; empty if the letter does not say.
        action: What was done with it.
        times: How often this was done with this letter, this time included.
        sent_to: Where the broker has put the event again: topic/partition/offset; empty when purged.
        run_id: UUID of the command's run; the same for all letters it handled.
        run_letters: Letters that the run had chosen.
        by: Who ran the command.
        reason: Why, in the operator's words; empty if none was given.
    """

    CONTRACT: ClassVar[str] = "overture.pipeline.LetterHandled"

    event_id: str
    occurred_at: datetime
    place: str
    capability: str
    code: str
    origin: str
    action: LetterAction
    times: int
    sent_to: str
    run_id: str
    run_letters: int
    by: str
    reason: str


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
