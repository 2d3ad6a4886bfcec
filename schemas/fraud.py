"""Records of the domain ``fraud``.

Generated from ``schemas/avro/fraud/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from schemas.record import Record
from schemas.user import FaceEmbedded


@dataclass(frozen=True, kw_only=True)
class FaceKept(Record):
    """State of fraud_clustering: a user's face while the rule needs it, and the fence of erased users; compacted.

    Attributes:
        user_id: Whose face it is.
        face: The newest face; null when there is none to keep.
        erased_at: When the user was erased last, UTC.
    """

    CONTRACT: ClassVar[str] = "overture.fraud.FaceKept"

    user_id: str
    face: FaceEmbedded | None = None
    erased_at: datetime | None = None


RingState = Literal["unknown", "suspected", "dissolved"]
"""Whether a ring still stands."""


@dataclass(frozen=True, kw_only=True)
class RingSuspected(Record):
    """Accounts whose avatars show one face; compacted, key = ring id.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: Time of the newest avatar's event known then, UTC.
        ring_id: Follows from the ring's earliest account, so that every order of events gives the same.
        state: Whether it still stands.
        members: User ids, sorted; empty when dissolved.
        accounts: How many accounts there are, those that are too many to be named included.
        first_at: Earliest avatar of the members, UTC.
        last_at: Newest avatar of the members, UTC.
        likeness: Mean cosine of the pairs that tie the ring together, -1..1.
        shared: Signal (picture, device, network) -> greatest share of the members that have one value in common,
            0..1.
        score: How strong the suspicion is, 0..1.
        model_version: Version of the vectors and of the rules.
    """

    CONTRACT: ClassVar[str] = "overture.fraud.RingSuspected"

    event_id: str
    occurred_at: datetime
    ring_id: str
    state: RingState
    members: tuple[str, ...] = ()
    accounts: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    likeness: float = 0.0
    shared: dict[str, float] = field(default_factory=dict)
    score: float = 0.0
    model_version: str
