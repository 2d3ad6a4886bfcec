"""What a case becomes by what is said of it, and which comes first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.review_queue import Settled, Weights, act, age_s, ask, blank, erase, outcome, priority, refusal
from schemas.common import Reason
from schemas.review import ReviewActed, ReviewCase, ReviewRequested
from tests.fakes.runtime import NOW, at

WEIGHTS = Weights()


def request(second: float = 0, **changes: Any) -> ReviewRequested:
    known: dict[str, Any] = {
        "event_id": f"q{second}",
        "review_id": "r",
        "subject": "avatar",
        "subject_id": "ada",
        "owner": "ada",
        "source_event_id": f"s{second}",
        "occurred_at": at(second),
        "produced_at": at(second),
        "capability": "avatar_moderation",
        "proposed": "reject",
        "reasons": (Reason(code="avatar-blurred", text="t"),),
        "scores": {"face.sharpness": 0.3},
        "model_version": "1",
    }
    return ReviewRequested(**(known | changes))


def vote(action: str, moderator: str = "key:a", second: float = 5, **changes: Any) -> ReviewActed:
    reasons = ("avatar-blurred",) if action == "reject" else ()
    known: dict[str, Any] = {
        "event_id": f"{action}{moderator}{second}",
        "occurred_at": at(second),
        "review_id": "r",
        "moderator": moderator,
        "action": action,
        "reasons": reasons,
    }
    return ReviewActed(**(known | changes))


def settle(*facts: ReviewRequested | ReviewActed) -> tuple[ReviewCase, list[Settled]]:
    case, steps = blank("r", at(0)), list[Settled]()
    for fact in facts:
        done = act(case, fact) if isinstance(fact, ReviewActed) else None
        new = ask(case, fact) if isinstance(fact, ReviewRequested) else [] if done is None else [done]
        steps += new
        case = steps[-1].case if steps else case
    return case, steps


def said(steps: Sequence[Settled]) -> list[tuple[str, str]]:
    return [(entry.what, entry.detail) for step in steps for entry in step.entries]


def decisions(steps: Sequence[Settled]) -> list[Any]:
    return [step.decided for step in steps if step.decided is not None]


SENIOR = {"senior": True}
A, B, C = "key:a", "key:b", "key:c"


@pytest.mark.parametrize(
    ("proposed", "votes", "state", "decision", "overrides"),
    [
        ("reject", [], "waiting", "none", None),
        ("reject", [("reject", A, {})], "decided", "reject", False),
        ("approve", [("approve", A, {})], "decided", "approve", False),
        ("none", [("approve", A, {})], "decided", "approve", False),
        ("none", [("reject", A, {})], "decided", "reject", False),
        ("review", [("reject", A, {})], "decided", "reject", False),
        ("reject", [("approve", A, {})], "second", "none", None),
        ("reject", [("approve", A, {}), ("approve", B, {})], "decided", "approve", True),
        ("approve", [("reject", A, {}), ("reject", B, {})], "decided", "reject", True),
        ("reject", [("approve", A, {}), ("approve", A, {})], "second", "none", None),
        ("reject", [("approve", A, {}), ("reject", B, {})], "escalated", "none", None),
        ("reject", [("approve", A, {}), ("reject", B, {}), ("approve", C, {})], "escalated", "none", None),
        ("reject", [("approve", A, {}), ("reject", B, {}), ("approve", C, SENIOR)], "decided", "approve", True),
        ("reject", [("approve", A, {}), ("reject", B, {}), ("reject", C, SENIOR)], "decided", "reject", False),
        ("reject", [("approve", A, SENIOR), ("reject", B, {}), ("approve", A, SENIOR)], "escalated", "none", None),
        ("reject", [("escalate", A, {})], "escalated", "none", None),
        ("reject", [("escalate", A, SENIOR), ("approve", A, SENIOR)], "escalated", "none", None),
        ("reject", [("approve", A, {}), ("escalate", B, {})], "escalated", "none", None),
        ("reject", [("escalate", A, {}), ("escalate", B, SENIOR)], "escalated", "none", None),
        ("reject", [("withdraw", "system:x", {})], "withdrawn", "none", None),
        ("reject", [("withdraw", "system:x", {}), ("reject", A, {})], "withdrawn", "none", None),
        ("reject", [("reject", A, {}), ("approve", B, {})], "decided", "reject", False),
        ("reject", [("reject", A, {}), ("withdraw", "system:x", {})], "decided", "reject", False),
        ("reject", [("reject", A, {"reasons": ()})], "waiting", "none", None),
        ("reject", [("reject", A, {"reasons": ("no-such",)})], "waiting", "none", None),
        ("reject", [("unknown", A, {})], "waiting", "none", None),
    ],
)
def test_every_way_of_a_case(
    proposed: str, votes: list[Any], state: str, decision: str, overrides: bool | None
) -> None:
    acts = [vote(action, who, 5 + n, **changes) for n, (action, who, changes) in enumerate(votes)]
    case, steps = settle(request(proposed=proposed), *acts)
    assert (case.state, case.decision) == (state, decision)
    found = decisions(steps)
    assert [(each.decision, each.overrides) for each in found] == ([] if overrides is None else [(decision, overrides)])


def test_a_decision_says_who_voted_for_it_why_and_what_the_machine_thought() -> None:
    case, steps = settle(
        request(proposed="approve"), vote("reject", A, 5), vote("reject", B, 6, reasons=("image-nsfw",))
    )
    (decided,) = decisions(steps)
    assert decided.moderators == (A, B)
    assert [reason.code for reason in decided.reasons] == ["avatar-blurred", "image-nsfw"]
    assert decided.decided_at == case.changed_at == at(6)
    assert (decided.asked, decided.scores, decided.subject_id) == (("avatar-blurred",), {"face.sharpness": 0.3}, "ada")
    assert said(steps) == [
        ("requested", "avatar-blurred"),
        ("reject", "avatar-blurred"),
        ("reject", "image-nsfw"),
        ("decided", "reject, against the proposal"),
    ]


def test_what_is_refused_is_audited() -> None:
    _, steps = settle(request(), vote("reject", A), vote("approve", B, 6), vote("reject", C, 7, reasons=()))
    assert said(steps)[-2:] == [("refused", "approve: case-closed"), ("refused", "reject: case-closed")]


def test_the_same_action_or_request_twice_is_heard_once() -> None:
    once, _ = settle(request(), vote("approve", A))
    twice, _ = settle(request(), vote("approve", A), request(), vote("approve", A))
    assert once == twice


FACTS = st.lists(
    st.builds(
        vote,
        st.sampled_from(["approve", "reject", "escalate", "withdraw"]),
        st.sampled_from([A, B, C]),
        st.integers(1, 9),
        senior=st.booleans(),
    ),
    max_size=5,
    unique_by=lambda fact: fact.event_id,
)


@given(acts=FACTS, where=st.integers(0, 5), proposed=st.sampled_from(["approve", "reject", "none"]))
def test_it_does_not_matter_when_the_request_is_heard_of(acts: list[ReviewActed], where: int, proposed: str) -> None:
    asked = request(proposed=proposed)
    first, first_steps = settle(asked, *acts)
    late, late_steps = settle(*acts[:where], asked, *acts[where:])
    assert (late.state, late.decision, late.votes, late.applied) == (
        first.state,
        first.decision,
        first.votes,
        first.applied,
    )
    assert decisions(late_steps) == decisions(first_steps)
    assert said(late_steps) == said(first_steps)


@given(acts=FACTS)
def test_nobody_votes_twice_and_the_rules_foretell_what_comes(acts: list[ReviewActed]) -> None:
    case, _ = settle(request())
    for fact in acts:
        why = refusal(case, fact.moderator, fact.action, senior=fact.senior)
        expected = None if fact.action == "withdraw" or why else outcome(case, fact.action)
        step = act(case, fact)
        assert step is not None
        if expected is not None:
            assert step.case.state == expected
        elif fact.action != "withdraw":
            assert step.case.state == case.state
        case = step.case
    voters = [each.moderator for each in case.votes]
    assert len(set(voters)) == len(voters)


def test_erasure_leaves_nothing_of_the_owner() -> None:
    case, _ = settle(request(excerpt="my text"), vote("approve", A, note="looks like ada"))
    gone = erase(case, "system:user_erasure", at(9)).case
    assert (gone.request, gone.state) == (None, "withdrawn")
    assert "ada" not in str(gone)


def waiting(**changes: Any) -> ReviewCase:
    case, _ = settle(request(**changes))
    return case


def test_doubt_reach_and_a_second_look_come_first() -> None:
    def of(**changes: Any) -> float:
        return priority(waiting(**changes), NOW, WEIGHTS)

    assert of(uncertainty=0.9) > of(uncertainty=0.1)
    assert of(reach=1000) > of(reach=10) > of()
    assert of(reach=10**9) == of(reach=WEIGHTS.reach_full)
    second, _ = settle(request(), vote("approve"))
    assert second.state == "second"
    assert priority(second, NOW, WEIGHTS) > of()


WORTH = st.floats(0, 1)


@given(
    low=st.tuples(WORTH, st.integers(0, 10**7)),
    high=st.tuples(WORTH, st.integers(0, 10**7)),
    older_s=st.floats(0, 10**6),
    later_s=st.floats(0, 10**6),
)
def test_an_old_case_overtakes_whatever_is_newer_by_the_stated_time(
    low: tuple[float, int], high: tuple[float, int], older_s: float, later_s: float
) -> None:
    old = waiting(uncertainty=low[0], reach=low[1], second=0.0)
    newer = waiting(uncertainty=high[0], reach=high[1], second=WEIGHTS.front_after_s + older_s)
    now = newer.request.occurred_at + timedelta(seconds=later_s) if newer.request else NOW
    assert priority(old, now, WEIGHTS) >= priority(newer, now, WEIGHTS) - 1e-9


@given(uncertainty=WORTH, reach=st.integers(0, 10**9))
def test_urgency_lies_between_nought_and_one(uncertainty: float, reach: int) -> None:
    case = waiting(uncertainty=uncertainty, reach=reach)
    assert 0.0 <= priority(case, at(0), WEIGHTS) <= 1.0
    assert age_s(case, at(-5)) == 0.0
