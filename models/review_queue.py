"""The queue of reviews: what a case becomes by what is said of it, and which case is looked at first.

A case waits for one moderator's word. One that agrees with what the machine proposed decides; one against it
asks for a second moderator, who decides if of the same mind and hands the case to a senior if not. Nobody votes twice
in a case. No clock and no randomness here: every time comes from the facts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from models.review_audit import Entry
from schemas.common import Decision, Reason
from schemas.errors import REJECTION_CODES
from schemas.ids import stable_id
from schemas.review import ActionKind, CaseState, ReviewActed, ReviewCase, ReviewDecided, ReviewRequested, Vote

OPEN: frozenset[CaseState] = frozenset({"waiting", "second", "escalated"})
"""States in which a case is in somebody's queue."""
VERDICTS = ("approve", "reject")


@dataclass(frozen=True)
class Weights:
    """What makes a case urgent; only the proportions of the first four count.

    Attributes:
        uncertainty: Weight of the machine's doubt.
        reach: Weight of how many people may see it.
        state: Weight of somebody having looked already.
        subject: Weight of what it is.
        reach_full: People from which more do not count.
        subjects: Subject -> 0..1; one that is not named counts 0.
        front_after_s: A case this much older than another stands before it, whatever the two are, seconds.
    """

    uncertainty: float = 4.0
    reach: float = 3.0
    state: float = 2.0
    subject: float = 1.0
    reach_full: int = 100_000
    subjects: Mapping[str, float] = field(default_factory=lambda: {"avatar": 1.0, "media": 1.0, "ring": 0.5})
    front_after_s: float = 14_400.0


STATE_URGENCY = {"second": 1.0, "escalated": 0.5}
"""What one person has thought about already should not wait long for the next; a new case counts 0."""


@dataclass(frozen=True)
class Settled:
    """What came of one fact.

    Attributes:
        case: The case now.
        entries: What the audit log is told.
        decided: The outcome, where the fact brought it.
    """

    case: ReviewCase
    entries: tuple[Entry, ...] = ()
    decided: ReviewDecided | None = None


def priority(case: ReviewCase, now: datetime, weights: Weights) -> float:
    """How early an open case is looked at; the greatest first.

    Urgency, 0..1, is the weighted mean of uncertainty, log-scaled reach, state and subject. Age adds one for every
    ``front_after_s``, so that urgency can win no more than that time and no case waits for ever.
    """
    request = case.request
    if request is None:
        return 0.0
    reach = min(1.0, math.log1p(max(0, request.reach)) / math.log1p(weights.reach_full))
    parts = (
        (weights.uncertainty, min(1.0, max(0.0, request.uncertainty))),
        (weights.reach, reach),
        (weights.state, STATE_URGENCY.get(case.state, 0.0)),
        (weights.subject, min(1.0, max(0.0, weights.subjects.get(request.subject, 0.0)))),
    )
    total = sum(weight for weight, _ in parts)
    urgency = sum(weight * value for weight, value in parts) / total if total else 0.0
    return urgency + age_s(case, now) / weights.front_after_s


def age_s(case: ReviewCase, now: datetime) -> float:
    """Seconds since the content was sent; never negative."""
    return 0.0 if case.request is None else max(0.0, (now - case.request.occurred_at).total_seconds())


def blank(review_id: str, at: datetime) -> ReviewCase:
    """A case of which nothing is known."""
    return ReviewCase(review_id=review_id, seq=0, state="unknown", changed_at=at)


def refusal(case: ReviewCase, moderator: str, action: ActionKind, *, senior: bool) -> str:
    """Why ``moderator`` may not do that now; empty: they may.

    One of ``case-closed``, ``case-own-vote``, ``case-escalated``, ``senior-needed``.
    """
    if case.state not in OPEN:
        return "case-closed"
    if any(vote.moderator == moderator for vote in case.votes):
        return "case-own-vote"
    if case.state != "escalated":
        return ""
    if action == "escalate":
        return "case-escalated"
    return "" if senior else "senior-needed"


def outcome(case: ReviewCase, action: ActionKind) -> CaseState:
    """What an open case becomes if ``action`` is done and not refused."""
    if action == "escalate":
        return "escalated"
    if case.state == "second":
        first = next(vote.action for vote in reversed(case.votes) if vote.action in VERDICTS)
        return "decided" if action == first else "escalated"
    against = case.request is not None and case.request.proposed in VERDICTS and case.request.proposed != action
    return "second" if case.state == "waiting" and against else "decided"


def ask(case: ReviewCase, request: ReviewRequested) -> list[Settled]:
    """A person is asked: the case waits, and the votes that came before their request are taken in their order.

    A request that is known changes nothing; neither does one for a case that was withdrawn.
    """
    if case.request is not None or case.state != "unknown":
        return []
    asked = replace(case, state="waiting", seq=case.seq + 1, changed_at=request.occurred_at, request=request, votes=())
    reasons = " ".join(reason.code for reason in request.reasons)
    entry = Entry(request.occurred_at, case.review_id, f"system:{request.capability}", "requested", reasons)
    steps = [Settled(asked, (entry,))]
    for vote in case.votes:
        steps.append(_take(steps[-1].case, vote))
    return steps


