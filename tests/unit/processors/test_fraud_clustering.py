"""What is said of rings: right in the end whatever order, batches, repeats and crashes; and nobody kept too long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fraud_clustering.rings import FaceRings, Rules
from processors.fraud_clustering import fraud_clustering
from processors.fraud_clustering.desk import RingDesk
from processors.fraud_clustering.saying import suspected
from processors.runtime.processor import Emit, Received
from schemas import topics
from schemas.errors import BadEventError, UnavailableError
from schemas.fraud import FaceKept, RingSuspected
from schemas.review import ReviewRequested
from schemas.user import FaceEmbedded
from tests.fakes.faces import embedded
from tests.fakes.runtime import MemoryState, at

T = TypeVar("T")
WINDOW = timedelta(seconds=100)
RULES = Rules()


def face(user: str, degrees: float, second: float, **other: Any) -> FaceEmbedded:
    """A face as a direction in the plane: 16.3 degrees apart is alike."""
    return embedded(user, at(second), [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], **other)


def forgotten(user: str, second: float) -> FaceEmbedded:
    return embedded(user, at(second), ())


def erased(user: str, second: float) -> FaceEmbedded:
    return embedded(user, at(second), (), erased=True)


class RingTopic:
    """The topic of rings.

    Attributes:
        records: Newest record of each ring.
        away: Whether it cannot be read.
        reads: How often it was read.
    """

    def __init__(self) -> None:
        self.records = MemoryState()
        self.away = False
        self.reads = 0

    async def partition(self, number: int) -> MemoryState:
        if self.away:
            raise UnavailableError("no broker")
        self.reads += 1
        return self.records

    def forget(self) -> None:
        """It is read anew each time."""


async def at_once(function: Callable[..., T], /, *args: Any) -> T:
    return function(*args)


class Bench:
    """The capability with its topics.

    Attributes:
        asked: Reviews asked for, in order.
    """

    def __init__(self, reviewed: bool = True) -> None:
        self.state = MemoryState()
        self.topic = RingTopic()
        self.asked: list[ReviewRequested] = []
        self._reviewed = reviewed
        self.start()

    def start(self) -> None:
        """A new process with all that the broker has."""
        fresh = MemoryState()
        fresh.values = dict(self.state.values)
        self.state = fresh
        self._desk = RingDesk(RULES, WINDOW, self._reviewed, self.topic)

    async def emits(self, events: Iterable[FaceEmbedded]) -> list[Emit]:
        received = [Received(event, topics.FACE_EMBEDDED.name, 0, place) for place, event in enumerate(events)]
        return list(await fraud_clustering.handler(received, state=self.state, ring_desk=self._desk, offload=at_once))

    async def work(self, *events: FaceEmbedded) -> list[RingSuspected]:
        """What is said of rings."""
        emits = await self.emits(events)
        assert [each.stage for each in emits] == sorted(each.stage for each in emits)
        self.publish(emits)
        self.state.apply(emits, topics.FACE_KEPT)
        return [each.record for each in emits if isinstance(each.record, RingSuspected)]

    def publish(self, emits: Sequence[Emit]) -> None:
        """The broker has acknowledged these; the state of this process is not changed by that."""
        self.topic.records.apply(emits, topics.RING_SUSPECTED)
        self.asked += [each.record for each in emits if isinstance(each.record, ReviewRequested)]

    @property
    def standing(self) -> dict[str, RingSuspected]:
        records = [record for _, record in self.topic.records.items() if isinstance(record, RingSuspected)]
        return {record.ring_id: record for record in records if record.state == "suspected"}

    @property
    def members(self) -> list[tuple[str, ...]]:
        return sorted(ring.members for ring in self.standing.values())

    @property
    def kept(self) -> dict[str, FaceKept]:
        return {user: kept for user, kept in self.state.items() if isinstance(kept, FaceKept)}


TRIO = (face("a", 0, 0), face("b", 3, 1), face("c", 5, 2))


async def test_a_ring_is_said_once() -> None:
    bench = Bench()
    assert await bench.work(*TRIO[:2]) == []
    [ring] = await bench.work(TRIO[2])
    assert (ring.state, ring.members, ring.occurred_at) == ("suspected", ("a", "b", "c"), at(2))
    assert ring.model_version == f"test-1+{RULES.version}"
    assert await bench.work(*TRIO) == []


async def test_a_ring_that_grows_is_said_again_under_its_name() -> None:
    bench = Bench()
    [first] = await bench.work(*TRIO)
    [second] = await bench.work(face("d", 4, 3))
    assert (second.ring_id, second.members) == (first.ring_id, ("a", "b", "c", "d"))
    assert second.event_id != first.event_id


async def test_an_avatar_that_shows_another_person_leaves() -> None:
    bench = Bench()
    [first] = await bench.work(*TRIO)
    [gone] = await bench.work(face("b", 90, 9))
    assert (gone.ring_id, gone.state, gone.members, gone.occurred_at) == (first.ring_id, "dissolved", (), at(9))
    assert await bench.work(TRIO[1]) == []


async def test_a_face_is_forgotten_when_asked() -> None:
    bench = Bench()
    await bench.work(*TRIO, face("d", 4, 3))
    await bench.work(forgotten("d", 4))
    assert bench.members == [("a", "b", "c")]
    assert await bench.work(face("d", 4, 3)) == []
    [_] = await bench.work(face("d", 4, 5))
    assert bench.members == [("a", "b", "c", "d")]


@pytest.mark.parametrize("event_id", ["", "~"])
@pytest.mark.parametrize("forgets_first", [True, False])
async def test_of_two_judgements_of_one_avatar_the_one_without_a_vector_counts(
    event_id: str, forgets_first: bool
) -> None:
    bench = Bench()
    with_vector, without = face("a", 0, 5), replace(forgotten("a", 5), event_id=event_id)
    for event in (without, with_vector) if forgets_first else (with_vector, without):
        await bench.work(event)
    assert bench.kept["a"].face == without


async def test_an_erased_user_leaves_the_record_at_once_and_does_not_come_back() -> None:
    bench = Bench()
    await bench.work(*TRIO, face("d", 4, 3))
    [ring] = await bench.work(erased("d", 50))
    assert ring.members == ("a", "b", "c")
    assert bench.kept["d"] == FaceKept(user_id="d", erased_at=at(50))
    assert await bench.work(face("d", 4, 50)) == []
    assert bench.members == [("a", "b", "c")]
    await bench.work(face("d", 4, 51))
    assert bench.members == [("a", "b", "c", "d")]


async def test_faces_leave_with_the_window_and_so_do_fences() -> None:
    bench = Bench()
    await bench.work(*TRIO, erased("e", 3), face("d", 4, 40))
    assert bench.members == [("a", "b", "c", "d")]
    [old, new] = sorted(await bench.work(face("x", 200, 100)), key=lambda ring: ring.state)
    assert (old.state, new.members) == ("dissolved", ("b", "c", "d"))
    emits = await bench.emits([face("x", 200, 102)])
    assert {each.key for each in emits if each.topic == topics.FACE_KEPT and each.record is None} == {"b", "c"}
    bench.publish(emits)
    bench.state.apply(emits, topics.FACE_KEPT)
    assert bench.members == []
    await bench.work(face("x", 200, 103))
    assert set(bench.kept) == {"d", "x"}
    assert await bench.work(face("late", 4, 3)) == []
    assert "late" not in bench.kept


async def test_people_are_asked_about_a_new_ring_once() -> None:
    bench = Bench()
    [ring] = await bench.work(*TRIO)
    [request] = bench.asked
    assert (request.subject, request.subject_id, request.members) == ("ring", ring.ring_id, ("a", "b", "c"))
    assert request.scores["accounts"] == 3
    assert [reason.code for reason in request.reasons] == ["fraud-ring"]
    # the earliest account brings another name, and no other question
    [*_] = await bench.work(face("d", 4, -1))
    assert len(bench.standing) == 1
    assert ring.ring_id not in bench.standing
    await bench.work(*(face(name, 90, 5) for name in "xyz"))
    assert [len(each.members) for each in bench.asked] == [3, 3]


async def test_nobody_is_asked_unless_it_is_wished() -> None:
    bench = Bench(reviewed=False)
    await bench.work(*TRIO)
    assert (len(bench.standing), bench.asked) == (1, [])


@pytest.mark.parametrize(
    "wrong", [face("b", 0, 9, vector_version=""), embedded("b", at(9), (3.0, 4.0)), face("b", 0, 9, erased=True)]
)
async def test_an_impossible_face_is_refused_and_changes_nothing(wrong: FaceEmbedded) -> None:
    bench = Bench()
    await bench.work(*TRIO)
    with pytest.raises(BadEventError) as refused:
        await bench.work(face("d", 4, 8), wrong)
    assert refused.value.code == "vector-impossible"
    await bench.work(face("d", 4, 8))
    assert bench.members == [("a", "b", "c", "d")]
    assert bench.topic.reads == 1


async def test_a_topic_of_rings_that_is_away_is_waited_for() -> None:
    bench = Bench()
    bench.topic.away = True
    with pytest.raises(UnavailableError):
        await bench.work(*TRIO)
    bench.topic.away = False
    await bench.work(*TRIO)
    assert bench.members == [("a", "b", "c")]


async def test_rings_of_other_rules_are_put_right_after_a_restart() -> None:
    bench = Bench()
    await bench.work(*TRIO)
    [ring] = bench.standing.values()
    other = suspected_again(ring, "gone")
    bench.topic.records.values = {"gone": other}
    bench.start()
    said = await bench.work(face("x", 200, 3))
    assert {(each.ring_id, each.state) for each in said} == {(ring.ring_id, "suspected"), ("gone", "dissolved")}


async def test_news_that_was_lost_without_a_change_of_state_is_said_again() -> None:
    bench = Bench()
    await bench.work(*TRIO)
    bench.topic.records.values.clear()
    bench.start()
    lost = await bench.emits([TRIO[0]])
    [said] = await bench.work(TRIO[0])
    assert said in [each.record for each in lost]


async def test_after_a_restart_the_window_ends_where_it_did() -> None:
    bench = Bench()
    await bench.work(*TRIO[:2], forgotten("x", 101.5))
    bench.start()
    assert await bench.work(TRIO[2], face("d", 4, 1.4)) == []
    assert set(bench.kept) == {"c", "x"}


def suspected_again(ring: RingSuspected, ring_id: str) -> RingSuspected:
    return RingSuspected(
        event_id="e",
        occurred_at=ring.occurred_at,
        ring_id=ring_id,
        state="suspected",
        members=("a",),
        model_version="0",
    )


# whatever happens

USERS = [f"u{number}" for number in range(7)]
FACES = st.builds(
    face,
    st.sampled_from(USERS),
    st.sampled_from([0, 0, 3, 6, 40, 42, 90]),
    st.integers(0, 130),
    device=st.sampled_from(["", "d1"]),
)
OTHERS = st.one_of(
    st.builds(forgotten, st.sampled_from(USERS), st.integers(0, 150)),
    st.builds(erased, st.sampled_from(USERS), st.integers(0, 150)),
)
EVENTS = st.lists(
    st.one_of(FACES, FACES, FACES, OTHERS),
    min_size=10,
    max_size=30,
    # the same face at the same time is the same event
    unique_by=lambda event: event.event_id,
)


def wanted(events: Sequence[FaceEmbedded]) -> dict[str, FaceEmbedded]:
    """The face of each user that counts once all events are known."""
    begin = max((event.occurred_at for event in events), default=at(0)) - WINDOW
    found = {}
    for user in USERS:
        mine = [event for event in events if event.user_id == user]
        fence = max((event.occurred_at for event in mine if event.erased), default=begin)
        newest = max((e for e in mine if not e.erased), key=lambda e: e.occurred_at, default=None)
        if newest is not None and newest.vector and newest.occurred_at > max(begin, fence):
            found[user] = newest
    return found


@settings(max_examples=80, deadline=None)
@given(events=EVENTS, data=st.data())
async def test_the_same_rings_stand_in_the_end_whatever_happens(
    events: list[FaceEmbedded], data: st.DataObject
) -> None:
    """Any order and any batches; an answer may be published in part and be lost; a worker may be killed; what was
    committed is not read again, all else is."""
    log = data.draw(st.permutations(events), label="order")
    bench, position, committed, troubles = Bench(), 0, 0, 0
    while position < len(log):
        size = data.draw(st.integers(1, len(log) - position), label="batch")
        emits = await bench.emits(log[position : position + size])
        trouble = data.draw(st.sampled_from(["", "", "failed", "killed"]), label="trouble") if troubles < 5 else ""
        if trouble:
            troubles += 1
            stage = data.draw(st.integers(0, 3), label="stage")
            acked = [each for each in emits if each.stage < stage]
            acked += [each for each in emits if each.stage == stage and data.draw(st.booleans(), label="acked")]
            bench.publish(acked)
            if trouble == "killed":
                bench.state.apply(acked, topics.FACE_KEPT)
                bench.start()
                position = committed
        else:
            bench.publish(emits)
            bench.state.apply(emits, topics.FACE_KEPT)
            position += size
            if data.draw(st.booleans(), label="commit"):
                committed = position
    faces = wanted(events)
    reference = FaceRings(RULES)
    reference.update(faces)
    assert bench.members == sorted(ring.members for ring in reference.standing.values())
    for ring in reference.standing.values():
        record = suspected(ring, bench.standing[ring.ring_id].occurred_at)
        assert bench.standing[ring.ring_id] == record
    held = {user: kept.face for user, kept in bench.kept.items() if kept.face is not None and kept.face.vector}
    assert held == faces
