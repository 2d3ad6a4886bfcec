"""Reviews are settled the same after any crash, and every step is in one unbroken log."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.review_audit import verify
from processors.review_settlement import review_settlement
from processors.runtime.processor import Emit, Received
from schemas.ids import stable_id
from schemas.record import Record
from schemas.review import ReviewActed, ReviewAudited, ReviewCase, ReviewDecided, ReviewRequested
from schemas.topics import REVIEW_AUDITED, REVIEW_CASE, REVIEW_DECIDED
from tests.fakes.runtime import MemoryState, at

KEPT = timedelta(days=36)


def request(number: str = "r1", second: float = 0, user: str = "ada", **changes: Any) -> ReviewRequested:
    known: dict[str, Any] = {
        "event_id": f"q{number}",
        "review_id": number,
        "subject": "avatar",
        "subject_id": user,
        "owner": user,
        "source_event_id": f"s{number}",
        "occurred_at": at(second),
        "produced_at": at(second),
        "capability": "avatar_moderation",
        "proposed": "reject",
        "model_version": "1",
    }
    return ReviewRequested(**(known | changes))


def acted(action: str, number: str = "r1", moderator: str = "key:a", second: float = 5, **changes: Any) -> ReviewActed:
    known: dict[str, Any] = {
        "event_id": f"{action}-{number}-{moderator}",
        "occurred_at": at(second),
        "review_id": number,
        "moderator": moderator,
        "action": action,
        "reasons": ("avatar-blurred",) if action == "reject" else (),
    }
    return ReviewActed(**(known | changes))


def erasure(user: str = "ada", second: float = 50) -> ReviewActed:
    return acted("erase", "", "system:user_erasure", second, owner=user, event_id=f"erase-{user}")


class Desk:
    """The capability, its state and what it has written."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.log: list[ReviewAudited] = []
        self.decided: list[ReviewDecided] = []

    async def work(self, *records: Record, crash_after: int | None = None) -> list[Emit]:
        """Work on a batch; with ``crash_after`` only so many of its events are written and the process dies."""
        events: list[Received[Any]] = [Received(record, "t", 0, n) for n, record in enumerate(records)]
        found = await review_settlement.handler(events, state=self.state, review_kept=KEPT)
        emits = sorted(found, key=lambda emit: emit.stage)
        written = emits[:crash_after]
        self.log += [e.record for e in written if e.topic == REVIEW_AUDITED and isinstance(e.record, ReviewAudited)]
        self.decided += [e.record for e in written if e.topic == REVIEW_DECIDED and isinstance(e.record, ReviewDecided)]
        self.state.apply(written, REVIEW_CASE)
        if crash_after is not None:
            # another process has a state object of its own
            values, self.state = self.state.values, MemoryState()
            self.state.values = values
        return emits

    def case(self, number: str = "r1") -> ReviewCase:
        found = self.state.get(number)
        assert isinstance(found, ReviewCase)
        return found

    def states(self) -> dict[str, str]:
        return {number: case.state for number, case in self.state.items() if isinstance(case, ReviewCase)}


async def test_a_decision_is_told_with_its_case_and_its_log() -> None:
    desk = Desk()
    await desk.work(request())
    emits = await desk.work(acted("reject"))
    assert [(e.topic, e.key, e.stage) for e in emits] == [
        (REVIEW_AUDITED, "r1", 0),
        (REVIEW_AUDITED, "r1", 0),
        (REVIEW_DECIDED, "ada", 1),
        (REVIEW_CASE, "r1", 2),
    ]
    assert [(each.seq, each.what) for each in desk.log] == [(1, "requested"), (2, "reject"), (3, "decided")]
    assert verify(desk.log).broken == ""
    assert (desk.case().audit_seq, desk.case().audit_hash) == (3, desk.log[-1].hash)
    assert not any("ada" in str(each) for each in desk.log)


async def test_a_newer_request_about_the_same_withdraws_the_older_whichever_comes_first() -> None:
    old, new = request("r1", 0), request("r2", 9)
    for facts in ((old, new), (new, old)):
        desk = Desk()
        for fact in facts:
            await desk.work(fact)
        assert desk.states() == {"r1": "withdrawn", "r2": "waiting"}
        assert verify(desk.log).broken == ""
        together = Desk()
        await together.work(*facts)
        assert together.states() == desk.states()


async def test_a_decided_case_stays_decided_and_other_subjects_stay_open() -> None:
    desk = Desk()
    await desk.work(request("r1"), acted("reject"), request("r2", 9), request("r3", 10, "bob"))
    assert desk.states() == {"r1": "decided", "r2": "waiting", "r3": "waiting"}


