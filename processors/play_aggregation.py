"""Counts plays by user and by song, exactly, and keeps each user's taste.

consumes  play.song.played.v1 (by user), play.song.counted.v1 (by song), user.account.erased.v1 (by user)
produces  play.song.counted.v1, play.aggregate.updated.v1 (its state)
stores    Feast `user_taste_v1`, `item_plays_v1`

A song's plays are spread over all partitions. Each partition counts its own part and says so in
``play.song.counted.v1``; the part is a replaceable value, so hearing it twice changes nothing, and the song's
total is the sum of the newest parts. Every count carries the offset it has come to: after a kill or a
replay what is not above it was seen already. A client that sends the same event again is known by its id.
"""

from __future__ import annotations

import dataclasses
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, cast

import numpy as np

from features.ports import FeatureReader, FeatureRow, FeatureWriter, Vector
from features.views import ITEM_CONTENT, ITEM_PLAYS, USER_TASTE
from processors.runtime.processor import Emit, Received, State, capability
from schemas.errors import BadEventError
from schemas.play import PlayAggregate, RecentPlay, SongCounted, SongPlayed
from schemas.topics import PLAY_AGGREGATED, SONG_COUNTED, SONG_PLAYED, USER_ERASED
from schemas.user import UserErased

COMPLETED = float(np.float32(0.9))
"""Completion from which a play counts as complete; as Avro's float says it."""
RECENT_PLAYS = 50
RECENT_EVENTS = 1000
"""Most events remembered by id for each user: a request holds that many, and its client may send it again."""
LONGEST_PLAY_MS = 7 * 24 * 3600 * 1000
APPLIED = struct.Struct(">16sq?")
TICK = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Batch = Sequence[Received[SongPlayed | SongCounted | UserErased]]


@capability(
    consumes=(SONG_PLAYED, SONG_COUNTED, USER_ERASED),
    produces=(SONG_COUNTED, PLAY_AGGREGATED),
    state=PLAY_AGGREGATED,
    batch=True,
)
async def play_aggregation(
    events: Batch,
    *,
    state: State,
    feature_writer: FeatureWriter,
    feature_reader: FeatureReader,
    taste_half_life: timedelta,
) -> list[Emit]:
    """Counts plays by user and by song, exactly, and keeps each user's taste."""
    # features are written before the state that says so: what a crash leaves out is then written again
    plays = [cast(Received[SongPlayed], e) for e in events if isinstance(e.record, SongPlayed)]
    parts = [e.record for e in events if isinstance(e.record, SongCounted)]
    forgotten = forget([e.record for e in events if isinstance(e.record, UserErased)], state)
    users, songs = count_plays(plays, state, taste_half_life)
    totals = add_parts(parts, state, taste_half_life)
    if forgotten:
        await feature_writer.delete(USER_TASTE.name, list(forgotten))
    if users:
        await feature_writer.push(USER_TASTE.name, await tastes(users.values(), feature_reader, taste_half_life))
    if totals:
        await feature_writer.push(ITEM_PLAYS.name, [plays_row(total) for total in totals.values()])
    counted = (*songs.values(), *totals.values(), *forgotten.values())
    emits = [Emit(PLAY_AGGREGATED, a.aggregate_id, a) for a in counted]
    emits += [Emit(SONG_COUNTED, s, _part(s, plays[0].partition, a)) for s, a in songs.items()]
    # whether a play repeats another is read from the user's state: it moves on when all songs have counted
    return emits + [Emit(PLAY_AGGREGATED, a.aggregate_id, a, stage=1) for a in users.values()]


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
    users: dict[str, _Listener] = {}
    songs: dict[str, _Count] = {}
    for received in plays:
        play, offset = received.record, received.offset
        _refuse_impossible(play)
        user = users.get(play.user_id)
        if user is None:
            user = users[play.user_id] = _Listener(_known(state, f"user:{play.user_id}"), half_life)
        song = songs.get(play.song_id)
        if song is None:
            song = songs[play.song_id] = _Count(_known(state, f"song:{play.song_id}"), half_life)
        # one from before an erasure counts for nobody: its repeats would not be known as such
        event = _digest(play.event_id)
        repeated = user.fences(play) or user.has_repeat(event, offset)
        user.hear(play, event, offset, repeated=repeated)
        song.count(play, offset, repeated=repeated)
    return {k: u.aggregate() for k, u in users.items()}, {k: s.aggregate() for k, s in songs.items()}


