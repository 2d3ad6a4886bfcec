"""Erased users: nothing of them stays, and songs keep their counts."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.play_aggregation import listener as module
from processors.runtime.processor import Received
from schemas import topics
from schemas.play import PlayAggregate, SongPlayed
from schemas.user import UserErased
from tests.fakes.runtime import at
from tests.unit.processors.play_desk import Desk, partition_logs, play, received


def erasure(second: float, user: str = "u1") -> Received[Any]:
    event = UserErased(event_id=f"x{second}", occurred_at=at(second), user_id=user, requested_by="test")
    return Received(event, topics.USER_ERASED.name, 0, int(second))


async def test_an_erased_user_is_blank_and_songs_keep_their_counts() -> None:
    desk = Desk()
    await desk.work(received([play("e1"), play("e2", song="s2"), play("e3", user="u2")]))
    await desk.work([erasure(10)])
    left = desk.state.get("user:u1")
    assert left == PlayAggregate(
        aggregate_id="user:u1",
        plays=0,
        completions=0,
        played_ms=0,
        last_played_at=module.EPOCH,
        applied_offset=1,
        erased_at=at(10),
    )
    assert ("user_taste_v1", "u1") not in desk.features.rows
    assert ("user_taste_v1", "u2") in desk.features.rows
    assert (desk.count("song:s1")[0], desk.count("song:s2")[0], desk.count("user:u2")[0]) == (2, 1, 1)


async def test_a_play_from_before_the_erasure_counts_for_nobody_and_one_after_it_is_a_new_start() -> None:
    desk = Desk()
    await desk.work([erasure(10)])
    await desk.work(received([play("late", second=10), play("late", second=10), play("e3", user="u2", second=3)]))
    assert ("user_taste_v1", "u1") not in desk.features.rows
    assert (desk.count("user:u1")[0], desk.count("song:s1")[0]) == (0, 1)
    found = desk.state.get("user:u1")
    assert isinstance(found, PlayAggregate)
    assert (found.last_plays, found.recent_ids, found.erased_at) == (None, None, at(10))
    await desk.work(received([play("new", second=11)], first=3))
    assert (desk.count("user:u1")[0], desk.count("song:s1")[0]) == (1, 2)
    assert desk.features.rows["user_taste_v1", "u1"].values["plays"] == 1


async def test_an_erasure_that_comes_again_takes_nothing_of_the_new_start() -> None:
    desk = Desk()
    await desk.work([erasure(10)])
    await desk.work(received([play("new", second=11)]))
    await desk.work([erasure(10), erasure(9)])
    assert desk.count("user:u1")[0] == 1
    assert ("user_taste_v1", "u1") in desk.features.rows


@settings(max_examples=60, deadline=None)
@given(log=partition_logs(), second=st.integers(-60, 60), data=st.data())
async def test_wherever_an_erasure_comes_nothing_older_stays(
    log: list[SongPlayed], second: int, data: st.DataObject
) -> None:
    """Plays before and after, in any cut, a crash and a redelivery between: of the user only newer plays are left."""
    desk = Desk()
    place = data.draw(st.integers(0, len(log)))
    await desk.work(received(log[:place]), lambda emits: emits[: data.draw(st.integers(0, len(emits)))])
    await desk.work([erasure(second)])
    await desk.work(received(log))
    await desk.work([erasure(second)])
    left = desk.state.get("user:u1")
    assert isinstance(left, PlayAggregate)
    assert (module.last_plays(left).at_ms > at(second).timestamp() * 1000).all()
    row = desk.features.rows.get(("user_taste_v1", "u1"))
    assert (row is None) == (left.plays == 0)
