"""The capability: what it emits, and the features of songs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from features.ports import FeatureRow
from schemas import topics
from schemas.play import PlayAggregate
from tests.fakes.features import MemoryFeatures
from tests.fakes.runtime import codec
from tests.unit.processors.play_desk import Desk, part, parts, play, received


async def test_features_of_a_song() -> None:
    desk = Desk()
    await desk.work(parts([part(0, 4, 1), part(1, 2, 1)]))
    row = desk.features.rows["item_plays_v1", "s1"]
    assert dict(row.values) == {
        "plays": 6,
        "completion_rate": pytest.approx(4 / 6),
        "played_ms": 60,
        "decayed_plays": 6.0,
    }


async def test_emits() -> None:
    desk = Desk()
    emits = await desk.work(received([play("e1"), play("e2", "u2", "s2")], first=7, partition=3))
    assert Counter((e.topic.name, e.key) for e in emits) == Counter(
        [
            (topics.PLAY_AGGREGATED.name, "user:u1"),
            (topics.PLAY_AGGREGATED.name, "user:u2"),
            (topics.PLAY_AGGREGATED.name, "song:s1"),
            (topics.PLAY_AGGREGATED.name, "song:s2"),
            (topics.SONG_COUNTED.name, "s1"),
            (topics.SONG_COUNTED.name, "s2"),
        ]
    )
    told = {p.song_id: p for p in desk.heard}
    assert {(p.source_partition, p.plays) for p in told.values()} == {(3, 1)}
    assert (told["s1"].applied_offset, told["s2"].applied_offset) == (7, 8)


async def test_what_was_seen_already_is_told_again() -> None:
    """The crash may have come between the count and its telling."""
    desk = Desk()
    log = received([play("e1")])
    await desk.work(log)
    await desk.work(log)
    assert [p.plays for p in desk.heard] == [1, 1]


async def test_features_come_before_the_state_that_says_so() -> None:
    class Away(MemoryFeatures):
        async def push(self, view: str, rows: Sequence[FeatureRow]) -> None:
            raise RuntimeError("away")

    desk = Desk()
    desk.features = Away()
    with pytest.raises(RuntimeError):
        await desk.work(received([play("e1")]))
    assert desk.state.values == {}


async def test_every_aggregate_fits_its_contract() -> None:
    known = codec()
    desk = Desk()
    await desk.work(received([play("e1", completion=0.5), play("e2", "u2", "s2")]))
    await desk.work(parts(desk.heard))
    for value in desk.state.values.values():
        assert known.decode(known.encode(value), PlayAggregate) == value