async def test_erasure_forgets_every_case_of_the_user_and_those_that_come_late() -> None:
    desk = Desk()
    await desk.work(request("r1", excerpt="secret"), acted("approve", note="secret"), request("r2", 3, "bob"))
    await desk.work(acted("approve", "r3", "key:b", note="secret"))
    await desk.work(erasure())
    await desk.work(request("r3", 40, excerpt="secret"), request("r4", 60))
    assert [desk.states()[number] for number in ("r1", "r2", "r3", "r4")] == [
        "withdrawn",
        "waiting",
        "withdrawn",
        "waiting",
    ]
    gone = [desk.case("r1"), desk.case("r3"), *desk.log]
    assert not any("ada" in str(each) or "secret" in str(each) for each in gone)
    assert [each.what for each in desk.log if each.review_id == "r3"] == ["erase", "refused"]
    before = dict(desk.state.values)
    await desk.work(erasure())
    assert desk.state.values == before
    assert verify(desk.log).broken == ""


async def test_who_came_back_after_an_erasure_keeps_the_new_case() -> None:
    """The word of an erasure arrives a minute after it was asked for."""
    desk = Desk()
    await desk.work(request("r1", 5), request("r2", 11, source_event_id="s2", subject_id="ada again"))
    await desk.work(erasure(second=10))
    assert (desk.states()["r1"], desk.states()["r2"]) == ("withdrawn", "waiting")


async def test_an_erased_upload_takes_its_own_case_with_it_only() -> None:
    gone = acted("erase", "r1", "system:item_publication", 9)
    for facts in ((request("r1"), gone), (gone, request("r1"))):
        desk = Desk()
        await desk.work(request("r2", 1, "bob"), *facts)
        assert desk.states() == {"r1": "withdrawn", "r2": "waiting"}
        assert desk.case().request is None
        assert verify(desk.log).broken == ""


async def test_a_ring_loses_the_member_and_is_gone_with_the_last_but_one() -> None:
    desk = Desk()
    ring = request("g", 0, "ring-1", subject="ring", owner="", members=("ada", "bob", "eve"))
    await desk.work(ring)
    await desk.work(erasure("ada"))
    left = desk.case("g").request
    assert left is not None
    assert (desk.case("g").state, left.members) == ("waiting", ("bob", "eve"))
    await desk.work(erasure("bob"))
    assert (desk.case("g").state, desk.case("g").request) == ("withdrawn", None)
    late = Desk()
    await late.work(erasure("ada"))
    await late.work(ring)
    found = late.case("g").request
    assert found is not None
    assert found.members == ("bob", "eve")


async def test_what_could_not_be_published_is_done_again_the_same() -> None:
    desk = Desk()
    await desk.work(request("r1"))
    first = await review_settlement.handler([Received(acted("reject"), "t", 0, 1)], state=desk.state, review_kept=KEPT)
    again = await review_settlement.handler([Received(acted("reject"), "t", 0, 1)], state=desk.state, review_kept=KEPT)
    assert list(first) == list(again)


HISTORY: tuple[Record, ...] = (
    request("r1"),
    acted("approve", "r1", "key:a"),
    request("r2", 3, "bob"),
    acted("approve", "r1", "key:b"),
    acted("escalate", "r2", "key:a"),
    request("r3", 7, "eve"),
    acted("reject", "r3", "key:b"),
    acted("reject", "r2", "key:c", senior=True),
    erasure("bob"),
)
ASKED = [fact for fact in HISTORY if isinstance(fact, ReviewRequested)]
ACTED = [fact for fact in HISTORY if isinstance(fact, ReviewActed)]


def interleaved(picks: Sequence[bool]) -> list[Record]:
    """The two topics in some mixture, each in its own order."""
    asked, done = iter(ASKED), iter(ACTED)
    mixed: list[Record] = []
    for pick in picks:
        mixed += itertools.islice(asked if pick else done, 1)
    return [*mixed, *asked, *done]


def outcome(desk: Desk) -> dict[str, Any]:
    return {
        number: (case.state, case.decision, case.votes, case.request)
        for number, case in desk.state.items()
        if isinstance(case, ReviewCase) and number in ("r1", "r3")
    }


@settings(max_examples=150, deadline=None)
@given(
    picks=st.lists(st.booleans(), max_size=9),
    again=st.lists(st.booleans(), max_size=9),
    cuts=st.lists(st.integers(1, 4), max_size=4),
    crash=st.tuples(st.integers(0, 3), st.integers(0, 8)),
)
async def test_any_mixture_batches_and_a_crash_anywhere_end_in_the_same_with_a_log_that_holds(
    picks: list[bool], again: list[bool], cuts: list[int], crash: tuple[int, int]
) -> None:
    straight, desk = Desk(), Desk()
    await straight.work(*ASKED, *ACTED)
    facts = interleaved(picks)
    ends = [*itertools.accumulate(cuts), len(facts)]
    done = 0
    for number, end in enumerate(ends):
        batch = facts[done:end]
        if number == crash[0]:
            await desk.work(*batch, crash_after=crash[1])
            # nothing was committed: everything comes again, in another mixture
            await desk.work(*interleaved(again))
        else:
            await desk.work(*batch)
        done = max(done, end)
    await desk.work(*interleaved(again))
    assert outcome(desk) == outcome(straight)
    found = verify(desk.log)
    assert found.broken == ""
    assert found.head.seq == max(case.audit_seq for _, case in desk.state.items() if isinstance(case, ReviewCase))
    told = {each.review_id: each for each in desk.decided if each.review_id == "r1"}
    assert told["r1"].overrides
    assert told["r1"].moderators == ("key:a", "key:b")


