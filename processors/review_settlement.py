"""Keeps the cases that people review, decides when their votes do, and writes down who did what.

consumes  review.item.requested.v1, review.action.taken.v1
produces  review.audit.recorded.v1, review.item.decided.v1, review.case.changed.v1 (its state)
stores    its state topic

The audit log is written first, the case last: a crash in between tells the same again, and ``models.review_audit``
says what of that a check lets through. Everything happens in one partition, since the log is one chain.

Closed cases are forgotten some weeks later, by the times of the facts: longer than the topics keep what made them, so
that no replay opens one again. The one with the newest entry of the log stays, for the next entry is chained to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from models.review_audit import Entry, Head, chained
from models.review_queue import OPEN, Settled, act, ask, ask_in_vain, blank, erase, without_members
from models.review_retention import ClosedCases, last_heard
from processors.runtime.processor import Emit, Received, State, capability
from schemas.ids import stable_id
from schemas.review import ReviewActed, ReviewAudited, ReviewCase, ReviewDecided, ReviewRequested
from schemas.topics import REVIEW_ACTED, REVIEW_AUDITED, REVIEW_CASE, REVIEW_DECIDED, REVIEW_REQUESTED

SELF = "system:review_settlement"
Subject = tuple[str, str]
"""What is reviewed: kind and id."""


@dataclass
class Memory:
    """What would otherwise be searched for in the whole state at each batch.

    Attributes:
        newest: Review id of the case that holds the newest entry of the log; empty: there is none.
        head: That entry.
        cases: Subject -> review ids of cases about it that are, or were lately, open.
        closed: Cases to be forgotten one day.
        latest: Newest time that any fact has named; None: there was none.
    """

    newest: str = ""
    head: Head = field(default_factory=Head)
    cases: dict[Subject, set[str]] = field(default_factory=dict)
    closed: ClosedCases = field(default_factory=ClosedCases)
    latest: datetime | None = None

    @classmethod
    def of(cls, state: State) -> Memory:
        """Read the whole state."""
        found = cls()
        for review_id, record in state.items():
            assert isinstance(record, ReviewCase)  # noqa: S101 - the state topic holds nothing else
            if record.audit_seq > found.head.seq:
                found.newest, found.head = review_id, Head(record.audit_seq, record.audit_hash)
            if record.state in OPEN and record.request is not None:
                found.cases.setdefault(_subject(record.request), set()).add(review_id)
            found.closed.note(record)
            found.hear(last_heard(record))
        return found

    def hear(self, at: datetime) -> datetime:
        """The newest time, now that ``at`` was named too."""
        self.latest = max(self.latest or at, at)
        return self.latest

    def holds(self, state: State) -> bool:
        """Whether the state has what was emitted last; it has not where that could not be published."""
        case = state.get(self.newest) if self.newest else None
        known = Head(case.audit_seq, case.audit_hash) if isinstance(case, ReviewCase) else Head()
        return known == self.head


_memories: WeakKeyDictionary[State, Memory] = WeakKeyDictionary()
"""The runtime makes a new state object whenever another worker may have written the topic."""


@capability(
    consumes=(REVIEW_REQUESTED, REVIEW_ACTED),
    produces=(REVIEW_CASE, REVIEW_DECIDED, REVIEW_AUDITED),
    state=REVIEW_CASE,
    batch=True,
)
async def review_settlement(
    events: Sequence[Received[ReviewRequested | ReviewActed]], *, state: State, review_kept: timedelta
) -> list[Emit]:
    """Turns requests and moderators' votes into decisions, and audits every step."""
    memory = _memories.get(state)
    if memory is None or not memory.holds(state):
        memory = _memories[state] = Memory.of(state)
    desk = _Desk(state, memory)
    for received in events:
        fact = received.record
        if isinstance(fact, ReviewRequested):
            desk.ask(fact)
        elif fact.action == "erase" and fact.owner:
            desk.erase(fact)
        else:
            desk.take(act(desk.case(fact), fact))
        memory.hear(fact.produced_at if isinstance(fact, ReviewRequested) else fact.occurred_at)
    return desk.emits(review_kept)


