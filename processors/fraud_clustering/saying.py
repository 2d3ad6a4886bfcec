"""What is said of rings, and what people are asked about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from models.fraud_clustering.rings import Ring
from processors.runtime.processor import Emit
from schemas.common import Reason
from schemas.errors import REJECTION_CODES
from schemas.fraud import RingSuspected
from schemas.ids import stable_id
from schemas.review import ReviewRequested
from schemas.topics import REVIEW_REQUESTED

REASON = "fraud-ring"


def suspected(ring: Ring, now: datetime) -> RingSuspected:
    """A ring that stands."""
    content = repr((ring.members, ring.accounts, ring.likeness, sorted(ring.shared.items()), ring.score, ring.version))
    return RingSuspected(
        event_id=stable_id("ring-suspected", ring.ring_id, now.isoformat(), content),
        occurred_at=now,
        ring_id=ring.ring_id,
        state="suspected",
        members=ring.members,
        first_at=ring.first_at,
        last_at=ring.last_at,
        likeness=ring.likeness,
        shared=dict(ring.shared),
        score=ring.score,
        model_version=ring.version,
        accounts=ring.accounts,
    )


def dissolved(ring: RingSuspected, now: datetime) -> RingSuspected:
    """A ring that stands no longer."""
    return RingSuspected(
        event_id=stable_id("ring-dissolved", ring.ring_id, now.isoformat()),
        occurred_at=now,
        ring_id=ring.ring_id,
        state="dissolved",
        model_version=ring.model_version,
    )


def same(one: RingSuspected, other: RingSuspected) -> bool:
    """Whether both say the same, at whatever time."""
    return replace(one, event_id="", occurred_at=other.occurred_at) == replace(other, event_id="")


def review(ring: Ring, record: RingSuspected) -> Emit:
    """The question whether these accounts are one person's.

    Nothing takes it back: whoever is asked about could end the question with another avatar.
    """
    review_id = stable_id("review", "ring", ring.ring_id)
    shares = {f"shared-{signal}": share for signal, share in ring.shared.items()}
    request = ReviewRequested(
        event_id=stable_id("review-requested", review_id),
        review_id=review_id,
        subject="ring",
        subject_id=ring.ring_id,
        source_event_id=record.event_id,
        occurred_at=ring.last_at,
        produced_at=datetime.now(UTC),
        capability="fraud_clustering",
        proposed="reject",
        reasons=(Reason(code=REASON, text=REJECTION_CODES[REASON]),),
        scores={"ring": ring.score, "likeness": ring.likeness, "accounts": float(ring.accounts), **shares},
        uncertainty=1.0 - abs(2.0 * ring.score - 1.0),
        members=ring.members,
        model_version=ring.version,
    )
    return Emit(REVIEW_REQUESTED, review_id, request)