class _Count:
    """One aggregate while a batch is counted."""

    def __init__(self, before: PlayAggregate, half_life: timedelta) -> None:
        self._before = before
        self._half_life = half_life
        self._plays = before.plays
        self._completions = before.completions
        self._played_ms = before.played_ms
        self._decayed = before.decayed_plays
        self._last = before.last_played_at
        self._applied = before.applied_offset

    def count(self, play: SongPlayed, offset: int, *, repeated: bool) -> bool:
        """Count a play unless it was seen; whether it counted."""
        if offset <= self._applied:
            return False
        self._applied = offset
        if repeated:
            return False
        last = max(self._last, play.occurred_at)
        self._decayed = self._decayed * _decay(last - self._last, self._half_life) + _decay(
            last - play.occurred_at, self._half_life
        )
        self._last = last
        self._plays += 1
        self._completions += play.completion >= COMPLETED
        self._played_ms += play.played_ms
        return True

    def aggregate(self) -> PlayAggregate:
        return dataclasses.replace(self._before, **self._changed())

    def _changed(self) -> dict[str, Any]:
        return {
            "plays": self._plays,
            "completions": self._completions,
            "played_ms": self._played_ms,
            "decayed_plays": self._decayed,
            "last_played_at": self._last,
            "applied_offset": self._applied,
        }


