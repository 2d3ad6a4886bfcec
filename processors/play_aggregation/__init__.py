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

from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from features.ports import FeatureReader, FeatureWriter
from features.views import ITEM_PLAYS, USER_TASTE
from processors.play_aggregation.counting import add_parts, count_plays, forget, part_of
from processors.play_aggregation.rows import plays_row, tastes
from processors.runtime.processor import Emit, Received, State, capability
from schemas.play import SongCounted, SongPlayed
from schemas.topics import PLAY_AGGREGATED, SONG_COUNTED, SONG_PLAYED, USER_ERASED
from schemas.user import UserErased

Batch = Sequence[Received[SongPlayed | SongCounted | UserErased]]


@capability(
    consumes=(SONG_PLAYED, SONG_COUNTED, USER_ERASED),
    produces=(SONG_COUNTED, PLAY_AGGREGATED),
    state=PLAY_AGGREGATED,
    batch=True,
    gather=(SONG_COUNTED,),
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
    plays = cast(list[Received[SongPlayed]], [e for e in events if isinstance(e.record, SongPlayed)])
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
    emits += [Emit(SONG_COUNTED, s, part_of(s, plays[0].partition, a)) for s, a in songs.items()]
    # whether a play repeats another is read from the user's state: it moves on when all songs have counted
    return emits + [Emit(PLAY_AGGREGATED, a.aggregate_id, a, stage=1) for a in users.values()]
