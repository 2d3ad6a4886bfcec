"""Aggregates after a batch: of users and songs from plays, of totals from songs' parts, of users after an erasure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from processors.runtime.processor import Received, State
from schemas.errors import BadEventError
from schemas.play import PlayAggregate, RecentPlay, SongCounted, SongPlayed
from schemas.user import UserErased

COMPLETED = float(np.float32(0.9))
"""Completion from which a play counts as complete; as Avro's float says it."""
RECENT_PLAYS = 50
RECENT_EVENTS = 1000
"""Most events remembered by id for each user: a request holds that many, and its client may send it again."""
LONGEST_PLAY_MS = 7 * 24 * 3600 * 1000
DIGEST_BYTES = 16
APPLIED = struct.Struct(f">{DIGEST_BYTES}sq?")
TICK_US = 1000
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def forget(erasures: Iterable[UserErased], state: State) -> dict[str, PlayAggregate]:
    """Blank aggregates by user; what is left is the fence against plays from before, and the offset reached.

    Songs and totals keep their counts, which name nobody.
    """
    blank: dict[str, PlayAggregate] = {}
    for event in erasures:
        known = blank.get(event.user_id) or _known(state, f"user:{event.user_id}")
        if known.erased_at is None or event.occurred_at > known.erased_at:
            blank[event.user_id] = PlayAggregate(
                aggregate_id=known.aggregate_id,
                plays=0,
                completions=0,
                played_ms=0,
                last_played_at=EPOCH,
                applied_offset=known.applied_offset,
                erased_at=event.occurred_at,
            )
    return blank


def count_plays(
    plays: Iterable[Received[SongPlayed]], state: State, half_life: timedelta
) -> tuple[dict[str, PlayAggregate], dict[str, PlayAggregate]]:
    """Aggregates by user and by song after these plays; those touched, changed or not."""
    log = list(plays)
    if not log:
        return {}, {}
    columns = _Columns(log)
    user_ids, user_of = _numbered([received.record.user_id for received in log])
    song_ids, song_of = _numbered([received.record.song_id for received in log])
    before = [_known(state, f"user:{user}") for user in user_ids]
    listeners = [_Listener(aggregate) for aggregate in before]
    repeated = np.array(
        [
            listeners[user].hear(received.record, received.offset, at)
            for user, received, at in zip(user_of.tolist(), log, columns.at.tolist(), strict=True)
        ]
    )
    heard = _counted(before, user_of, columns, ~repeated, half_life)
    users = [replace(a, **c, **who.changed()) for a, c, who in zip(before, heard, listeners, strict=True)]
    before = [_known(state, f"song:{song}") for song in song_ids]
    songs = [
        replace(a, **c) for a, c in zip(before, _counted(before, song_of, columns, ~repeated, half_life), strict=True)
    ]
    return dict(zip(user_ids, users, strict=True)), dict(zip(song_ids, songs, strict=True))


class _Columns:
    """The numbers of N plays.

    Attributes:
        offset: int64 [N], growing.
        at: int64 [N], when, microseconds since 1970.
        completed: bool [N].
        played_ms: float64 [N], whole numbers: exact, sums included.

    Raises:
        BadEventError: a play is impossible.
    """

    def __init__(self, log: Sequence[Received[SongPlayed]]) -> None:
        plays = [received.record for received in log]
        self.offset = np.array([received.offset for received in log], dtype=np.int64)
        self.at = np.array([play.occurred_at - EPOCH for play in plays], dtype="m8[us]").astype(np.int64)
        completion = np.array([play.completion for play in plays])
        self.completed = completion >= COMPLETED
        self.played_ms = np.array([play.played_ms for play in plays], dtype=np.float64)
        possible = (completion >= 0) & (completion <= 1) & (self.played_ms >= 0) & (self.played_ms <= LONGEST_PLAY_MS)
        if not possible.all():
            raise _impossible(plays[int(np.argmin(possible))])


def _numbered(names: Iterable[str]) -> tuple[list[str], Ints]:
    """The different names, and for each name its place among them."""
    places: dict[str, int] = {}
    numbers = [places.setdefault(name, len(places)) for name in names]
    return list(places), np.array(numbers, dtype=np.int64)