class _Listener(_Count):
    """A user's aggregate while a batch is counted."""

    def __init__(self, before: PlayAggregate, half_life: timedelta) -> None:
        super().__init__(before, half_life)
        self._heard = deque(before.recent_plays, RECENT_PLAYS)
        # packed: a thousand of them as objects cost more than all the plays of a batch
        self._applied_events = bytearray(before.recent_ids or b"")
        for event in before.recent_events:
            self._applied_events += APPLIED.pack(_digest(event.event_id), event.offset, event.repeated)
        self._feature_at = before.feature_at
        self._erased_at = before.erased_at

    def has_repeat(self, event: bytes, offset: int) -> bool:
        """Whether the play at ``offset`` repeats an earlier one; the same answer when it is delivered again."""
        return any(known < offset or (known == offset and repeated) for known, repeated in self._known_at(event))

    def _known_at(self, event: bytes) -> Iterator[tuple[int, bool]]:
        """Offset of each event with this digest, and whether it was a repeat."""
        place = self._applied_events.find(event)
        while place >= 0:
            if place % APPLIED.size == 0:
                _, offset, repeated = APPLIED.unpack_from(self._applied_events, place)
                yield offset, repeated
            place = self._applied_events.find(event, place + 1)

    def fences(self, play: SongPlayed) -> bool:
        """Whether the play is from before the user was erased."""
        return self._erased_at is not None and play.occurred_at <= self._erased_at

    def hear(self, play: SongPlayed, event: bytes, offset: int, *, repeated: bool) -> None:
        if offset <= self._applied:
            return
        if self.count(play, offset, repeated=repeated):
            # for each play and not for each batch: after a crash the batches are cut otherwise
            self._feature_at = _next_time(self._feature_at, self._last)
            self._heard.append(RecentPlay(item_id=play.song_id, completion=play.completion, played_at=play.occurred_at))
        if self.fences(play):
            return
        self._applied_events += APPLIED.pack(event, offset, repeated)

    def _changed(self) -> dict[str, Any]:
        return super()._changed() | {
            "recent_plays": tuple(self._heard),
            "recent_events": (),
            "recent_ids": bytes(self._applied_events[-RECENT_EVENTS * APPLIED.size :]) or None,
            "feature_at": self._feature_at,
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


def taste(plays: Sequence[RecentPlay], vectors: dict[str, Vector], half_life: timedelta) -> Vector | None:
    """Mean of the content vectors of recent plays, weighted by completion and recency.

    Args:
        plays: Last plays of one user.
        vectors: float32 [D] by item id; items without one are left out.
        half_life: Age difference to the newest play at which a play counts half.

    Returns:
        float32 [D], unit length; None if no played item has a vector.
    """
    newest = max((p.played_at for p in plays), default=EPOCH)
    heard = [(p, vectors[p.item_id]) for p in plays if p.item_id in vectors]
    if not heard:
        return None
    weights = np.array([p.completion * _decay(newest - p.played_at, half_life) for p, _ in heard])
    mean = weights @ np.stack([vector for _, vector in heard])
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 0 else None


def _refuse_impossible(play: SongPlayed) -> None:
    """Ingest checks this too, but others may write to the topic, and one NaN spoils every sum for ever."""
    if not 0.0 <= play.completion <= 1.0 or not 0 <= play.played_ms <= LONGEST_PLAY_MS:
        raise BadEventError(
            f"completion {play.completion} or played_ms {play.played_ms} is impossible", code="play-impossible"
        )


def _digest(event_id: str) -> bytes:
    return blake2b(event_id.encode(), digest_size=16).digest()


def _known(state: State, key: str) -> PlayAggregate:
    found = state.get(key)
    if isinstance(found, PlayAggregate):
        return found
    return PlayAggregate(aggregate_id=key, plays=0, completions=0, played_ms=0, last_played_at=EPOCH)


def _summed(total: PlayAggregate, parts: Sequence[SongCounted], half_life: timedelta) -> PlayAggregate:
    last = max(part.last_played_at for part in parts)
    return dataclasses.replace(
        total,
        plays=sum(part.plays for part in parts),
        completions=sum(part.completions for part in parts),
        played_ms=sum(part.played_ms for part in parts),
        decayed_plays=sum(part.decayed_plays * _decay(last - part.last_played_at, half_life) for part in parts),
        last_played_at=last,
        partials=tuple(parts),
        feature_at=_next_time(total.feature_at, last),
    )


def _next_time(before: datetime | None, played_at: datetime) -> datetime:
    """Event time of the next features: Feast drops a row that is not newer, and a late play has an old time."""
    return played_at if before is None else max(played_at, before + TICK)


def _decay(age: timedelta, half_life: timedelta) -> float:
    # one of the two ages in each count is none, and this is asked twice for each count
    return float(0.5 ** (age / half_life)) if age else 1.0


def _part(song_id: str, partition: int, aggregate: PlayAggregate) -> SongCounted:
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


async def tastes(users: Iterable[PlayAggregate], reader: FeatureReader, half_life: timedelta) -> list[FeatureRow]:
    """Rows of `user_taste_v1`, with the items' vectors of now.

    Vectors of one version only can be added: that of the user's own items which is newest. So a row depends on nobody
    else in the batch, and comes out the same whenever it is made anew. A user who was erased and has not played since
    has none.
    """
    users = [user for user in users if user.plays or user.erased_at is None]
    wanted = sorted({play.item_id for user in users for play in user.recent_plays})
    rows = {row.entity_id: row for row in await reader.read(ITEM_CONTENT.alias, wanted) if row is not None}
    return [_taste_row(user, rows, half_life) for user in users]


def _taste_row(user: PlayAggregate, items: dict[str, FeatureRow], half_life: timedelta) -> FeatureRow:
    heard = {play.item_id: items[play.item_id].values for play in user.recent_plays if play.item_id in items}
    version = max((str(values["vector_version"]) for values in heard.values()), default="")
    vectors = {item: values["vector"] for item, values in heard.items() if values["vector_version"] == version}
    vector = taste(user.recent_plays, vectors, half_life)
    return FeatureRow(
        user.aggregate_id.removeprefix("user:"),
        user.feature_at or user.last_played_at,
        {
            "vector": vector,
            "vector_version": version if vector is not None else "",
            "plays": user.plays,
            "completion_rate": user.completions / max(user.plays, 1),
            "played_ms": user.played_ms,
            "recent_items": [play.item_id for play in reversed(user.recent_plays)],
        },
    )


def plays_row(total: PlayAggregate) -> FeatureRow:
    """Row of `item_plays_v1` for one total."""
    return FeatureRow(
        total.aggregate_id.removeprefix("total:"),
        total.feature_at or total.last_played_at,
        {
            "plays": total.plays,
            "completion_rate": total.completions / max(total.plays, 1),
            "played_ms": total.played_ms,
            "decayed_plays": total.decayed_plays,
        },
    )
