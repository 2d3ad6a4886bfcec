"""Cases as the routes answer them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from features.review_leases import Lease
from models.review_queue import OPEN, VERDICTS, outcome, refusal
from processors.serving.gate import Caller
from processors.serving.review.view import CaseView
from schemas.errors import REJECTION_CODES
from schemas.review import ActionKind, CaseState, ReviewCase, ReviewRequested, Subject

ACTIONS: tuple[ActionKind, ...] = ("approve", "reject", "escalate")
OFFERED: dict[Subject, tuple[str, ...]] = {
    "avatar": (*(code for code in REJECTION_CODES if code.startswith("avatar-")), "image-nsfw", "review-rejected"),
    "media": ("image-nsfw", "text-blocked", "public-figure", "review-rejected"),
    "ring": ("fraud-ring", "review-rejected"),
}
"""Reason codes that a moderator may give, by subject."""


def reasons_document() -> dict[str, list[dict[str, str]]]:
    """``OFFERED`` with the sentences that users see."""
    return {
        subject: [{"code": code, "text": REJECTION_CODES[code]} for code in codes] for subject, codes in OFFERED.items()
    }


@dataclass(frozen=True)
class Seen:
    """One case as one moderator sees it.

    Attributes:
        case: The case, whose request is known.
        request: That request.
        caller: Who looks.
        lease: Who holds it.
    """

    case: ReviewCase
    request: ReviewRequested
    caller: Caller
    lease: Lease | None

    @property
    def blind(self) -> bool:
        """Whether a second look is to be free of the first: no votes, and no proposal that they must go against."""
        mine = any(vote.moderator == self.caller.name for vote in self.case.votes)
        return self.case.state == "second" and not mine and not self.caller.senior

    @property
    def held_by(self) -> Literal["me", "other"] | None:
        """Who the case is lent to."""
        return None if self.lease is None else self._whose(self.lease.moderator)

    def expected(self, action: ActionKind) -> CaseState | None:
        """What the case becomes by ``action``; None where the caller must not know."""
        return None if self.blind and action != "escalate" else outcome(self.case, action)

    def summary(self, cases: CaseView) -> dict[str, Any]:
        """For lists."""
        return {
            "review_id": self.case.review_id,
            "subject": self.request.subject,
            "state": self.case.state,
            "reasons": self.request.reasons,
            "uncertainty": self.request.uncertainty,
            "reach": self.request.reach,
            "age_s": round(cases.age_s(self.case), 1),
            "priority": round(cases.priority(self.case), 4),
            "changed_at": self.case.changed_at,
            "decision": self.case.decision,
            "leased_by": self.held_by,
        }

    def whole(self, cases: CaseView) -> dict[str, Any]:
        """Everything that a moderator decides on."""
        request = self.request
        document = self.summary(cases)
        del document["leased_by"]
        return document | {
            "seq": self.case.seq,
            "subject_id": request.subject_id,
            "owner": request.owner,
            "capability": request.capability,
            "proposed": None if self.blind else request.proposed,
            "scores": request.scores,
            "occurred_at": request.occurred_at,
            "requested_at": request.produced_at,
            "model_version": request.model_version,
            "excerpt": request.excerpt,
            "members": request.members,
            "pictures": [
                {
                    "url": self._url("pictures", number),
                    "content_type": picture.content_type,
                    "size_bytes": picture.size_bytes,
                }
                for number, picture in enumerate(request.pictures)
            ],
            "nearest": [
                {
                    "person": near.person,
                    "likeness": near.likeness,
                    "distance": round(math.sqrt(max(0.0, 2 - 2 * near.likeness)), 4),
                    "picture": None if near.picture is None else self._url("nearest", number),
                }
                for number, near in enumerate(request.nearest)
            ],
            "votes": self._votes(),
            "lease": None
            if self.lease is None
            else {"by": self.held_by, "until": datetime.fromtimestamp(self.lease.until_ms / 1000, UTC)},
            "means": {action: self._meaning(action) for action in ACTIONS},
        }

    def _url(self, what: str, number: int) -> str:
        return f"/v1/review/cases/{self.case.review_id}/{what}/{number}"

    def _whose(self, moderator: str) -> Literal["me", "other"]:
        return "me" if moderator == self.caller.name else "other"

    def _votes(self) -> list[dict[str, Any]]:
        said = [
            {"action": vote.action, "reasons": vote.reasons, "note": vote.note}
            if not self.blind
            else {"action": None, "reasons": (), "note": ""}
            for vote in self.case.votes
        ]
        whose = [{"by": self._whose(vote.moderator), "at": vote.at} for vote in self.case.votes]
        return [who | what for who, what in zip(whose, said, strict=True)]

    def _meaning(self, action: ActionKind) -> dict[str, Any]:
        why = refusal(self.case, self.caller.name, action, senior=self.caller.senior)
        state = self.expected(action) if self.case.state in OPEN else None
        return {
            "allowed": not why,
            "state": state,
            "needs_second": action in VERDICTS and state == "second",
            "why": why,
        }
