"""A window of the exposure log, with what users did meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from processors.runtime.settings import Kafka
from processors.runtime.topic_scan import TIMEOUT_S, Place, Span, consumer_of, records, spans
from processors.serving.decoding import Decoder
from schemas.errors import BadEventError
from schemas.interaction import ItemInteracted
from schemas.play import SongPlayed
from schemas.recommendation import ListServed
from schemas.topics import ITEM_INTERACTED, LIST_SERVED, SONG_PLAYED

R = TypeVar("R")
TOPICS = (LIST_SERVED, SONG_PLAYED, ITEM_INTERACTED)


@dataclass(frozen=True, slots=True)
class Window:
    """Lists answered in [begin, end), and what users did until the grace after it was over.

    Attributes:
        begin: UTC.
        end: UTC, exclusive.
        grace: How long after the end what users do still counts.
    """

    begin: datetime
    end: datetime
    grace: timedelta

    @property
    def closed(self) -> datetime:
        """From when on nothing more counts."""
        return self.end + self.grace


def newest_window(length: timedelta, grace: timedelta, now: datetime) -> Window:
    """The last whole window whose grace is over; windows begin at multiples of their length since 1970."""
    epoch = datetime.fromtimestamp(0, UTC)
    end = now - grace
    end -= (end - epoch) % length
    return Window(end - length, end, grace)


@dataclass
class WindowLog:
    """Each event once, in no order.

    Attributes:
        window: What was read.
        lists: By request id.
        plays: By event id.
        interactions: By event id.
        left_out: How many records were not taken, by reason: ``repeated`` or the code of what is wrong with them.
    """

    window: Window
    lists: dict[str, ListServed] = field(default_factory=dict)
    plays: dict[str, SongPlayed] = field(default_factory=dict)
    interactions: dict[str, ItemInteracted] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def take(self, record: ListServed | SongPlayed | ItemInteracted) -> None:
        """Keep a record if it is of the window and new."""
        window = self.window
        if isinstance(record, ListServed):
            if window.begin <= record.occurred_at < window.end:
                self._put(self.lists, record.request_id, record)
        elif window.begin <= record.occurred_at < window.closed:
            if isinstance(record, SongPlayed):
                self._put(self.plays, record.event_id, record)
            else:
                self._put(self.interactions, record.event_id, record)

    def _put(self, known: dict[str, R], key: str, record: R) -> None:
        if key in known:
            self.left_out["repeated"] += 1
        else:
            known[key] = record


def read(kafka: Kafka, decoder: Decoder, window: Window) -> WindowLog:
    """What the topics hold of a window. Everything is held in memory: some kilobytes a list.

    Raises:
        UnavailableError: broker or registry do not answer.
    """
    found = WindowLog(window)
    types = {topic.name: topic.record for topic in TOPICS}
    with consumer_of(kafka) as reader:
        wanted = _written_in(reader, [topic.name for topic in TOPICS], window)
        for message in records(reader, wanted):
            try:
                record = decoder.decode(message.value(), types[message.topic() or ""])
            except BadEventError as error:
                found.left_out[error.code] += 1
                continue
            assert isinstance(record, ListServed | SongPlayed | ItemInteracted)  # noqa: S101 - the topics' records
            found.take(record)
    return found


def _written_in(reader: Consumer, topics: Sequence[str], window: Window) -> dict[Place, Span]:
    """Offsets of what was written from the window's begin on: nothing is written before it has happened.

    To the end of the topics, not of the window: an app without a network sends late what was done in time.
    """
    found = spans(reader, topics)
    asked = [TopicPartition(*place, int(window.begin.timestamp() * 1000)) for place in found]
    begins = {(each.topic, each.partition): each.offset for each in reader.offsets_for_times(asked, timeout=TIMEOUT_S)}
    return {
        place: (end if begins[place] == OFFSET_END else max(first, begins[place]), end)
        for place, (first, end) in found.items()
    }
