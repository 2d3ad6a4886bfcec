"""A dead letter as it lies in its topic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self, cast

from confluent_kafka import Message

from processors.runtime.letters import number
from schemas.errors import AppError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PlaceInvalidError(AppError):
    """A text that names no place in Kafka."""

    code = "place-invalid"
    http_status = 400


@dataclass(frozen=True, order=True)
class Place:
    """A record's place; its text is ``topic/partition/offset``."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place that ``text`` names.

        Raises:
            PlaceInvalidError: it is not ``topic/partition/offset``.
        """
        parts = text.split("/")
        numbers = [number(part.encode()) for part in parts[1:]]
        if len(parts) != 3 or not parts[0] or numbers[0] is None or numbers[1] is None:
            raise PlaceInvalidError(
                f"{text!r} is no place; one reads topic/partition/offset, as `overture dlq list` does"
            )
        return cls(parts[0], numbers[0], numbers[1])


@dataclass(frozen=True)
class DeadLetter:
    """What the headers tell of an event that was given up; the value stays in Kafka.

    Attributes:
        place: Where the letter lies.
        capability: Capability that gave up, as the header says; empty if it does not.
        code: Error code.
        text: Error text.
        key: Key bytes of the event.
        attempts: Tries made.
        origin: Where the event came from; None if the headers do not say.
        first_seen: When the first try began, UTC; None if the headers do not say.
        given_up: When the letter was written, UTC.
        size_bytes: Length of the value, bytes.
        headers: All headers.
    """

    place: Place
    capability: str
    code: str
    text: str
    key: bytes | None
    attempts: int
    origin: Place | None
    first_seen: datetime | None
    given_up: datetime
    size_bytes: int
    headers: tuple[tuple[str, bytes], ...]

    @property
    def key_text(self) -> str:
        return (self.key or b"").decode(errors="replace")

    @property
    def origin_topic(self) -> str:
        return "" if self.origin is None else self.origin.topic

    @property
    def origin_text(self) -> str:
        return "" if self.origin is None else str(self.origin)


def dead_letter(message: Message) -> DeadLetter:
    """The letter of a record of a dead-letter topic; what it does not say stays empty."""
    # the client's types allow more than it gives
    told = cast(list[tuple[str, bytes | None]], message.headers() or [])
    pairs = tuple((name, value) for name, value in told if value is not None)
    headers = dict(pairs)

    def text(name: str) -> str:
        return headers.get(name, b"").decode(errors="replace")

    partition, offset = number(headers.get("x-origin-partition")), number(headers.get("x-origin-offset"))
    topic = text("x-origin-topic")
    whole = topic and partition is not None and offset is not None
    return DeadLetter(
        place=Place(message.topic() or "", message.partition() or 0, message.offset() or 0),
        capability=text("x-capability"),
        code=text("x-error-code"),
        text=text("x-error-text"),
        key=message.key(),
        attempts=number(headers.get("x-attempt")) or 0,
        origin=Place(topic, partition or 0, offset or 0) if whole else None,
        first_seen=_time(number(headers.get("x-first-seen-ms"))),
        given_up=_time(message.timestamp()[1]) or EPOCH,
        size_bytes=len(message.value() or b""),
        headers=pairs,
    )


def _time(milliseconds: int | None) -> datetime | None:
    """None where it is no time, or none that a calendar has."""
    try:
        return None if milliseconds is None else EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
