"""Counting by hand: repeats, completions, decay, and parts of other partitions."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from features.last_plays import LAST_PLAYS
from processors.play_aggregation import listener as module
from processors.play_aggregation.counting import COMPLETED, add_parts, count_plays, part_of
from processors.runtime.processor import Emit
from schemas import topics
from schemas.errors import BadEventError
from schemas.play import AppliedEvent, PlayAggregate, RecentPlay, SongCounted, SongPlayed
from tests.fakes.runtime import MemoryState, at, codec
from tests.unit.processors.play_desk import HALF_LIFE, Desk, part, play, received

# repeats


async def test_a_client_that_repeats_is_counted_once() -> None:
    desk = Desk()
    await desk.work(received([play("e1"), play("e1"), play("e2")]))
    await desk.work(received([play("e2"), play("e1")], 3))
    assert desk.count("user:u1") == desk.count("song:s1") == (2, 2, 200)


async def test_a_repeat_is_known_again_when_everything_comes_again() -> None:
    desk = Desk()
    log = received([play("e1"), play("e2"), play("e1")])
    await desk.work(log, lambda emits: [e for e in emits if e.key.startswith("user:")])
    await desk.work(log)
    assert desk.count("user:u1") == desk.count("song:s1") == (2, 2, 200)


async def test_a_request_that_is_sent_twice_is_counted_once() -> None:
    """A request may hold 1000 plays, and a client without an answer sends all of them again."""
    desk = Desk()
    request = [play(f"e{i}", second=i) for i in range(100)]
    await desk.work(received(request + request))
    assert desk.count("user:u1")[0] == 100
    assert desk.count("song:s1")[0] == 100


async def test_a_repeat_is_known_again_after_many_other_plays() -> None:
    """One song's count was acknowledged, the other's not; users' come last, so the events remembered have not moved."""
    desk = Desk()
    log = received([play("e0"), play("e0"), *[play(f"f{i}", song="s2") for i in range(module.RECENT_EVENTS)]])
    await desk.work(log, lambda emits: [e for e in emits if e.stage == 0 and e.key.endswith("s2")])
    await desk.work(log)
    assert desk.count("song:s1")[0] == 1


def listener(**fields: Any) -> MemoryState:
    """The state of a user with two plays."""
    known = PlayAggregate(
        aggregate_id="user:u1",
        plays=2,
        completions=2,
        played_ms=200,
        last_played_at=at(1),
        applied_offset=1,
        **fields,
    )
    state = MemoryState()
    state.apply([Emit(topics.PLAY_AGGREGATED, known.aggregate_id, known)], topics.PLAY_AGGREGATED)
    return state


def test_a_repeat_of_an_event_in_state_of_the_older_form_is_known() -> None:
    """States written before ids were packed are still out there, and keep their memory in the new form."""
    older = (AppliedEvent(event_id="a", offset=0), AppliedEvent(event_id="b", offset=1))
    users, _ = count_plays(received([play("b"), play("c")], first=2), listener(recent_events=older), HALF_LIFE)
    assert (users["u1"].plays, users["u1"].recent_events) == (3, ())
    packed = module.APPLIED.iter_unpack(users["u1"].recent_ids or b"")
    assert [(offset, repeated) for _, offset, repeated in packed] == [(0, False), (1, False), (2, True), (3, False)]


def test_plays_in_state_of_the_older_form_are_kept_in_the_new_one() -> None:
    older = tuple(RecentPlay(item_id=f"s{i}", completion=0.25 * i, played_at=at(i)) for i in range(3))
    users, _ = count_plays(received([play("c", song="s3", second=3)], first=2), listener(recent_plays=older), HALF_LIFE)
    found = module.last_plays(users["u1"])
    assert users["u1"].recent_plays == ()
    assert (found.items, found.completion.tolist()) == (["s0", "s1", "s2", "s3"], [0, 0.25, 0.5, 1])
    assert found.at_ms.tolist() == [round(at(i).timestamp() * 1000) for i in range(4)]


def test_a_repeat_leaves_plays_in_the_new_form_too() -> None:
    older = (RecentPlay(item_id="s0", completion=0.5, played_at=at(0)),)
    state = listener(recent_plays=older, recent_events=(AppliedEvent(event_id="a", offset=0),))
    users, _ = count_plays(received([play("a")], first=2), state, HALF_LIFE)
    assert (users["u1"].plays, module.last_plays(users["u1"]).items) == (2, ["s0"])


def test_bytes_across_two_packed_events_are_no_event() -> None:
    across = bytes(9) + module.digest("a") + bytes(25)
    users, _ = count_plays(received([play("a")], first=2), listener(recent_ids=across), HALF_LIFE)
    assert users["u1"].plays == 3


async def test_one_id_of_two_users_is_two_plays() -> None:
    desk = Desk()
    await desk.work(received([play("e1", "u1"), play("e1", "u2")]))
    assert desk.count("song:s1")[0] == 2


