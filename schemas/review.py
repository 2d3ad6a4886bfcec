"""Records of the domain ``review``.

Generated from ``schemas/avro/review/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from schemas.common import Decision, Likeness, ObjectRef, Reason
from schemas.record import Record

ActionKind = Literal["unknown", "approve", "reject", "escalate", "withdraw", "erase"]
"""What a moderator did with a case."""


@dataclass(frozen=True, kw_only=True)
class ReviewActed(Record):
    """A moderator, or the system on somebody's behalf, did something with a case; key = review id.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When it was done, UTC.
        review_id: The case; empty for erase, which concerns every case of an owner.
        moderator: Who: key:ID, oidc:SUBJECT or system:CAPABILITY.
        action: What was done.
        reasons: Reason codes given with a rejection.
        note: What the moderator wrote.
        owner: For erase: the user whose cases are to be forgotten.
        senior: Whether the moderator may decide escalated cases.
    """

    CONTRACT: ClassVar[str] = "overture.review.ReviewActed"

    event_id: str
    occurred_at: datetime
    review_id: str = ""
    moderator: str
    action: ActionKind
    reasons: tuple[str, ...] = ()
    note: str = ""
    owner: str = ""
    senior: bool = False


Subject = Literal["unknown", "avatar", "media", "ring"]
"""What is reviewed."""


@dataclass(frozen=True, kw_only=True)
class ReviewRequested(Record):
    """A person is asked to decide; key = review id.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        review_id: Id of the case.
        subject: What is to be looked at.
        subject_id: User id of an avatar, media id of an upload, ring id of a ring.
        owner: User whose content it is; empty for a ring.
        source_event_id: event_id of the avatar's or upload's event this was derived from.
        occurred_at: When the content was sent, UTC.
        produced_at: When the capability finished, UTC.
        capability: Who asks.
        proposed: What the machine would decide if nobody looked: approve or reject.
        reasons: Why a person is asked.
        scores: Every score by name.
        uncertainty: How near the scores lie to the border, 0..1; 1 is most in doubt.
        reach: How many people may see it; 0 when unknown.
        pictures: Re-encoded pictures to look at, the most telling first.
        nearest: Public figures who resemble the face most.
        excerpt: The text in question; empty without one.
        members: User ids of a ring; empty otherwise.
        model_version: Version of the models and rules that ask.
    """

    CONTRACT: ClassVar[str] = "overture.review.ReviewRequested"

    event_id: str
    review_id: str
    subject: Subject
    subject_id: str
    owner: str = ""
    source_event_id: str
    occurred_at: datetime
    produced_at: datetime
    capability: str
    proposed: Decision = "none"
    reasons: tuple[Reason, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    uncertainty: float = 0.0
    reach: int = 0
    pictures: tuple[ObjectRef, ...] = ()
    nearest: tuple[Likeness, ...] = ()
    excerpt: str = ""
    members: tuple[str, ...] = ()
    model_version: str


CaseState = Literal["unknown", "waiting", "second", "escalated", "decided", "withdrawn"]
"""Where a case stands."""


@dataclass(frozen=True, kw_only=True)
class ReviewAudited(Record):
    """One entry of the audit log of reviews, chained to the one before by its hash; names no user.

    Attributes:
        seq: Number of the entry, from 1 without gaps.
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When what it tells of happened, UTC.
        review_id: The case.
        moderator: Who, as in ReviewActed.
        what: requested, approve, reject, escalate, withdraw, erase, decided or refused.
        detail: Outcome or reason in words that name no user.
        previous_hash: Hash of the entry before, lower-case hexadecimal; 64 zeros for the first.
        hash: SHA-256 over the entry's other fields, lower-case hexadecimal.
    """

    CONTRACT: ClassVar[str] = "overture.review.ReviewAudited"

    seq: int
    event_id: str
    occurred_at: datetime
    review_id: str
    moderator: str
    what: str
    detail: str = ""
    previous_hash: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class ReviewDecided(Record):
    """People have decided on an avatar, an upload or a ring; key = subject id.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        review_id: The case.
        subject: What was decided on.
        subject_id: User id of an avatar, media id of an upload, ring id of a ring.
        source_event_id: event_id of the avatar's or upload's event this was derived from.
        occurred_at: When the content was sent, UTC.
        decided_at: When it was decided, UTC.
        decision: approve or reject.
        reasons: Why, unless approved.
        moderators: Who voted for it.
        overrides: Whether it goes against what the machine proposed.
        proposed: What the machine proposed.
        asked: Reason codes for which the machine asked.
        scores: Scores of the machine, for the calibration of thresholds.
        model_version: Version of the models and rules that asked.
    """

    CONTRACT: ClassVar[str] = "overture.review.ReviewDecided"

    event_id: str
    review_id: str
    subject: Subject
    subject_id: str
    source_event_id: str
    occurred_at: datetime
    decided_at: datetime
    decision: Decision
    reasons: tuple[Reason, ...] = ()
    moderators: tuple[str, ...] = ()
    overrides: bool = False
    proposed: Decision = "none"
    asked: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    model_version: str


@dataclass(frozen=True, kw_only=True)
class Vote(Record):
    """One moderator's word in a case.

    Attributes:
        moderator: As in ReviewActed.
        action: approve, reject or escalate.
        reasons: Reason codes.
        note: What the moderator wrote.
        at: When, UTC.
        senior: Whether the moderator may decide escalated cases; kept for a vote that waits for its request.
    """

    CONTRACT: ClassVar[str] = "overture.review.Vote"

    moderator: str
    action: ActionKind
    reasons: tuple[str, ...] = ()
    note: str = ""
    at: datetime
    senior: bool = False


@dataclass(frozen=True, kw_only=True)
class ReviewCase(Record):
    """State of review_settlement: one case; compacted, key = review id.

    Attributes:
        review_id: Id of the case.
        seq: Grows with each change.
        state: Where it stands.
        changed_at: When it changed last, UTC.
        request: What was asked; null once erased.
        votes: In the order in which they were taken.
        decision: The outcome; none until decided.
        applied: event_ids of the actions taken into account or refused, so that a redelivered one changes nothing.
        audit_seq: Number of the case's newest entry in the audit log.
        audit_hash: Hash of that entry, lower-case hexadecimal.
    """

    CONTRACT: ClassVar[str] = "overture.review.ReviewCase"

    review_id: str
    seq: int
    state: CaseState
    changed_at: datetime
    request: ReviewRequested | None = None
    votes: tuple[Vote, ...] = ()
    decision: Decision = "none"
    applied: tuple[str, ...] = ()
    audit_seq: int = 0
    audit_hash: str = ""
