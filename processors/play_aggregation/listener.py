"""One user's aggregate while a batch is counted: which events it has seen, and his last plays."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from features.last_plays import LAST_PLAYS, NONE, LastPlays, unpacked
from schemas.play import PlayAggregate, SongPlayed

RECENT_EVENTS = 1000
"""Most events remembered by id for each user: a request holds that many, and its client may send it again."""
DIGEST_BYTES = 16
APPLIED = struct.Struct(f">{DIGEST_BYTES}sq?")
TICK_US = 1000
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Listener:
    """What a user's aggregate remembers of single plays, while a batch is counted."""

    def __init__(self, before: PlayAggregate) -> None:
        self._before = before
        self._applied = before.applied_offset
        self._last = micros(before.last_played_at)
        self._feature_at = None if before.feature_at is None else micros(before.feature_at)
        self._heard: list[SongPlayed] = []
        self._heard_at: list[int] = []
        # packed: a thousand of them as objects cost more than all the plays of a batch
        self._events = bytearray(before.recent_ids or b"")
        for event in before.recent_events:
            self._events += APPLIED.pack(digest(event.event_id), event.offset, event.repeated)
        self._digests = {
            bytes(self._events[place : place + DIGEST_BYTES]) for place in range(0, len(self._events), APPLIED.size)
        }

    def hear(self, play: SongPlayed, offset: int, at: int) -> bool:
        """Remember a play at ``at`` (microseconds since 1970) unless it was seen; whether it counts for nobody.

        It does not if it repeats an earlier one, or if it is from before the user was erased: its repeats would not be
        known as such. The answer is the same when it is delivered again.
        """
        erased_at = self._before.erased_at
        fenced = erased_at is not None and play.occurred_at <= erased_at
        event = digest(play.event_id)
        repeated = fenced or (event in self._digests and self._has_repeat(event, offset))
        if offset <= self._applied:
            return repeated
        self._applied = offset
        if not fenced:
            self._events += APPLIED.pack(event, offset, repeated)
            self._digests.add(event)
        if not repeated:
            if at > self._last:
                self._last = at
            # for each play and not for each batch: after a crash the batches are cut otherwise
            self._feature_at = next_time(self._feature_at, self._last)
            self._heard.append(play)
            self._heard_at.append(at)
        return repeated

    def _has_repeat(self, event: bytes, offset: int) -> bool:
        """Whether the play at ``offset`` repeats an earlier one."""
        return any(known < offset or (known == offset and repeated) for known, repeated in self._known_at(event))

    def _known_at(self, event: bytes) -> Iterator[tuple[int, bool]]:
        """Offset of each event with this digest, and whether it was a repeat."""
        place = self._events.find(event)
        while place >= 0:
            if place % APPLIED.size == 0:
                _, offset, repeated = APPLIED.unpack_from(self._events, place)
                yield offset, repeated
            place = self._events.find(event, place + 1)

    def changed(self) -> dict[str, Any]:
        """The fields of the aggregate that this class keeps, as they are now."""
        plays = last_plays(self._before)
        if self._heard:
            heard = self._heard[-LAST_PLAYS:]
            plays = plays.then(
                LastPlays.of(
                    [play.song_id for play in heard],
                    [play.completion for play in heard],
                    [at // TICK_US for at in self._heard_at[-LAST_PLAYS:]],
                )
            )
        return {
            "recent_plays": (),
            "last_plays": plays.packed() if len(plays) else None,
            "recent_events": (),
            "recent_ids": bytes(self._events[-RECENT_EVENTS * APPLIED.size :]) or None,
            "feature_at": None if self._feature_at is None else moment(self._feature_at),
        }


def last_plays(user: PlayAggregate) -> LastPlays:
    """The last plays that a user's aggregate holds, whichever form it was written in."""
    if user.last_plays is not None:
        return unpacked(user.last_plays)
    if not user.recent_plays:
        return NONE
    return LastPlays.of(
        [play.item_id for play in user.recent_plays],
        [play.completion for play in user.recent_plays],
        [micros(play.played_at) // TICK_US for play in user.recent_plays],
    )


def digest(event_id: str) -> bytes:
    """What an event is remembered by, 16 bytes."""
    return blake2b(event_id.encode(), digest_size=DIGEST_BYTES).digest()


def next_time(before: int | None, played_at: int) -> int:
    """Event time of the next features, microseconds since 1970: Feast drops a row that is not newer, and a late play
    has an old time."""
    return played_at if before is None or played_at > before + TICK_US else before + TICK_US


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def moment(since_us: int) -> datetime:
    """The moment so many microseconds after 1970 began, UTC."""
    return EPOCH + since_us * MICROSECOND
