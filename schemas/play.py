"""Records of the domain ``play``.

Generated from ``schemas/avro/play/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from schemas.common import Exposure
from schemas.record import Record


@dataclass(frozen=True, kw_only=True)
class SongPlayed(Record):
    """A user played an item, to some extent.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When the fact happened, UTC.
        user_id: Listener.
        song_id: Item played: a song of the catalogue or a published upload.
        played_ms: Time listened, milliseconds.
        duration_ms: Length of the item, milliseconds.
        completion: Share of the item listened to, 0..1.
        exposure: How the listener came to it.
    """

    CONTRACT: ClassVar[str] = "overture.play.SongPlayed"

    event_id: str
    occurred_at: datetime
    user_id: str
    song_id: str
    played_ms: int
    duration_ms: int
    completion: float
    exposure: Exposure | None = None


@dataclass(frozen=True, kw_only=True)
class AppliedEvent(Record):
    """An event that was counted.

    Attributes:
        event_id: Its id.
        offset: Its offset in the plays topic.
        repeated: Whether it repeated an event counted before, and was not counted.
    """

    CONTRACT: ClassVar[str] = "overture.play.AppliedEvent"

    event_id: str
    offset: int
    repeated: bool = False


@dataclass(frozen=True, kw_only=True)
class RecentPlay(Record):
    """One of a user's last plays.

    Attributes:
        item_id: Item played.
        completion: Share listened to, 0..1.
        played_at: When, UTC.
    """

    CONTRACT: ClassVar[str] = "overture.play.RecentPlay"

    item_id: str
    completion: float
    played_at: datetime


@dataclass(frozen=True, kw_only=True)
class SongCounted(Record):
    """Plays of one song seen in one partition of the plays topic so far; a replaceable value.

    Attributes:
        song_id: Item counted.
        source_partition: Partition of play.song.played.v1 that these counts cover.
        plays: Plays so far.
        completions: Plays with a completion of at least 0.9.
        played_ms: Time listened in all, milliseconds.
        decayed_plays: Plays weighted by 2^(-age/half-life) as of last_played_at.
        last_played_at: Newest play counted, UTC.
        applied_offset: Offset of the last play counted, within source_partition.
        measured_plays: Plays that completion_sum covers: those counted since it was there.
        completion_sum: Sum of the completions of these plays, each in ten-thousandths.
    """

    CONTRACT: ClassVar[str] = "overture.play.SongCounted"

    song_id: str
    source_partition: int
    plays: int
    completions: int
    played_ms: int
    decayed_plays: float
    last_played_at: datetime
    applied_offset: int
    measured_plays: int = 0
    completion_sum: int = 0


@dataclass(frozen=True, kw_only=True)
class PlayAggregate(Record):
    """State of play_aggregation for one user, song or song total; compacted, key = aggregate id.

    Attributes:
        aggregate_id: user:<id>, song:<id> (counts of one source partition) or total:<id>.
        plays: Plays so far.
        completions: Plays with a completion of at least 0.9.
        played_ms: Time listened in all, milliseconds.
        decayed_plays: Plays weighted by 2^(-age/half-life) as of last_played_at.
        last_played_at: Newest play counted, UTC.
        applied_offset: Offset of the last play applied: what is not above it was seen already.
        feature_at: Event time of the features pushed last, UTC; grows with every change.
        recent_events: Written before recent_ids was there; read, and not written any more.
        recent_plays: Written before last_plays was there; read, and not written any more.
        partials: Counts by source partition; totals only.
        erased_at: When the user was erased last, UTC: plays up to then do not count; users only.
        recent_ids: Events applied last, newest last: a client's repeat is not counted twice; users only. 25 bytes
            each: BLAKE2b of the event id (16), offset (8, big endian), 1 if it was a repeat.
        last_plays: Last plays, at most 200, packed as by features/last_plays.py; users only.
        measured_plays: Plays that completion_sum covers: those counted since it was there.
        completion_sum: Sum of the completions of these plays, each in ten-thousandths.
    """

    CONTRACT: ClassVar[str] = "overture.play.PlayAggregate"

    aggregate_id: str
    plays: int
    completions: int
    played_ms: int
    decayed_plays: float = 0.0
    last_played_at: datetime
    applied_offset: int = -1
    feature_at: datetime | None = None
    recent_events: tuple[AppliedEvent, ...] = ()
    recent_plays: tuple[RecentPlay, ...] = ()
    partials: tuple[SongCounted, ...] = ()
    erased_at: datetime | None = None
    recent_ids: bytes | None = None
    last_plays: bytes | None = None
    measured_plays: int = 0
    completion_sum: int = 0
