"""What moderators send."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from processors.serving.problems import ProblemError
from processors.serving.review.documents import OFFERED
from schemas.review import Subject

MOST_REASONS = 10
LONGEST_NOTE = 20_000


class NextIn(BaseModel):
    """Which cases somebody wants."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    subjects: list[Literal["avatar", "media", "ring"]] | None = Field(None, description="Only these; null: any.")


class ActionIn(BaseModel):
    """What somebody decides."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    action: Literal["approve", "reject", "escalate"]
    reasons: list[str] = Field(
        default_factory=list, max_length=MOST_REASONS, description="Codes that /v1/review/config offers; for reject."
    )
    seq: int | None = Field(None, ge=1, description="The case's `seq` that was looked at; null: whatever it is now.")
    note: str = Field("", max_length=LONGEST_NOTE, description="For other moderators; forgotten with the user.")

    def require_fit(self, subject: Subject, note_chars: int) -> None:
        """Refuse what nobody can settle.

        Raises:
            ProblemError: 422; reasons missing, unknown or out of place, or a note that is too long.
        """
        if (self.action == "reject") != bool(self.reasons):
            wanted = "at least one with reject" if self.action == "reject" else f"none with {self.action}"
            raise ProblemError(422, "field-invalid", f"reasons: {wanted}.", pointer="/reasons")
        for number, code in enumerate(self.reasons):
            if code not in OFFERED.get(subject, ()):
                known = ", ".join(OFFERED.get(subject, ()))
                raise ProblemError(422, "field-invalid", f"reasons: each one of {known}.", pointer=f"/reasons/{number}")
        if len(self.note) > note_chars:
            raise ProblemError(422, "field-invalid", f"note: at most {note_chars} characters.", pointer="/note")