async def test_a_play_that_counts_as_complete_does_so_after_its_bytes() -> None:
    """Avro's float of 0.9 is a little less than Python's."""
    known = codec()
    exact = play("e1", completion=COMPLETED)
    over_the_wire = known.decode(known.encode(exact), SongPlayed)
    users, _ = count_plays(received([over_the_wire]), MemoryState(), HALF_LIFE)
    assert users["u1"].completions == 1


@pytest.mark.parametrize(("completion", "completions"), [(0.0, 0), (0.89, 0), (0.91, 1), (1.0, 1)])
def test_completions(completion: float, completions: int) -> None:
    users, songs = count_plays(received([play("e1", completion=completion)]), MemoryState(), HALF_LIFE)
    assert users["u1"].completions == songs["s1"].completions == completions


def test_the_sum_of_completions_is_exact_in_any_order() -> None:
    shares = [0.1, 0.30000001192092896, 0.97265, 1.0, 0.0] * 20
    log = [play(f"e{i}", completion=share) for i, share in enumerate(shares)]
    for plays in (log, log[::-1]):
        users, songs = count_plays(received(plays), MemoryState(), HALF_LIFE)
        for each in (users["u1"], songs["s1"], part_of("s1", 0, songs["s1"])):
            assert (each.measured_plays, each.completion_sum) == (100, 20 * (1000 + 3000 + 9726 + 10_000))


def test_completions_from_before_their_sum_was_kept_are_not_measured() -> None:
    users, _ = count_plays(received([play("c", completion=0.5)], first=2), listener(), HALF_LIFE)
    assert (users["u1"].plays, users["u1"].measured_plays, users["u1"].completion_sum) == (3, 1, 5000)


def test_only_the_last_plays_and_events_are_kept() -> None:
    count = module.RECENT_EVENTS + 100
    log = received([play(f"e{i}", song=f"s{i}", second=i) for i in range(count)])
    users, _ = count_plays(log, MemoryState(), HALF_LIFE)
    assert module.last_plays(users["u1"]).items == [f"s{i}" for i in range(count - LAST_PLAYS, count)]
    kept = module.APPLIED.iter_unpack(users["u1"].recent_ids or b"")
    assert [offset for _, offset, _ in kept] == list(range(count - module.RECENT_EVENTS, count))


@pytest.mark.parametrize(
    "wrong", [{"completion": float("nan")}, {"completion": -3.0}, {"completion": 1.5}, {"played_ms": -1}]
)
def test_an_impossible_play_is_refused_before_it_spoils_a_sum(wrong: dict[str, float]) -> None:
    bad = dataclasses.replace(play("e1"), **wrong)
    with pytest.raises(BadEventError):
        count_plays(received([bad]), MemoryState(), HALF_LIFE)


# decay and parts


@pytest.mark.parametrize("seconds", [(0.0, 3600.0), (3600.0, 0.0)])
def test_a_play_of_one_half_life_ago_counts_half_in_any_order(seconds: tuple[float, float]) -> None:
    log = received([play(f"e{i}", second=s) for i, s in enumerate(seconds)])
    _, songs = count_plays(log, MemoryState(), HALF_LIFE)
    assert songs["s1"].decayed_plays == pytest.approx(1.5)
    assert songs["s1"].last_played_at == at(3600)


def test_parts_are_summed_by_partition_and_the_newest_counts() -> None:
    totals = add_parts([part(0, 3, 5), part(1, 4, 2), part(0, 5, 9)], MemoryState(), HALF_LIFE)
    total = totals["s1"]
    assert (total.plays, total.completions, total.played_ms) == (9, 7, 90)
    assert (total.measured_plays, total.completion_sum) == (9, 900)
    assert [(p.source_partition, p.plays) for p in total.partials] == [(0, 5), (1, 4)]


@pytest.mark.parametrize("late", [part(0, 99, 4), part(0, 99, 5)])
def test_an_older_part_is_passed_over(late: SongCounted) -> None:
    before = add_parts([part(0, 3, 5)], MemoryState(), HALF_LIFE)
    after = add_parts([part(0, 3, 5), late], MemoryState(), HALF_LIFE)
    assert before == after


def test_parts_of_other_times_decay_to_the_newest() -> None:
    (total,) = add_parts([part(0, 4, 1, 0), part(1, 1, 1, 3600)], MemoryState(), HALF_LIFE).values()
    assert total.decayed_plays == pytest.approx(4 * 0.5 + 1)
    assert total.last_played_at == at(3600)


def test_a_newer_part_with_older_plays_still_has_a_newer_time() -> None:
    one = add_parts([part(0, 3, 5, 100)], MemoryState(), HALF_LIFE)["s1"]
    two = add_parts([part(0, 3, 5, 100), part(1, 1, 1, 50)], MemoryState(), HALF_LIFE)["s1"]
    assert one.feature_at is not None
    assert two.feature_at is not None
    assert two.feature_at > one.feature_at


def test_songs_do_not_mix() -> None:
    totals = add_parts([part(0, 3, 5), part(0, 4, 6, song="s2")], MemoryState(), HALF_LIFE)
    assert {s: t.plays for s, t in totals.items()} == {"s1": 3, "s2": 4}
