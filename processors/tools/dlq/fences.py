"""Who must not be brought back: items that were deleted, users who were erased."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import Message

from processors.runtime.settings import Kafka
from processors.runtime.topic_scan import read_topic
from processors.tools.dlq.reading import Stored
from processors.tools.dlq.values import Decoder
from schemas.errors import BadEventError
from schemas.item import ItemChanged
from schemas.media import MediaStatus, MediaWithdrawn
from schemas.record import Record
from schemas.topics import MEDIA_STATUS, USER_ERASED
from schemas.user import UserErased


@dataclass(frozen=True)
class Subject:
    """What replaying a letter could bring back.

    Attributes:
        items: Media and item ids.
        users: User ids.
        at: When the event happened, UTC; None if the value does not say.
    """

    items: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    at: datetime | None = None


@dataclass(frozen=True)
class Fences:
    """What was taken away.

    Attributes:
        deleted: Media ids.
        erased: User id -> time up to which everything of the user is erased, UTC.
    """

    deleted: frozenset[str]
    erased: dict[str, datetime]

    def refusal(self, subject: Subject) -> tuple[str, str] | None:
        """Code and sentence that refuse a letter of ``subject``; None if nothing is against it."""
        if gone := sorted(subject.items & self.deleted):
            return "deleted", f"{', '.join(gone)} is deleted"
        for user in sorted(subject.users & self.erased.keys()):
            if subject.at is None or subject.at <= self.erased[user]:
                return "erased", f"user {user} was erased at {self.erased[user]:%Y-%m-%d %H:%M:%S} UTC"
        return None


def subject_of(stored: Stored, decoder: Decoder) -> Subject:
    """The subject of a letter; nothing for an event that takes something away.

    A withdrawal given up is the very event that a deleted item waits for. Of a value that does not decode only the
    key is known, which may be anybody's id.

    Raises:
        UnavailableError: the registry does not answer.
    """
    key = stored.letter.key_text
    try:
        record = decoder.record(stored.value)
    except BadEventError:
        return Subject(frozenset({key}), frozenset({key}))
    if _takes_away(record):
        return Subject()
    at = getattr(record, "occurred_at", None)
    items, users = _named(record, "media_id", "item_id"), _named(record, "user_id", "uploader")
    return Subject(items or frozenset({key}), users, at if isinstance(at, datetime) else None)


def read(kafka: Kafka, decoder: Decoder, subjects: Collection[Subject]) -> Fences:
    """Which of the items are deleted, by the newest status of each, and who was erased.

    A tombstone stands for something erased.

    Raises:
        UnavailableError: broker or registry does not answer.
        BadEventError: a status or an erasure does not decode.
    """
    items = {each.encode() for each in frozenset[str]().union(*(s.items for s in subjects))}
    status = _newest(kafka, MEDIA_STATUS.name, items)
    users = {each.encode() for each in frozenset[str]().union(*(s.users for s in subjects))}
    erasures = [decoder.record(v) for v in _newest(kafka, USER_ERASED.name, users).values() if v is not None]
    return Fences(
        deleted=frozenset(
            item for item, value in status.items() if value is None or _is_deleted(decoder.record(value))
        ),
        erased={each.user_id: each.occurred_at for each in erasures if isinstance(each, UserErased)},
    )


def _newest(kafka: Kafka, topic: str, keys: Collection[bytes]) -> dict[str, bytes | None]:
    """Newest value of each of ``keys``; those that the topic does not hold are left out."""
    found: dict[str, bytes | None] = {}

    def take(message: Message) -> None:
        key = bytes(message.key() or b"")
        if key in keys:
            found[key.decode()] = message.value()

    if keys:
        read_topic(kafka, topic, take)
    return found


def _named(record: Record, *names: str) -> frozenset[str]:
    return frozenset({str(getattr(record, name, "")) for name in names} - {""})


def _is_deleted(record: Record) -> bool:
    return isinstance(record, MediaStatus) and record.state == "deleted"


def _takes_away(record: Record) -> bool:
    return (
        isinstance(record, MediaWithdrawn | UserErased)
        or (isinstance(record, ItemChanged) and record.change == "withdrawn")
        or _is_deleted(record)
    )
