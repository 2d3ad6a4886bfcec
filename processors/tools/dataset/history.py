"""What the topics tell of users, items, plays and interactions, each fact once, without erased users."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from confluent_kafka import Message

from processors.runtime.columns import BatchDecoder
from processors.runtime.settings import Kafka
from processors.runtime.topic_scan import Place, Span, consumer_of, records, spans
from processors.serving.decoding import Decoder
from schemas.codec import Codec
from schemas.common import Exposure
from schemas.errors import BadEventError
from schemas.interaction import ItemInteracted
from schemas.item import ItemChanged
from schemas.play import SongPlayed
from schemas.record import Record
from schemas.topics import BY_NAME, ITEM_CHANGED, ITEM_INTERACTED, PROFILE_CHANGED, SONG_PLAYED, USER_ERASED
from schemas.user import ProfileChanged, UserErased

TOPICS = (USER_ERASED, PROFILE_CHANGED, ITEM_CHANGED, SONG_PLAYED, ITEM_INTERACTED)
BATCH = 20_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(milliseconds=1)
NO_EXPOSURE = Exposure()
FUTURE_MS = 3_600_000
"""How far a clock of a client may be ahead, ms; as the workers have it."""
SIGNALS = ("exposed", "clicked", "liked")
PLAYED = "played"
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that a user saw or did with an item.

    Attributes:
        user: User id.
        item: Item id.
        request: Id of the list that it was shown in; empty when unknown.
        at_ms: When, Unix time in ms.
        kind: One of ``SIGNALS``, or ``PLAYED``.
        position: Place in the list, from 0; -1 unknown.
        completion: Of a play, 0..1; else 0.
        played_ms: Of a play; else 0.
    """

    user: str
    item: str
    request: str
    at_ms: int
    kind: str
    position: int
    completion: float = 0.0
    played_ms: int = 0


@dataclass
class History:
    """All that was found.

    Attributes:
        profiles: Newest profile by user id; none of users who were erased after it.
        items: Newest change by item id, withdrawals too.
        erased: When a user was erased last, by user id.
        signals: What users saw and did after their erasure, in order of the topics.
        offsets: First offset and the one after the last, by topic and partition.
        left_out: Records that count for nothing, by reason.
    """

    profiles: dict[str, ProfileChanged] = field(default_factory=dict)
    items: dict[str, ItemChanged] = field(default_factory=dict)
    erased: dict[str, datetime] = field(default_factory=dict)
    signals: list[Signal] = field(default_factory=list)
    offsets: dict[Place, Span] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def read_history(kafka: Kafka, codec: Codec, fetch_schema: Callable[[int], str], tell: Tell) -> History:
    """Read the topics to where they end now.

    Raises:
        UnavailableError: a topic is missing, or broker or registry does not answer.
    """
    found, seen = History(), set[str]()
    together, alone = BatchDecoder(codec), Decoder(codec, fetch_schema)
    now_ms = _ms(datetime.now(UTC))
    with consumer_of(kafka) as reader:
        found.offsets = spans(reader, [topic.name for topic in TOPICS])
        total, done = sum(end - first for first, end in found.offsets.values()), 0
        # erasures first: what they fence is not kept for a moment
        for topic in TOPICS:
            wanted = {place: span for place, span in found.offsets.items() if place[0] == topic.name}
            for batch in _batches(records(reader, wanted)):
                for record in _decoded(batch, topic.name, together, alone, found.left_out):
                    _take(record, found, seen, now_ms)
                done += len(batch)
                tell("reading topics", done, total)
    return found


def _batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    batch: list[Message] = []
    for message in messages:
        batch.append(message)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _decoded(
    messages: Sequence[Message], topic: str, together: BatchDecoder, alone: Decoder, left_out: Counter[str]
) -> Iterator[Record]:
    expected = BY_NAME[topic].record
    values = [message.value() for message in messages]
    for value, record in zip(values, together.decode(values, expected), strict=True):
        if record is not None:
            yield record
        elif value is not None:
            try:
                yield alone.decode(value, expected)
            except BadEventError:
                left_out[f"{topic}: unreadable"] += 1


def _take(record: Record, found: History, seen: set[str], now_ms: int) -> None:
    match record:
        case UserErased():
            known = found.erased.get(record.user_id)
            found.erased[record.user_id] = record.occurred_at if known is None else max(known, record.occurred_at)
        case ProfileChanged():
            if _is_fenced(record.user_id, record.occurred_at, found):
                return
            before = found.profiles.get(record.user_id)
            if before is None or record.occurred_at >= before.occurred_at:
                found.profiles[record.user_id] = record
        case ItemChanged():
            item = found.items.get(record.item_id)
            if item is None or record.seq >= item.seq:
                found.items[record.item_id] = record
        case SongPlayed() | ItemInteracted():
            _take_signal(record, found, seen, now_ms)


def _take_signal(record: SongPlayed | ItemInteracted, found: History, seen: set[str], now_ms: int) -> None:
    if record.event_id in seen:
        found.left_out["repeated"] += 1
        return
    seen.add(record.event_id)
    at_ms, shown = _ms(record.occurred_at), record.exposure or NO_EXPOSURE
    if _is_fenced(record.user_id, record.occurred_at, found):
        found.left_out["of erased users"] += 1
    elif at_ms > now_ms + FUTURE_MS:
        found.left_out["from the future"] += 1
    elif isinstance(record, ItemInteracted):
        if record.action not in SIGNALS:
            found.left_out[f"action {record.action}"] += 1
            return
        found.signals.append(
            Signal(record.user_id, record.item_id, shown.request_id, at_ms, record.action, shown.position)
        )
    elif not (math.isfinite(record.completion) and 0 <= record.completion <= 1 and record.played_ms >= 0):
        found.left_out["impossible plays"] += 1
    else:
        found.signals.append(
            Signal(
                record.user_id,
                record.song_id,
                shown.request_id,
                at_ms,
                PLAYED,
                shown.position,
                record.completion,
                record.played_ms,
            )
        )


def _is_fenced(user: str, at: datetime, found: History) -> bool:
    fence = found.erased.get(user)
    return fence is not None and at <= fence


def _ms(at: datetime) -> int:
    return (at - EPOCH) // TICK