@settings(max_examples=100, deadline=None)
@given(
    order=st.permutations([request("r1", 1), request("r2", 2), request("r3", 3), acted("approve", "r2"), erasure()]),
    crashes=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 12)), max_size=3),
)
async def test_one_case_about_a_subject_stays_open_whatever_crashes(
    order: list[Record], crashes: list[tuple[int, int]]
) -> None:
    desk = Desk()
    for many, crash_after in crashes:
        await desk.work(*order[:many], crash_after=crash_after)
    # what was being worked on at a crash comes again
    rest = [fact for fact in order if fact in order[: max((many for many, _ in crashes), default=0)]]
    await desk.work(*rest, *(fact for fact in order if isinstance(fact, ReviewRequested)))
    assert verify(desk.log).broken == ""
    standing = [number for number, state in desk.states().items() if state in ("waiting", "second")]
    assert standing == ([] if erasure() in rest else ["r3"])
    await desk.work(*order)
    assert not [number for number, state in desk.states().items() if state in ("waiting", "second")]
    assert verify(desk.log).broken == ""


DAY_S = 86_400.0


def aged() -> tuple[Record, ...]:
    """Cases of the first day, and one that is closed when those are old."""
    later = KEPT.total_seconds() + DAY_S
    return (
        request("r1"),
        acted("reject"),
        request("r2", 1, "bob"),
        acted("withdraw", "r2", "system:item_publication", 6),
        erasure("eve", 7),
        request("r3", 2, "zoe"),
        request("r4", 8, "max"),
        acted("reject", "r4", "key:b", later),
    )


async def test_closed_cases_go_after_some_weeks_and_open_ones_and_the_head_of_the_log_stay() -> None:
    desk = Desk()
    first = aged()
    await desk.work(*first[:-1])
    assert sorted(desk.states().values()) == ["decided", "waiting", "waiting", "withdrawn", "withdrawn"]
    emits = await desk.work(first[-1])
    assert [emit.key for emit in emits if emit.stage == 3] == ["r1", "r2", stable_id("review-erased", "eve")]
    assert desk.states() == {"r3": "waiting", "r4": "decided"}
    # the newest entry stays with its case however old that is, until there is a newer one
    await desk.work(acted("withdraw", "r9", second=200 * DAY_S))
    assert "r4" in desk.states()
    await desk.work(request("r5", 201 * DAY_S, "kim"))
    assert desk.states() == {"r3": "waiting", "r5": "waiting", "r9": "unknown"}
    assert [each.seq for each in desk.log] == list(range(1, len(desk.log) + 1))
    assert verify(desk.log).broken == ""


async def test_what_could_not_be_forgotten_is_forgotten_later() -> None:
    desk = Desk()
    await desk.work(*aged()[:-1])
    last = aged()[-1]
    lost = [
        await review_settlement.handler([Received(last, "t", 0, 1)], state=desk.state, review_kept=KEPT)
        for _ in range(2)
    ]
    assert lost[0] == lost[1]
    # the newest entry of the log was published, and nothing after it
    desk.state.apply([emit for emit in lost[0] if emit.stage == 2], REVIEW_CASE)
    assert len(desk.states()) == 5
    await desk.work(last)
    assert desk.states() == {"r3": "waiting", "r4": "decided"}


@settings(max_examples=60, deadline=None)
@given(crashes=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 25)), max_size=3), cut=st.integers(1, 8))
async def test_closed_cases_go_whatever_crashes_and_nothing_of_them_comes_back(
    crashes: list[tuple[int, int]], cut: int
) -> None:
    desk, facts = Desk(), aged()
    for many, crash_after in crashes:
        await desk.work(*facts[:many], crash_after=crash_after)
    await desk.work(*facts[:cut])
    await desk.work(*facts[cut:], *(fact for fact in facts[:cut] if cut < len(facts)))
    await desk.work(request("r5", 40 * DAY_S, "kim"))
    assert desk.states() == {"r3": "waiting", "r4": "decided", "r5": "waiting"}
    assert verify(desk.log).broken == ""
