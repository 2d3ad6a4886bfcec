"""Handing cases out and taking decisions in; the settlement of votes is ``review_settlement``'s."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from features.review_leases import Lease, Place
from models.review_queue import OPEN, refusal
from processors.runtime.processor import Emit
from processors.serving.gate import Caller
from processors.serving.parts import ServiceParts
from processors.serving.problems import ProblemError
from processors.serving.review.bodies import ActionIn
from processors.serving.review.documents import Seen
from schemas.ids import stable_id
from schemas.review import CaseState, ReviewActed, ReviewCase, Subject
from schemas.topics import REVIEW_ACTED

SETTLING_S = 86_400
"""Longest time for which a decision on its way keeps its case from being lent, seconds."""
LOOKED_AT = 50
"""Cases whose leases are asked for at once."""
REFUSALS = {
    "case-closed": (409, "The case is decided or withdrawn."),
    "case-own-vote": (409, "You have voted in this case: another moderator must look."),
    "case-escalated": (409, "The case is escalated already: a senior moderator decides."),
    "senior-needed": (403, "The case is escalated: only a senior moderator may decide it."),
    "case-leased": (409, "Another moderator has the case at the moment."),
    "case-changed": (409, "The case has changed since you looked at it: look again."),
    "leases-many": (409, "You hold as many cases as one moderator may at once: decide some, or give some back."),
    "case-acted": (409, "You have acted on this case; that is being settled."),
}


@dataclass(frozen=True)
class Taken:
    """A decision that was accepted.

    Attributes:
        event_id: Of its event.
        state: What the case becomes by it, or became; None where the caller must not know.
        seq: Of the case before.
    """

    event_id: str
    state: CaseState | None
    seq: int


class Desk:
    """What moderators do with cases."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self._settings = parts.settings.review
        self._cases = parts.review.cases
        self._leases = parts.review.leases

    async def find(self, review_id: str, caller: Caller) -> Seen:
        """A case as the caller sees it.

        Raises:
            ProblemError: 404; there is none, or none any more.
        """
        case = self._cases.get(review_id)
        if case is None:
            raise ProblemError(404, "case-unknown", "There is no such case, or it was erased.")
        return (await self.seen([case], caller))[0]

    async def seen(self, cases: Sequence[ReviewCase], caller: Caller) -> list[Seen]:
        """Cases with their leases."""
        leases = await self._leases.read([_place(case) for case in cases])
        return [
            Seen(case, case.request, caller, lease)
            for case, lease in zip(cases, leases, strict=True)
            if case.request is not None
        ]

    async def next(self, subjects: Iterable[Subject], caller: Caller) -> Seen | None:
        """The most important case that nobody holds and the caller may decide, leased to the caller; None: none.

        Raises:
            ProblemError: the caller holds as many as one may.
        """
        waiting = self._cases.ordered(OPEN, subjects)
        for first in range(0, len(waiting), LOOKED_AT):
            for seen in await self.seen(waiting[first : first + LOOKED_AT], caller):
                if seen.lease is not None or refusal(seen.case, caller.name, "approve", senior=caller.senior):
                    continue
                if await self._leases.skipped(seen.case.review_id, caller.name):
                    continue
                lease = self._lease(caller)
                if await self._leases.take(_place(seen.case), lease, self._settings.lease_s) == lease:
                    await self._require_few(seen.case, caller)
                    return Seen(seen.case, seen.request, caller, lease)
        return None

    async def hold(self, seen: Seen) -> Seen:
        """Lease a case to the caller, or for longer.

        Raises:
            ProblemError: another holds it, the caller can do nothing with it or holds as many as one may.
        """
        self._require(refusal(seen.case, seen.caller.name, "approve", senior=seen.caller.senior))
        lease = self._lease(seen.caller)
        while (held := await self._leases.take(_place(seen.case), lease, self._settings.lease_s)) != lease:
            self._require_own(held, seen.caller)
            if await self._leases.swap(_place(seen.case), held, lease, self._settings.lease_s):
                return Seen(seen.case, seen.request, seen.caller, lease)
        await self._require_few(seen.case, seen.caller)
        return Seen(seen.case, seen.request, seen.caller, lease)

    async def release(self, seen: Seen) -> None:
        """Give a case back; it is not offered to the caller again for a while."""
        await self._leases.release(_place(seen.case), seen.caller.name, self._settings.skip_s)

    async def act(self, seen: Seen, said: ActionIn, key: str) -> Taken:
        """Publish a decision; the same key and decision give the same event.

        Raises:
            ProblemError: it would be refused, another holds the case, or the key was used for another decision.
            UnavailableError: the broker or Redis does not answer.
        """
        caller, case = seen.caller, seen.case
        event_id = stable_id("review-action", case.review_id, caller.name, key)
        if event_id in case.applied:
            self._require_same(seen, said)
            return Taken(event_id, case.state, case.seq - 1)
        # before it is settled, which may be while it is published
        state = seen.expected(said.action) if case.state in OPEN else None
        self._require(refusal(case, caller.name, said.action, senior=caller.senior))
        # a later one than is known here was seen at another process of the service
        self._require("case-changed" if said.seq is not None and said.seq < case.seq else "")
        said.require_fit(seen.request.subject, self._settings.note_chars)
        lease = await self._note(seen, said, event_id)
        acted = ReviewActed(
            event_id=event_id,
            occurred_at=datetime.fromtimestamp(lease.acted_ms / 1000, UTC),
            review_id=case.review_id,
            moderator=caller.name,
            action=said.action,
            reasons=tuple(dict.fromkeys(said.reasons)),
            note=said.note,
            senior=caller.senior,
        )
        await self._parts.publisher.publish([Emit(REVIEW_ACTED, case.review_id, acted)])
        # what is on its way keeps the case from everybody however long the settlement takes
        await self._leases.swap(_place(case), lease, lease, SETTLING_S)
        return Taken(event_id, state, case.seq)

    async def _note(self, seen: Seen, said: ActionIn, event_id: str) -> Lease:
        """Keep with the lease what its holder does, before it is published."""
        digest = hashlib.sha256(said.model_dump_json().encode()).hexdigest()
        lease = self._lease(seen.caller, event_id, digest)
        place = _place(seen.case)
        while (held := await self._leases.take(place, lease, self._settings.lease_s)) != lease:
            if held.moderator == seen.caller.name and held.event_id == event_id:
                self._require_match(held.digest == digest)
                return held
            self._require_own(held, seen.caller)
            if await self._leases.swap(place, held, lease, self._settings.lease_s):
                break
        return lease

    async def _require_few(self, case: ReviewCase, caller: Caller) -> None:
        # after it is taken, so that of many requests at once none is overlooked
        if await self._leases.lent(caller.name) > self._settings.leases:
            await self._leases.release(_place(case), caller.name, 0)
            self._require("leases-many")

    def _lease(self, caller: Caller, event_id: str = "", digest: str = "") -> Lease:
        now = self._parts.now()
        until = now + timedelta(seconds=self._settings.lease_s)
        return Lease(caller.name, _ms(until), event_id, digest, _ms(now) if event_id else 0)

    def _require_own(self, held: Lease, caller: Caller) -> None:
        if held.moderator != caller.name:
            self._require("case-leased")
        self._require("case-acted" if held.event_id else "")

    def _require_same(self, seen: Seen, said: ActionIn) -> None:
        vote = next((vote for vote in seen.case.votes if vote.moderator == seen.caller.name), None)
        told = (said.action, tuple(dict.fromkeys(said.reasons)), said.note)
        self._require_match(vote is None or (vote.action, vote.reasons, vote.note) == told)

    @staticmethod
    def _require_match(same: bool) -> None:
        if not same:
            raise ProblemError(422, "idempotency-mismatch", "This Idempotency-Key was used for another decision.")

    @staticmethod
    def _require(refused: str) -> None:
        if refused:
            status, detail = REFUSALS[refused]
            raise ProblemError(status, refused, detail)


def _place(case: ReviewCase) -> Place:
    return Place(case.review_id, case.seq)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
