"""The section ``fraud`` of the settings: what makes a ring of accounts, and how long faces are kept for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from processors.runtime.section import Section, Share
from schemas.topics import DAY, FACE_RETENTION

if TYPE_CHECKING:
    from models.fraud_clustering.rings import Rules


class Fraud(Section):
    window_days: float = Field(
        FACE_RETENTION / DAY,
        gt=0,
        le=FACE_RETENTION / DAY,
        description="Days from the choice of an avatar within which its face counts; then it is forgotten.",
    )
    likeness: Share = Field(
        0.96, gt=0, description="Cosine of two faces' vectors from which they are alike; see docs/fraud-rings.md."
    )
    overlap: Share = Field(
        0.5, description="How far the faces that two faces are alike to must be the same for the two to be tied."
    )
    neighbours: int = Field(64, ge=1, description="Likenesses that a face keeps, the nearest.")
    accounts: int = Field(3, ge=2, description="Accounts that make a ring.")
    accounts_with_signal: int = Field(
        2, ge=2, description="Accounts that make a ring if half of them share a picture or a device."
    )
    listed: int = Field(1000, ge=2, le=10_000, description="Accounts that the record of a ring names.")
    review: bool = Field(True, description="Whether a person is asked to look at a new ring.")

    @property
    def rules(self) -> Rules:
        """The rules as ``models.fraud_clustering.rings`` takes them."""
        from models.fraud_clustering.rings import Rules

        return Rules(**self.model_dump(exclude={"window_days", "review"}))

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.accounts_with_signal <= self.accounts <= self.listed:
            raise ValueError("accounts_with_signal <= accounts <= listed is needed")
        return self
