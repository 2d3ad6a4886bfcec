"""Topics of reviews, read from their beginning to what their ends are now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from processors.runtime.topic_scan import read_to_end
from processors.serving.decoding import Decoder
from schemas.record import Record
from schemas.review import ReviewAudited, ReviewCase, ReviewDecided
from schemas.topics import REVIEW_AUDITED, REVIEW_CASE, REVIEW_DECIDED, Topic

if TYPE_CHECKING:
    from processors.runtime.wiring import Wiring

R = TypeVar("R", bound=Record)


def decisions(wiring: Wiring) -> list[ReviewDecided]:
    """What people decided.

    Raises:
        BadEventError: a record does not decode.
        UnavailableError: the broker or the registry does not answer.
    """
    return [record for _, record in _records(wiring, REVIEW_DECIDED, ReviewDecided) if record is not None]


def audit(wiring: Wiring) -> Iterator[ReviewAudited]:
    """The audit log in the order in which it was written; as ``decisions``."""
    return (record for _, record in _records(wiring, REVIEW_AUDITED, ReviewAudited) if record is not None)


def cases(wiring: Wiring) -> list[ReviewCase]:
    """Every case that was not erased, the one that changed last first; as ``decisions``."""
    newest = dict(_records(wiring, REVIEW_CASE, ReviewCase))
    known = [case for case in newest.values() if case is not None and case.request is not None]
    return sorted(known, key=lambda case: case.changed_at, reverse=True)


def _records(wiring: Wiring, topic: Topic, record: type[R]) -> Iterator[tuple[str, R | None]]:
    """Key and record, None of a tombstone."""
    decoder = Decoder(wiring.codec, wiring.registry.fetch)
    for message in read_to_end(wiring.settings.kafka, [topic.name]):
        key, value = message.key(), message.value()
        name = key.decode(errors="replace") if isinstance(key, bytes) else str(key)
        yield name, None if value is None else decoder.decode(value, record)