def ask_in_vain(case: ReviewCase, moderator: str, at: datetime) -> list[Settled]:
    """A person is asked about somebody who was erased meanwhile: nothing is kept, the votes so far are refused."""
    if case.request is not None or case.state != "unknown":
        return []
    steps = [erase(replace(case, votes=()), moderator, at)]
    for vote in case.votes:
        steps.append(_take(steps[-1].case, vote))
    return steps


def act(case: ReviewCase, action: ReviewActed) -> Settled | None:
    """Somebody acts on a case: approve, reject, escalate or withdraw, or its content was erased.

    Returns:
        None if it was heard of before.
    """
    if action.event_id in case.applied:
        return None
    vote = Vote(
        moderator=action.moderator,
        action=action.action,
        reasons=action.reasons,
        note=action.note,
        at=action.occurred_at,
        senior=action.senior,
    )
    heard = replace(case, seq=case.seq + 1, applied=(*case.applied, action.event_id))
    if action.action == "erase":
        return erase(heard, action.moderator, action.occurred_at)
    if case.state == "unknown":
        # its request lies in another topic and comes later
        return Settled(replace(heard, votes=(*case.votes, vote)))
    return _take(heard, vote)


def erase(case: ReviewCase, moderator: str, at: datetime) -> Settled:
    """Forget what a case holds of its owner."""
    votes = tuple(replace(vote, note="") for vote in case.votes)
    gone = replace(case, state="withdrawn", seq=case.seq + 1, changed_at=_later(case, at), request=None, votes=votes)
    return Settled(gone, (Entry(at, case.review_id, moderator, "erase"),))


def without_members(request: ReviewRequested, users: Collection[str]) -> ReviewRequested | None:
    """A ring's request without some accounts and without pictures, which may show them; None: no ring is left."""
    members = tuple(user for user in request.members if user not in users)
    return replace(request, members=members, pictures=()) if len(members) > 1 else None


def _take(case: ReviewCase, vote: Vote) -> Settled:
    """One vote in a case whose request is known or gone."""
    if vote.action == "withdraw":
        return _withdraw(case, vote)
    wrong = refusal(case, vote.moderator, vote.action, senior=vote.senior) or _unusable(vote)
    if wrong:
        return Settled(case, (Entry(vote.at, case.review_id, vote.moderator, "refused", f"{vote.action}: {wrong}"),))
    state = outcome(case, vote.action)
    taken = replace(case, state=state, changed_at=_later(case, vote.at), votes=(*case.votes, vote))
    reasons = " ".join(vote.reasons)
    told = Entry(vote.at, case.review_id, vote.moderator, vote.action, reasons)
    if state != "decided" or case.request is None:
        return Settled(taken, (told,))
    decided = _decision(taken, case.request, vote)
    against = ", against the proposal" if decided.overrides else ""
    result = Entry(vote.at, case.review_id, vote.moderator, "decided", f"{vote.action}{against}")
    return Settled(replace(taken, decision=decided.decision), (told, result), decided)


def _withdraw(case: ReviewCase, vote: Vote) -> Settled:
    if case.state not in OPEN:
        refused = Entry(vote.at, case.review_id, vote.moderator, "refused", "withdraw: case-closed")
        return Settled(case, (refused,))
    gone = replace(case, state="withdrawn", changed_at=_later(case, vote.at))
    return Settled(gone, (Entry(vote.at, case.review_id, vote.moderator, "withdraw"),))


def _unusable(vote: Vote) -> str:
    if vote.action not in (*VERDICTS, "escalate"):
        return "action-unknown"
    if vote.action != "reject":
        return ""
    if not vote.reasons:
        return "reason-missing"
    return "" if all(code in REJECTION_CODES for code in vote.reasons) else "reason-unknown"


def _decision(case: ReviewCase, request: ReviewRequested, last: Vote) -> ReviewDecided:
    agreeing = [vote for vote in case.votes if vote.action == last.action]
    codes = dict.fromkeys(code for vote in agreeing for code in vote.reasons) if last.action == "reject" else {}
    decision: Decision = "approve" if last.action == "approve" else "reject"
    return ReviewDecided(
        event_id=stable_id("review-decided", case.review_id),
        review_id=case.review_id,
        subject=request.subject,
        subject_id=request.subject_id,
        source_event_id=request.source_event_id,
        occurred_at=request.occurred_at,
        decided_at=last.at,
        decision=decision,
        reasons=tuple(Reason(code=code, text=REJECTION_CODES[code]) for code in codes),
        moderators=tuple(vote.moderator for vote in agreeing),
        overrides=request.proposed in VERDICTS and request.proposed != decision,
        proposed=request.proposed,
        asked=tuple(reason.code for reason in request.reasons),
        scores=request.scores,
        model_version=request.model_version,
    )


def _later(case: ReviewCase, at: datetime) -> datetime:
    """Clocks of several processes give the times: a case never seems to go back."""
    return max(case.changed_at, at)
