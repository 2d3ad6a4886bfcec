"""Plays, their parts, and the capability that counts them with its stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from processors.play_aggregation import play_aggregation
from processors.runtime.processor import Emit, Received
from schemas import topics
from schemas.play import PlayAggregate, SongCounted, SongPlayed
from tests.fakes.features import MemoryFeatures
from tests.fakes.runtime import NOW, MemoryState, at

HALF_LIFE = timedelta(hours=1)
SONGS, USERS = ("s1", "s2", "s3"), ("u1", "u2")


def play(
    event_id: str,
    user: str = "u1",
    song: str = "s1",
    second: float = 0,
    completion: float = 1.0,
    played_ms: int = 100,
) -> SongPlayed:
    return SongPlayed(
        event_id=event_id,
        occurred_at=at(second),
        user_id=user,
        song_id=song,
        played_ms=played_ms,
        duration_ms=100,
        completion=completion,
    )


def received(plays: Iterable[SongPlayed], first: int = 0, partition: int = 0) -> list[Received[Any]]:
    return [Received(p, topics.SONG_PLAYED.name, partition, first + i) for i, p in enumerate(plays)]


def parts(found: Iterable[SongCounted], first: int = 0) -> list[Received[Any]]:
    return [Received(p, topics.SONG_COUNTED.name, 0, first + i) for i, p in enumerate(found)]


def part(partition: int, plays: int, offset: int, second: float = 0, song: str = "s1") -> SongCounted:
    return SongCounted(
        song_id=song,
        source_partition=partition,
        plays=plays,
        completions=plays - 1,
        played_ms=10 * plays,
        measured_plays=plays,
        completion_sum=100 * plays,
        decayed_plays=float(plays),
        last_played_at=at(second),
        applied_offset=offset,
    )


class Desk:
    """The capability with its stores, and a broker that may lose the last part of what it is sent."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.features = MemoryFeatures(now=lambda: NOW)
        self.heard: list[SongCounted] = []

    async def work(self, events: Sequence[Received[Any]], acked: Any = lambda _emits: None) -> list[Emit]:
        """Work on a batch; of the emits those that ``acked`` picks (None: all) reach the broker."""
        emits = list(
            await play_aggregation.handler(
                events,
                state=self.state,
                feature_writer=self.features,
                feature_reader=self.features,
                taste_half_life=HALF_LIFE,
            )
        )
        kept = acked(emits)
        reached = emits if kept is None else kept
        self.state.apply(reached, topics.PLAY_AGGREGATED)
        self.heard += [e.record for e in reached if isinstance(e.record, SongCounted)]
        return emits

    def count(self, key: str) -> tuple[int, int, int]:
        found = self.state.get(key)
        return (found.plays, found.completions, found.played_ms) if isinstance(found, PlayAggregate) else (0, 0, 0)


PLAYS = st.builds(
    dict,
    user=st.sampled_from(USERS),
    song=st.sampled_from(SONGS),
    second=st.integers(-50, 50),
    completion=st.sampled_from([0.0, 0.5, 0.9375, 1.0]),
    played_ms=st.integers(0, 1000),
)


@st.composite
def partition_logs(draw: st.DrawFn) -> list[SongPlayed]:
    """Plays of one partition; some are sent twice by their client, soon after."""
    log: list[SongPlayed] = []
    for number, values in enumerate(draw(st.lists(PLAYS, max_size=14))):
        log.append(play(f"e{number}", **values))
        if log and draw(st.integers(0, 3)) == 0:
            log.append(draw(st.sampled_from(log[-5:])))
    return log
