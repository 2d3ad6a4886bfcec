"""Profiles: the newest counts, in whatever order they and erasures come, and the topic ends with it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.runtime.processor import Emit, Received
from processors.user_profile import user_profile
from schemas import topics
from schemas.record import Record
from schemas.user import ProfileChanged, ProfileKept, UserErased
from tests.fakes.features import MemoryFeatures
from tests.fakes.runtime import NOW, MemoryState, at

VIEW = "user_profile_v1"


def profile(second: float, user: str = "ada", **told: Any) -> ProfileChanged:
    return ProfileChanged(event_id=f"p{second}", occurred_at=at(second), user_id=user, **({"birth_year": 1990} | told))


def erasure(second: float, user: str = "ada") -> UserErased:
    return UserErased(event_id=f"x{second}", occurred_at=at(second), user_id=user, requested_by="test")


class Desk:
    """The capability, its stores and the topic that it reads and puts right."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.features = MemoryFeatures(now=lambda: NOW)
        self.topic: list[ProfileChanged] = []
        self.read = 0

    async def work(self, *records: Record) -> list[Emit]:
        events: list[Received[Any]] = [Received(record, "t", 0, n) for n, record in enumerate(records)]
        emits = await user_profile.handler(events, state=self.state, feature_writer=self.features)
        self.state.apply(emits, topics.PROFILE_KEPT)
        self.topic += [e.record for e in emits if isinstance(e.record, ProfileChanged)]
        return list(emits)

    async def say(self, *profiles: ProfileChanged) -> None:
        """Write to the topic; nobody has read it yet."""
        self.topic += profiles

    async def read_on(self) -> None:
        """Read the topic to its end, corrections too."""
        for _ in range(20):
            if self.read == len(self.topic):
                return
            batch, self.read = self.topic[self.read :], len(self.topic)
            await self.work(*batch)
        raise AssertionError("the topic never comes to rest")

    def row(self, user: str = "ada") -> Any:
        return self.features.rows.get((VIEW, user))


async def test_a_profile_is_a_row_with_its_event_time() -> None:
    desk = Desk()
    await desk.work(profile(1, gender="female", occupation="engineer", language="en"))
    row = desk.row()
    assert (row.at, dict(row.values)) == (
        at(1),
        {"birth_year": 1990, "gender": "female", "occupation": "engineer", "language": "en"},
    )


async def test_a_repeat_changes_nothing_and_a_late_one_is_followed_by_the_newest() -> None:
    desk = Desk()
    await desk.work(profile(5, birth_year=1980))
    assert [e.topic for e in await desk.work(profile(5, birth_year=1980))] == [topics.PROFILE_KEPT]
    late = await desk.work(profile(3))
    assert [e.record for e in late if e.topic == topics.PROFILE_CHANGED] == [profile(5, birth_year=1980)]
    assert desk.row().values["birth_year"] == 1980


async def test_what_is_not_told_any_more_is_forgotten() -> None:
    desk = Desk()
    await desk.work(profile(1), profile(2, birth_year=None))
    assert "birth_year" not in {name for name, value in desk.row().values.items() if value is not None}


async def test_an_erased_users_profile_is_nowhere() -> None:
    desk = Desk()
    await desk.work(profile(1), profile(1, "bob"))
    emits = await desk.work(erasure(10))
    assert desk.row() is None
    assert desk.row("bob") is not None
    told = [e.record for e in emits if isinstance(e.record, ProfileChanged)]
    assert [(t.birth_year, t.gender, t.occupation, t.language, t.occurred_at) for t in told] == [
        (None, "unknown", "", None, at(10))
    ]
    assert desk.state.get("ada") == ProfileKept(user_id="ada", erased_at=at(10))


async def test_a_profile_from_before_the_erasure_stays_out_and_one_after_it_is_a_new_start() -> None:
    desk = Desk()
    await desk.work(erasure(10))
    await desk.work(profile(10), profile(4))
    assert desk.row() is None
    await desk.work(profile(11))
    await desk.work(erasure(10), erasure(9))
    assert desk.row().at == at(11)


@settings(max_examples=150, deadline=None)
@given(
    said=st.lists(st.integers(0, 20), min_size=1, max_size=6),
    erased=st.lists(st.integers(0, 20), max_size=2),
    data=st.data(),
)
async def test_in_whatever_order_they_are_read_the_topic_ends_with_the_newest(
    said: list[int], erased: list[int], data: st.DataObject
) -> None:
    """Compaction keeps the last record of the topic: it must be what the user said last, or nothing of him."""
    desk = Desk()
    await desk.say(*(profile(second) for second in said))
    for second in erased:
        if data.draw(st.booleans()):
            await desk.read_on()
        await desk.work(erasure(second))
    await desk.read_on()
    fence = max(erased, default=-1)
    newest = max(said)
    last = desk.topic[-1]
    if newest > fence:
        assert (last.occurred_at, last.birth_year) == (at(newest), 1990)
        assert desk.row().at == at(newest)
    else:
        assert (last.occurred_at, last.birth_year) == (at(fence), None)
        assert desk.row() is None
