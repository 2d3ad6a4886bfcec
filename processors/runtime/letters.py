"""Headers of events that did not make it: retries and dead letters.

Key and value bytes are passed on unchanged; the story is told in headers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from schemas.errors import AppError

TEXT_LIMIT = 512
LONGEST_NUMBER = 18
NOT_BEFORE_HEADER = "x-not-before-ms"
TRACEPARENT = "traceparent"
CARRIED = (TRACEPARENT,)
Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Letter:
    """An undecoded event, where it came from and how often it was tried.

    Attributes:
        key: Key bytes.
        value: Value bytes.
        topic: Origin topic, however many retry topics it went through.
        partition: Origin partition.
        offset: Origin offset.
        attempt: Tries that failed so far.
        first_seen_ms: When the first try began, milliseconds since the epoch.
        carried: Headers of the origin that are passed on.
    """

    key: bytes | None
    value: bytes | None
    topic: str
    partition: int
    offset: int
    attempt: int
    first_seen_ms: int
    carried: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def of(cls, message: Any, now_ms: int, *, retried: bool) -> Letter:
        """The letter of a Kafka record (Faust message or aiokafka record).

        Args:
            message: The record.
            now_ms: Milliseconds since the epoch.
            retried: Whether it comes from a retry topic, whose headers tell its story.
        """
        headers = {name: value for name, value in _pairs(message.headers) if value is not None}
        told = headers if retried else {}
        return cls(
            key=message.key,
            value=message.value,
            topic=told.get("x-origin-topic", message.topic.encode()).decode(errors="replace"),
            # a retry lies in the partition of its origin, so the header is for people only
            partition=message.partition,
            offset=_int(told, "x-origin-offset", message.offset),
            attempt=_int(told, "x-attempt", 0),
            first_seen_ms=_int(told, "x-first-seen-ms", now_ms),
            carried=tuple((n, headers[n]) for n in CARRIED if n in headers),
        )

    @property
    def place(self) -> str:
        """``topic/partition/offset`` of the origin; names the event in logs and attempt counts."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def traceparent(self) -> str | None:
        """W3C trace context that the event came with."""
        return next((value.decode("ascii", "replace") for name, value in self.carried if name == TRACEPARENT), None)

    @property
    def key_text(self) -> str:
        return (self.key or b"").decode(errors="replace")

    def failed(self) -> Letter:
        """The same after one more failed try."""
        return replace(self, attempt=self.attempt + 1)

    def headers(self, capability: str, error: AppError, not_before_ms: int | None = None) -> list[tuple[str, bytes]]:
        """Headers for the retry or dead-letter topic."""
        story = {
            "x-origin-topic": self.topic,
            "x-origin-partition": str(self.partition),
            "x-origin-offset": str(self.offset),
            "x-attempt": str(self.attempt),
            "x-first-seen-ms": str(self.first_seen_ms),
            "x-error-code": error.code,
            "x-error-class": type(error).__name__,
            "x-error-text": clean_text(error),
            "x-capability": capability,
            "x-worker-version": version("overture"),
        }
        if not_before_ms is not None:
            story[NOT_BEFORE_HEADER] = str(not_before_ms)
        return [(name, value.encode()) for name, value in story.items()] + list(self.carried)


def _pairs(headers: Any) -> Iterable[tuple[str, bytes]]:
    return headers.items() if isinstance(headers, dict) else (headers or ())


def clean_text(error: Exception) -> str:
    """Text of an error that fits into a header and a record: short, and valid Unicode."""
    return str(error)[:TEXT_LIMIT].encode(errors="replace").decode()


def number(value: bytes | None) -> int | None:
    """A header's number; None if it is none of ours (absent, not digits, longer than 64 bits allow)."""
    return int(value) if value is not None and value.isdigit() and len(value) <= LONGEST_NUMBER else None


def _int(headers: dict[str, bytes], name: str, default: int) -> int:
    found = number(headers.get(name))
    return default if found is None else found
