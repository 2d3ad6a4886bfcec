"""Counts against a straight sum, under crashes, redelivery and clients that repeat."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.ports import FeatureRow
from processors.play_aggregation import counting as module
from processors.play_aggregation import play_aggregation
from processors.play_aggregation.counting import add_parts, count_plays
from processors.play_aggregation.rows import taste
from processors.runtime.processor import Emit, Received
from schemas import topics
from schemas.errors import BadEventError
from schemas.play import AppliedEvent, PlayAggregate, RecentPlay, SongCounted, SongPlayed
from schemas.user import UserErased
from tests.fakes.features import MemoryFeatures
from tests.fakes.runtime import NOW, MemoryState, at, codec

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


# the model test

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


def test_bytes_across_two_packed_events_are_no_event() -> None:
    across = bytes(9) + module._digest("a") + bytes(25)
    users, _ = count_plays(received([play("a")], first=2), listener(recent_ids=across), HALF_LIFE)
    assert users["u1"].plays == 3


async def test_one_id_of_two_users_is_two_plays() -> None:
    desk = Desk()
    await desk.work(received([play("e1", "u1"), play("e1", "u2")]))
    assert desk.count("song:s1")[0] == 2


async def test_a_play_that_counts_as_complete_does_so_after_its_bytes() -> None:
    """Avro's float of 0.9 is a little less than Python's."""
    known = codec()
    exact = play("e1", completion=module.COMPLETED)
    over_the_wire = known.decode(known.encode(exact), SongPlayed)
    users, _ = count_plays(received([over_the_wire]), MemoryState(), HALF_LIFE)
    assert users["u1"].completions == 1


@pytest.mark.parametrize(("completion", "completions"), [(0.0, 0), (0.89, 0), (0.91, 1), (1.0, 1)])
def test_completions(completion: float, completions: int) -> None:
    users, songs = count_plays(received([play("e1", completion=completion)]), MemoryState(), HALF_LIFE)
    assert users["u1"].completions == songs["s1"].completions == completions


def test_only_the_last_plays_and_events_are_kept() -> None:
    count = module.RECENT_EVENTS + 100
    log = received([play(f"e{i}", song=f"s{i}", second=i) for i in range(count)])
    users, _ = count_plays(log, MemoryState(), HALF_LIFE)
    assert [p.item_id for p in users["u1"].recent_plays] == [f"s{i}" for i in range(count - module.RECENT_PLAYS, count)]
    kept = module.APPLIED.iter_unpack(users["u1"].recent_ids or b"")
    assert [offset for _, offset, _ in kept] == list(range(count - module.RECENT_EVENTS, count))


# decay


@pytest.mark.parametrize("seconds", [(0.0, 3600.0), (3600.0, 0.0)])
def test_a_play_of_one_half_life_ago_counts_half_in_any_order(seconds: tuple[float, float]) -> None:
    log = received([play(f"e{i}", second=s) for i, s in enumerate(seconds)])
    _, songs = count_plays(log, MemoryState(), HALF_LIFE)
    assert songs["s1"].decayed_plays == pytest.approx(1.5)
    assert songs["s1"].last_played_at == at(3600)


def part(partition: int, plays: int, offset: int, second: float = 0, song: str = "s1") -> SongCounted:
    return SongCounted(
        song_id=song,
        source_partition=partition,
        plays=plays,
        completions=plays - 1,
        played_ms=10 * plays,
        decayed_plays=float(plays),
        last_played_at=at(second),
        applied_offset=offset,
    )


def test_parts_are_summed_by_partition_and_the_newest_counts() -> None:
    totals = add_parts([part(0, 3, 5), part(1, 4, 2), part(0, 5, 9)], MemoryState(), HALF_LIFE)
    total = totals["s1"]
    assert (total.plays, total.completions, total.played_ms) == (9, 7, 90)
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


# taste


def heard(item: str, completion: float = 1.0, played_at: datetime = NOW) -> RecentPlay:
    return RecentPlay(item_id=item, completion=completion, played_at=played_at)


def vector(*values: float) -> Any:
    return np.array(values, dtype=np.float32)


X, Y = vector(1, 0), vector(0, 1)


def test_weights_of_recency_and_completion_by_hand() -> None:
    found = taste([heard("x", 1.0, NOW - HALF_LIFE), heard("y", 0.25)], {"x": X, "y": Y}, HALF_LIFE)
    assert found is not None
    # x: 1 * 0.5, y: 0.25 * 1
    assert found == pytest.approx(np.array([0.5, 0.25]) / math.hypot(0.5, 0.25))
    assert found.dtype == np.float32


def test_the_newest_play_is_the_reference_also_without_a_vector() -> None:
    """Weights are relative, so that the reference changes nothing."""
    plays = [heard("x", 1.0, NOW - HALF_LIFE), heard("y", 0.25, NOW)]
    assert taste([*plays, heard("?", 1.0, NOW + HALF_LIFE)], {"x": X, "y": Y}, HALF_LIFE) == pytest.approx(
        taste(plays, {"x": X, "y": Y}, HALF_LIFE)
    )


@pytest.mark.parametrize(
    "plays",
    [[], [heard("?")], [heard("x", 0.0)], [heard("x"), heard("-x")]],
    ids=["none", "unknown", "skipped", "opposite"],
)
def test_no_taste(plays: list[RecentPlay]) -> None:
    assert taste(plays, {"x": X, "-x": -X}, HALF_LIFE) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xy?"), st.floats(0, 1, width=32), st.integers(0, 10**6)), max_size=10))
def test_a_taste_has_unit_length(plays: list[tuple[str, float, int]]) -> None:
    found = taste([heard(i, c, at(s)) for i, c, s in plays], {"x": X, "y": Y}, HALF_LIFE)
    assert found is None or float(np.linalg.norm(found)) == pytest.approx(1.0, abs=1e-5)


# the capability


def content(item: str, values: Any, version: str = "v1") -> FeatureRow:
    return FeatureRow(item, NOW, {"vector": values, "vector_version": version})


async def test_features_of_a_user() -> None:
    desk = Desk()
    await desk.features.push("item_content_v1", [content("s1", X)])
    await desk.work(received([play("e1", second=-10), play("e2", song="s9", second=-5, completion=0.5, played_ms=50)]))
    row = desk.features.rows["user_taste_v1", "u1"]
    assert row.at == at(-5)
    values = dict(row.values)
    assert values.pop("vector") == pytest.approx(X)
    assert values == {
        "vector_version": "v1",
        "plays": 2,
        "completion_rate": 0.5,
        "played_ms": 150,
        "recent_items": ["s9", "s1"],
    }


async def test_a_user_without_known_items_has_counts() -> None:
    desk = Desk()
    await desk.work(received([play("e1")]))
    values = desk.features.rows["user_taste_v1", "u1"].values
    assert values["plays"] == 1
    assert values.get("vector") is None
    assert values["vector_version"] == ""


async def test_vectors_of_two_spaces_are_not_mixed() -> None:
    desk = Desk()
    await desk.features.push("item_content_v1", [content("s1", X, "v1"), content("s2", Y, "v2")])
    await desk.work(received([play("e1", song="s1"), play("e2", song="s2")]))
    values = desk.features.rows["user_taste_v1", "u1"].values
    assert values["vector_version"] == "v2"
    assert values["vector"] == pytest.approx(Y)


async def test_a_taste_does_not_depend_on_who_else_played() -> None:
    desk = Desk()
    await desk.features.push("item_content_v1", [content("s1", X, "v1"), content("s2", Y, "v2")])
    await desk.work(received([play("e1", song="s1"), play("e2", user="u2", song="s2")]))
    values = desk.features.rows["user_taste_v1", "u1"].values
    assert values["vector_version"] == "v1"
    assert values["vector"] == pytest.approx(X)


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


@pytest.mark.parametrize(
    "wrong", [{"completion": float("nan")}, {"completion": -3.0}, {"completion": 1.5}, {"played_ms": -1}]
)
def test_an_impossible_play_is_refused_before_it_spoils_a_sum(wrong: dict[str, float]) -> None:
    bad = dataclasses.replace(play("e1"), **wrong)
    with pytest.raises(BadEventError):
        count_plays(received([bad]), MemoryState(), HALF_LIFE)


# erasure


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
    assert (found.recent_plays, found.recent_ids, found.erased_at) == ((), None, at(10))
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
    assert all(each.played_at > at(second) for each in left.recent_plays)
    row = desk.features.rows.get(("user_taste_v1", "u1"))
    assert (row is None) == (left.plays == 0)
