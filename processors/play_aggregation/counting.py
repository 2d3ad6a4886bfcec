"""Aggregates after a batch: of users and songs from plays, of totals from songs' parts, of users after an erasure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from models.taste import COMPLETION_UNITS
from processors.play_aggregation.listener import EPOCH, MICROSECOND, Listener, micros, moment, next_time
from processors.runtime.processor import Received, State
from schemas.errors import BadEventError
from schemas.play import PlayAggregate, SongCounted, SongPlayed
from schemas.user import UserErased

COMPLETED = float(np.float32(0.9))
"""Completion from which a play counts as complete; as Avro's float says it."""
ADDED = ("plays", "completions", "played_ms", "measured_plays", "completion_sum")
"""What a total is the plain sum of its parts in."""
LONGEST_PLAY_MS = 7 * 24 * 3600 * 1000
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
    listeners = [Listener(aggregate) for aggregate in before]
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
        completion: float64 [N], completions in `COMPLETION_UNITS`, whole numbers: exact, sums included.
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
        self.completion = np.rint(completion * COMPLETION_UNITS)
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
        summed(columns.completion[picked]).tolist(),
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
            "measured_plays": aggregate.measured_plays + plays,
            "completion_sum": aggregate.completion_sum + int(completion),
            "decayed_plays": decayed_plays,
            "last_played_at": EPOCH + age,
            "applied_offset": offset,
        }
        for aggregate, plays, completions, played_ms, completion, decayed_plays, age, offset in changes
    ]


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
        **{name: sum(getattr(part, name) for part in parts) for name in ADDED},
        decayed_plays=sum(part.decayed_plays * decay(last - part.last_played_at, half_life) for part in parts),
        last_played_at=last,
        partials=tuple(parts),
        feature_at=moment(next_time(None if total.feature_at is None else micros(total.feature_at), micros(last))),
    )


def part_of(song_id: str, partition: int, aggregate: PlayAggregate) -> SongCounted:
    """What one partition has counted of a song."""
    return SongCounted(
        song_id=song_id,
        source_partition=partition,
        decayed_plays=aggregate.decayed_plays,
        last_played_at=aggregate.last_played_at,
        applied_offset=aggregate.applied_offset,
        **{name: getattr(aggregate, name) for name in ADDED},
    )


def _impossible(play: SongPlayed) -> BadEventError:
    """Ingest refuses it too, but others may write to the topic, and one NaN spoils every sum for ever."""
    return BadEventError(
        f"completion {play.completion} or played_ms {play.played_ms} is impossible", code="play-impossible"
    )


def _known(state: State, key: str) -> PlayAggregate:
    found = state.get(key)
    if isinstance(found, PlayAggregate):
        return found
    return PlayAggregate(aggregate_id=key, plays=0, completions=0, played_ms=0, last_played_at=EPOCH)


def decay(age: timedelta, half_life: timedelta) -> float:
    """Weight of a play of that age."""
    return float(0.5 ** (age / half_life))