class _Desk:
    """The facts of one batch."""

    def __init__(self, state: State, memory: Memory) -> None:
        self._state = state
        self._memory = memory
        self._cases: dict[str, ReviewCase] = {}
        self._audit: list[ReviewAudited] = []
        self._decided: list[ReviewDecided] = []

    def case(self, fact: ReviewRequested | ReviewActed) -> ReviewCase:
        """The case that a fact is about."""
        return self._known(fact.review_id) or blank(fact.review_id, fact.occurred_at)

    def ask(self, request: ReviewRequested) -> None:
        """A person is asked; of several cases about one subject only that of the newest content stays open."""
        if request.subject == "ring":
            gone = [user for user in request.members if self._erased(user, request)]
            kept = without_members(request, gone) if gone else request
        else:
            kept = None if self._erased(request.owner, request) else request
        case = self.case(request)
        steps = ask_in_vain(case, SELF, request.occurred_at) if kept is None else ask(case, kept)
        for step in steps:
            self.take(step)
        # also for one heard before: a crash may have kept the case and not the withdrawal of the older
        if self.case(request).state in OPEN:
            self._supersede(request)

    def erase(self, fact: ReviewActed) -> None:
        """Forget every case of a user, and remember to forget those that come late."""
        fence = self._known(_fence(fact.owner))
        if fence is not None and fact.event_id in fence.applied:
            return
        for case in self._owned(fact.owner, fact.occurred_at):
            request = case.request
            left = without_members(request, [fact.owner]) if request and request.subject == "ring" else None
            if left is None:
                self.take(erase(case, fact.moderator, fact.occurred_at))
            else:
                told = Entry(fact.occurred_at, case.review_id, fact.moderator, "erase", "one member of several")
                self.take(Settled(replace(case, seq=case.seq + 1, request=left), (told,)))
        known = fence or blank(_fence(fact.owner), fact.occurred_at)
        self._cases[known.review_id] = replace(
            known,
            state="withdrawn",
            seq=known.seq + 1,
            changed_at=max(known.changed_at, fact.occurred_at),
            applied=(*known.applied, fact.event_id),
        )

    def take(self, step: Settled | None) -> None:
        """Note what came of a fact."""
        if step is None:
            return
        case = step.case
        for entry in step.entries:
            audited = chained(self._memory.head, entry)
            self._audit.append(audited)
            self._memory.head, self._memory.newest = Head(audited.seq, audited.hash), case.review_id
            case = replace(case, audit_seq=audited.seq, audit_hash=audited.hash)
        self._cases[case.review_id] = case
        if step.decided is not None:
            self._decided.append(step.decided)

    def emits(self, kept: timedelta) -> list[Emit]:
        """What is to be published, the state last; then closed cases older than ``kept`` go."""
        for case in self._cases.values():
            self._memory.closed.note(case)
        latest = self._memory.latest
        old = [] if latest is None else self._memory.closed.before(latest - kept, self._known, self._memory.newest)
        return [
            *(Emit(REVIEW_AUDITED, entry.review_id, entry) for entry in self._audit),
            *(Emit(REVIEW_DECIDED, each.subject_id, each, stage=1) for each in self._decided),
            *(Emit(REVIEW_CASE, review_id, case, stage=2) for review_id, case in self._cases.items()),
            # the head of the log may have passed from one of them to a case of this batch
            *(Emit(REVIEW_CASE, review_id, None, stage=3) for review_id in old),
        ]

    def _supersede(self, request: ReviewRequested) -> None:
        """Withdraw the older of two open cases about one subject, whichever of them came first."""
        ids = self._memory.cases.setdefault(_subject(request), set())
        ids.add(request.review_id)
        known = [case for review_id in sorted(ids) if (case := self._known(review_id)) is not None]
        standing = [(_newness(case.request), case) for case in known if case.request and case.state in OPEN]
        newest = max((newness for newness, _ in standing), default=None)
        for newness, case in standing:
            if newness != newest:
                self.take(act(case, _withdrawal(case, request)))
        ids.intersection_update(case.review_id for newness, case in standing if newness == newest)

    def _erased(self, user: str, request: ReviewRequested) -> bool:
        fence = self._known(_fence(user)) if user else None
        return fence is not None and request.occurred_at <= fence.changed_at

    def _owned(self, user: str, until: datetime) -> list[ReviewCase]:
        """Cases of a user's content up to then, and rings that name the user: those may hold older faces."""
        cases = dict(self._state.items()) | self._cases
        return [
            case
            for case in cases.values()
            if isinstance(case, ReviewCase)
            and (request := case.request) is not None
            and (user in request.members or (user == request.owner and request.occurred_at <= until))
        ]

    def _known(self, review_id: str) -> ReviewCase | None:
        found = self._cases.get(review_id) or self._state.get(review_id)
        return found if isinstance(found, ReviewCase) else None


def _subject(request: ReviewRequested) -> Subject:
    return request.subject, request.subject_id


def _newness(request: ReviewRequested) -> tuple[float, str]:
    return request.occurred_at.timestamp(), request.source_event_id


def _fence(user: str) -> str:
    """Key of what remembers that a user was erased; it names nobody."""
    return stable_id("review-erased", user)


def _withdrawal(case: ReviewCase, newer: ReviewRequested) -> ReviewActed:
    return ReviewActed(
        event_id=stable_id("review-superseded", case.review_id, newer.event_id),
        occurred_at=newer.occurred_at,
        review_id=case.review_id,
        moderator=SELF,
        action="withdraw",
    )
