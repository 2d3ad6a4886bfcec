"""Where a user's avatar stands: the newest counts, people before the machine, and nobody reviews what is moot."""

from __future__ import annotations

from typing import Any

import pytest

from features import ownership
from processors.avatar_publication import Fact, avatar_publication, review_id, sentence
from processors.runtime.processor import Emit
from schemas import topics
from schemas.errors import REJECTION_CODES
from schemas.record import Record
from schemas.review import ReviewActed
from schemas.user import AvatarSettled
from tests.fakes.features import MemoryFeatures, MemoryObjects
from tests.fakes.runtime import NOW, MemoryState, at
from tests.unit.processors.avatar_facts import changed, dead, decided, erased, judged

VIEW = "user_avatar_v1"


class Desk:
    """The capability with its stores in memory."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.features = MemoryFeatures(now=lambda: NOW)
        self.objects = MemoryObjects()
        self.emits: list[Emit] = []

    async def work(self, *facts: Fact, state_is_lost: bool = False) -> list[Emit]:
        self.emits = []
        for fact in facts:
            done = await avatar_publication.handler(
                fact,
                state=self.state,
                feature_reader=self.features,
                feature_writer=self.features,
                objects=self.objects,
            )
            if not state_is_lost:
                self.state.apply(done, topics.AVATAR_SETTLED)
            self.emits += done
        return self.emits

    @property
    def settled(self) -> AvatarSettled:
        found = self.state.get("ada")
        assert isinstance(found, AvatarSettled)
        return found

    def row(self) -> Any:
        found = self.features.rows.get((VIEW, "ada"))
        return None if found is None else dict(found.values)

    def acted(self) -> list[tuple[str, str, str]]:
        records: list[Record | None] = [emit.record for emit in self.emits]
        return [(each.action, each.review_id, each.owner) for each in records if isinstance(each, ReviewActed)]


async def test_an_avatar_on_its_way_to_approval() -> None:
    desk = Desk()
    await desk.work(changed("a", 0))
    assert (desk.settled.state, desk.row()["decision"], desk.row().get("model_version")) == (
        "received",
        "received",
        None,
    )
    [emit] = await desk.work(judged("a", 0, 2))
    assert (emit.topic, emit.key, emit.stage) == (topics.AVATAR_SETTLED, "ada", 1)
    assert emit.milestone is not None
    assert (emit.milestone.name, emit.milestone.since) == ("avatar", at(0))
    assert (desk.settled.decided_by, desk.settled.changed_at, desk.settled.seq) == ("machine", at(2), 2)
    assert desk.row() == {
        "event_id": "a",
        "decision": "approved",
        "decided_by": "machine",
        "reasons": [],
        "faces": 1,
        "sharpness": 0.75,
        "age_years": 31.5,
        "model_version": "rules-1",
    }
    assert desk.features.rows[VIEW, "ada"].at == at(2)


async def test_a_rejection_tells_why_and_a_newer_avatar_starts_anew() -> None:
    desk = Desk()
    await desk.work(changed("a", 0), judged("a", 0, 2, "reject"))
    assert (desk.row()["decision"], desk.row()["reasons"]) == ("rejected", ["avatar-blurred"])
    await desk.work(changed("b", 10))
    assert (desk.settled.state, desk.settled.reasons, desk.settled.scores) == ("received", (), {})
    assert desk.row() == {"event_id": "b", "decision": "received", "decided_by": "nobody", "reasons": []}


async def test_what_is_heard_twice_or_of_a_replaced_avatar_changes_nothing() -> None:
    desk = Desk()
    await desk.work(changed("b", 10), judged("b", 10, 12))
    before = desk.settled
    for late in (changed("a", 0), judged("a", 0, 20, "reject"), decided("a", 0, 30, "reject"), judged("b", 10, 12)):
        assert await desk.work(late) == []
    assert desk.settled is before


@pytest.mark.parametrize("people_first", [False, True])
async def test_people_decide_against_the_machine_whoever_was_first(people_first: bool) -> None:
    desk = Desk()
    facts: list[Fact] = [judged("a", 0, 2, "review"), decided("a", 0, 1 if people_first else 60, "reject")]
    await desk.work(changed("a", 0), *(reversed(facts) if people_first else facts))
    assert (desk.settled.state, desk.settled.decided_by) == ("rejected", "person")
    assert desk.row()["reasons"] == ["avatar-public-figure"]
    assert (desk.row()["sharpness"], desk.row()["model_version"]) == (0.75, "rules-1")
    assert desk.acted() == []


async def test_decisions_on_other_things_are_nobodys_avatar() -> None:
    desk = Desk()
    other = decided("a", 0, 5, "reject")
    assert await desk.work(type(other)(**(vars(other) | {"subject": "media"}))) == []
    assert desk.state.values == {}


async def test_the_review_of_a_replaced_avatar_is_withdrawn_before_the_state_says_so() -> None:
    desk = Desk()
    await desk.work(changed("a", 0), judged("a", 0, 2, "review"))
    assert desk.settled.review_id == review_id("a")
    first, second = await desk.work(changed("b", 10))
    assert (first.topic, first.stage, first.key) == (topics.REVIEW_ACTED, 0, review_id("a"))
    assert (second.topic, second.stage) == (topics.AVATAR_SETTLED, 1)
    assert desk.acted() == [("withdraw", review_id("a"), "")]


async def test_a_review_asked_for_too_late_is_withdrawn_and_one_decided_on_is_not() -> None:
    desk = Desk()
    await desk.work(changed("b", 10), judged("a", 0, 20, "review"))
    assert desk.acted() == [("withdraw", review_id("a"), "")]
    await desk.work(decided("b", 10, 30, "approve"), judged("b", 10, 12, "review"))
    assert desk.acted() == []


async def test_a_verdict_that_came_anew_ends_the_review() -> None:
    desk = Desk()
    await desk.work(changed("a", 0), judged("a", 0, 2, "review"), judged("a", 0, 9, "approve"))
    assert desk.settled.state == "approved"
    assert desk.acted() == [("withdraw", review_id("a"), "")]
    await desk.work(judged("a", 0, 2, "review"))
    assert (desk.settled.state, desk.acted()) == ("approved", [("withdraw", review_id("a"), "")])


async def test_an_avatar_that_was_given_up_has_failed_until_its_result_comes() -> None:
    desk = Desk()
    await desk.work(dead(5))
    assert (desk.settled.state, desk.row()) == ("failed", None)
    await desk.work(changed("a", 0))
    assert (desk.row()["decision"], desk.row()["reasons"]) == ("failed", ["unavailable"])
    assert sentence("unavailable") not in REJECTION_CODES.values()
    await desk.work(judged("a", 0, 60))
    assert (desk.settled.state, desk.settled.reasons) == ("approved", ())


async def test_an_avatar_chosen_after_the_failure_of_another_has_not_failed() -> None:
    desk = Desk()
    await desk.work(changed("a", 0), dead(5), changed("b", 10))
    assert (desk.settled.state, desk.settled.reasons) == ("received", ())


@pytest.mark.parametrize(
    "letter",
    [
        dead(5, capability="fraud_clustering"),
        dead(5, origin_topic=topics.USER_ERASED.name, capability="avatar_publication"),
        dead(5, user="\ufffd\ufffd"),
        dead(5, user=""),
    ],
)
async def test_other_failures_are_not_the_avatars(letter: Any) -> None:
    desk = Desk()
    assert await desk.work(letter) == []


async def test_an_erased_users_avatar_is_nowhere_and_what_comes_late_finds_a_fence() -> None:
    desk = Desk()
    await desk.work(changed("a", 0), judged("a", 0, 2, "review"), erased(5))
    assert desk.row() is None
    assert desk.settled == AvatarSettled(user_id="ada", seq=3, changed_at=at(5), state="erased", erased_at=at(5))
    assert await desk.work(changed("a", 0), judged("b", 5, 7), decided("a", 0, 8, "approve"), erased(4)) == []
    await desk.work(judged("b", 4, 6, "review"))
    assert desk.acted() == [("withdraw", review_id("b"), "")], "asked for after the erasure had passed"
    assert desk.row() is None
    await desk.work(changed("c", 6), judged("c", 6, 7), erased(5))
    assert (desk.settled.state, desk.row()["event_id"]) == ("approved", "c")


async def test_a_crop_stored_after_the_erasure_goes_and_that_of_a_new_start_stays() -> None:
    desk = Desk()
    folder = f"avatars/{ownership.user_token('ada')}"
    await desk.work(changed("a", 0), erased(5), changed("c", 6))
    for name in ("a", "c"):
        await desk.objects.put(f"{folder}/{name}/crop.webp", b"face", "image/webp")
    await desk.objects.put("avatars/another/a/crop.webp", b"face", "image/webp")
    await desk.work(judged("a", 0, 9))
    assert set(desk.objects.data) == {"avatars/another/a/crop.webp", f"{folder}/c/crop.webp"}


async def test_a_state_lost_in_a_crash_and_read_anew_in_another_order_leaves_no_stale_row() -> None:
    """The row of the first try is later than that of the second: the store alone would keep it."""
    desk = Desk()
    await desk.work(judged("a", 0, 100, "reject"), state_is_lost=True)
    assert desk.row()["decision"] == "rejected"
    await desk.work(changed("b", 50))
    assert (desk.row()["event_id"], desk.row()["decision"]) == ("b", "received")
