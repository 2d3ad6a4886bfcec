"""What the review routes read and write; bundled for ``ServiceParts``."""

from __future__ import annotations

from dataclasses import dataclass

from features.review_leases import Leases
from models.review_queue import Weights
from processors.runtime.review_settings import Review
from processors.serving.review.view import CaseView


@dataclass(frozen=True)
class ReviewParts:
    """
    Attributes:
        cases: Every case.
        leases: Who holds which.
    """

    cases: CaseView
    leases: Leases


def weights_of(settings: Review) -> Weights:
    """What the settings say of the order of cases."""
    return Weights(
        uncertainty=settings.uncertainty_weight,
        reach=settings.reach_weight,
        state=settings.state_weight,
        subject=settings.subject_weight,
        reach_full=settings.reach_full,
        subjects={str(name): value for name, value in settings.subjects.items()},
        front_after_s=settings.front_after_s,
    )
