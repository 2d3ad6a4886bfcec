"""Counts against a straight sum, under crashes, redelivery and clients that repeat."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.play import PlayAggregate, SongCounted, SongPlayed
from tests.fakes.runtime import MemoryState
from tests.unit.processors.play_desk import Desk, partition_logs, parts, received


def straight_sum(log: Iterable[SongPlayed], key: str) -> dict[str, tuple[int, int, int]]:
    unique = {p.event_id: p for p in log}.values()
    found: dict[str, tuple[int, int, int]] = {}
    for p in unique:
        plays, completions, played = found.get(getattr(p, key), (0, 0, 0))
        found[getattr(p, key)] = (plays + 1, completions + (p.completion >= 0.9), played + p.played_ms)
    return found


async def run_through(desk: Desk, log: list[SongPlayed], partition: int, data: st.DataObject) -> None:
    """Work on a partition in batches; a crash keeps part of the emits and starts again from the last commit."""
    position = committed = crashes = 0
    while position < len(log):
        size = data.draw(st.integers(1, len(log) - position), label="batch")
        batch = received(log[position : position + size], position, partition)
        if crashes < 4 and data.draw(st.booleans(), label="crash"):
            crashes += 1
            await desk.work(batch, lambda emits: [e for e in emits if data.draw(st.booleans(), label="acked")])
            position = committed
        else:
            await desk.work(batch)
            position += size
            if data.draw(st.booleans(), label="commit"):
                committed = position


@settings(max_examples=150, deadline=None)
@given(log=partition_logs(), data=st.data())
async def test_counts_are_exact_whatever_crashes(log: list[SongPlayed], data: st.DataObject) -> None:
    desk = Desk()
    await run_through(desk, log, 0, data)
    by_user, by_song = straight_sum(log, "user_id"), straight_sum(log, "song_id")
    assert {u: desk.count(f"user:{u}") for u in by_user} == by_user
    assert {s: desk.count(f"song:{s}") for s in by_song} == by_song
    for user, (plays, _, played) in by_user.items():
        row = desk.features.rows["user_taste_v1", user]
        assert (row.values["plays"], row.values["played_ms"]) == (plays, played)


@settings(max_examples=80, deadline=None)
@given(logs=st.lists(partition_logs(), min_size=1, max_size=3), data=st.data())
async def test_totals_are_exact_over_partitions(logs: list[list[SongPlayed]], data: st.DataObject) -> None:
    """Each partition counts its part under crashes; the parts are told, repeatedly and in any cut, to the totals."""
    heard: list[SongCounted] = []
    everything: list[SongPlayed] = []
    for partition, log in enumerate(logs):
        # an id is of one user, so of one partition
        mine = [dataclasses.replace(p, event_id=f"{partition}-{p.event_id}") for p in log]
        desk = Desk()
        await run_through(desk, mine, partition, data)
        heard += desk.heard
        everything += mine
    totals = Desk()
    position = committed = crashes = 0
    while position < len(heard):
        size = data.draw(st.integers(1, len(heard) - position))
        batch = parts(heard[position : position + size], position)
        if crashes < 3 and data.draw(st.booleans()):
            crashes += 1
            await totals.work(batch, lambda emits: [e for e in emits if data.draw(st.booleans())])
            position = committed
        else:
            await totals.work(batch)
            position += size
            if data.draw(st.booleans()):
                committed = position
    expected = straight_sum(everything, "song_id")
    assert {s: totals.count(f"total:{s}") for s in expected} == expected
    for song, (plays, _, played) in expected.items():
        row = totals.features.rows["item_plays_v1", song]
        assert (row.values["plays"], row.values["played_ms"]) == (plays, played)


@settings(max_examples=80, deadline=None)
@given(log=partition_logs(), data=st.data())
async def test_the_cut_into_batches_changes_nothing(log: list[SongPlayed], data: st.DataObject) -> None:
    whole, cut = Desk(), Desk()
    if log:
        await whole.work(received(log))
    position = 0
    while position < len(log):
        size = data.draw(st.integers(1, len(log) - position))
        await cut.work(received(log[position : position + size], position))
        position += size
    assert rounded(cut.state) == rounded(whole.state)


def rounded(state: MemoryState) -> dict[str, Any]:
    """Values of a state; sums of floats differ in their last digits by the order in which they were added."""
    return {
        key: dataclasses.replace(value, decayed_plays=round(value.decayed_plays, 9))
        for key, value in state.values.items()
        if isinstance(value, PlayAggregate)
    }


@settings(max_examples=80, deadline=None)
@given(log=partition_logs())
async def test_the_time_of_features_grows_with_every_change(log: list[SongPlayed]) -> None:
    """Else Feast would drop the row: it takes only what is newer."""
    desk = Desk()
    before: dict[str, PlayAggregate] = {}
    for one in received(log):
        await desk.work([one])
        after = desk.state.get(f"user:{one.record.user_id}")
        assert isinstance(after, PlayAggregate)
        old = before.get(after.aggregate_id)
        if old is not None and after.plays != old.plays:
            assert old.feature_at is not None
            assert after.feature_at is not None
            assert after.feature_at > old.feature_at
        before[after.aggregate_id] = after