def _counted(
    before: Sequence[PlayAggregate], group: Ints, columns: _Columns, counts: Flags, half_life: timedelta
) -> list[dict[str, Any]]:
    """What changes in each aggregate: plays not above the offset it has come to were seen before.

    Args:
        before: G aggregates.
        group: int64 [N], aggregate of each play.
        columns: N plays.
        counts: bool [N], False for a play that is a repeat.
        half_life: Age at which a play weighs half.
    """
    size, half_life_us = len(before), half_life / MICROSECOND
    applied = np.array([aggregate.applied_offset for aggregate in before], dtype=np.int64)
    new = columns.offset > applied[group]
    np.maximum.at(applied, group, columns.offset)
    picked = np.flatnonzero(new & counts)
    group, at = group[picked], columns.at[picked]
    earlier = np.array([aggregate.last_played_at - EPOCH for aggregate in before], dtype="m8[us]").astype(np.int64)
    last = earlier.copy()
    np.maximum.at(last, group, at)

    def summed(weights: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.bincount(group, weights, minlength=size).astype(np.float64)

    decayed = np.array([aggregate.decayed_plays for aggregate in before]) * 0.5 ** ((last - earlier) / half_life_us)
    decayed += summed(0.5 ** ((last[group] - at) / half_life_us))
    changes = zip(
        before,
        np.bincount(group, minlength=size).tolist(),
        summed(columns.completed[picked]).tolist(),
        summed(columns.played_ms[picked]).tolist(),
        decayed.tolist(),
        last.astype("m8[us]").tolist(),
        applied.tolist(),
        strict=True,
    )
    return [
        {
            "plays": aggregate.plays + plays,
            "completions": aggregate.completions + int(completions),
            "played_ms": aggregate.played_ms + int(played_ms),
            "decayed_plays": decayed_plays,
            "last_played_at": EPOCH + age,
            "applied_offset": offset,
        }
        for aggregate, plays, completions, played_ms, decayed_plays, age, offset in changes
    ]


class _Listener:
    """What a user's aggregate remembers of single plays, while a batch is counted."""

    def __init__(self, before: PlayAggregate) -> None:
        self._before = before
        self._applied = before.applied_offset
        self._last = _micros(before.last_played_at)
        self._feature_at = None if before.feature_at is None else _micros(before.feature_at)
        self._heard: list[SongPlayed] = []
        # packed: a thousand of them as objects cost more than all the plays of a batch
        self._events = bytearray(before.recent_ids or b"")
        for event in before.recent_events:
            self._events += APPLIED.pack(_digest(event.event_id), event.offset, event.repeated)
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
        event = _digest(play.event_id)
        repeated = fenced or (event in self._digests and self._has_repeat(event, offset))
        if offset <= self._applied:
            return repeated
        self._applied = offset
        if not fenced:
            self._events += APPLIED.pack(event, offset, repeated)
            self._digests.add(event)
        if not repeated:
            self._last = max(self._last, at)
            # for each play and not for each batch: after a crash the batches are cut otherwise
            self._feature_at = _next_time(self._feature_at, self._last)
            self._heard.append(play)
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
        heard = (
            RecentPlay(item_id=play.song_id, completion=play.completion, played_at=play.occurred_at)
            for play in self._heard[-RECENT_PLAYS:]
        )
        return {
            "recent_plays": (*self._before.recent_plays, *heard)[-RECENT_PLAYS:],
            "recent_events": (),
            "recent_ids": bytes(self._events[-RECENT_EVENTS * APPLIED.size :]) or None,
            "feature_at": None if self._feature_at is None else _moment(self._feature_at),
        }


def add_parts(parts: Iterable[SongCounted], state: State, half_life: timedelta) -> dict[str, PlayAggregate]:
    """Totals by song after these parts; of each partition the newest part counts."""
    totals: dict[str, PlayAggregate] = {}
    for part in parts:
        total = totals.get(part.song_id) or _known(state, f"total:{part.song_id}")
        newest = {p.source_partition: p for p in total.partials}
        known = newest.get(part.source_partition)
        if known is None or part.applied_offset > known.applied_offset:
            newest[part.source_partition] = part
            total = _summed(total, [newest[p] for p in sorted(newest)], half_life)
        totals[part.song_id] = total
    return totals


def _summed(total: PlayAggregate, parts: Sequence[SongCounted], half_life: timedelta) -> PlayAggregate:
    last = max(part.last_played_at for part in parts)
    return replace(
        total,
        plays=sum(part.plays for part in parts),
        completions=sum(part.completions for part in parts),
        played_ms=sum(part.played_ms for part in parts),
        decayed_plays=sum(part.decayed_plays * decay(last - part.last_played_at, half_life) for part in parts),
        last_played_at=last,
        partials=tuple(parts),
        feature_at=_moment(_next_time(None if total.feature_at is None else _micros(total.feature_at), _micros(last))),
    )


def part_of(song_id: str, partition: int, aggregate: PlayAggregate) -> SongCounted:
    """What one partition has counted of a song."""
    return SongCounted(
        song_id=song_id,
        source_partition=partition,
        plays=aggregate.plays,
        completions=aggregate.completions,
        played_ms=aggregate.played_ms,
        decayed_plays=aggregate.decayed_plays,
        last_played_at=aggregate.last_played_at,
        applied_offset=aggregate.applied_offset,
    )


def _impossible(play: SongPlayed) -> BadEventError:
    """Ingest refuses it too, but others may write to the topic, and one NaN spoils every sum for ever."""
    return BadEventError(
        f"completion {play.completion} or played_ms {play.played_ms} is impossible", code="play-impossible"
    )


def _digest(event_id: str) -> bytes:
    return blake2b(event_id.encode(), digest_size=DIGEST_BYTES).digest()


def _known(state: State, key: str) -> PlayAggregate:
    found = state.get(key)
    if isinstance(found, PlayAggregate):
        return found
    return PlayAggregate(aggregate_id=key, plays=0, completions=0, played_ms=0, last_played_at=EPOCH)


def _next_time(before: int | None, played_at: int) -> int:
    """Event time of the next features, microseconds since 1970: Feast drops a row that is not newer, and a late play
    has an old time."""
    return played_at if before is None or played_at > before + TICK_US else before + TICK_US


def _micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def _moment(micros: int) -> datetime:
    return EPOCH + micros * MICROSECOND


def decay(age: timedelta, half_life: timedelta) -> float:
    """Weight of a play of that age."""
    return float(0.5 ** (age / half_life))
