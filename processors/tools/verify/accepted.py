"""The log of accepted uploads: what a client was promised, written by the client itself.

One JSON object a line: ``media_id``, ``accepted_at`` (ISO 8601 with offset), and ``expected`` where the outcome is
known. Other members are left to whoever writes the log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from schemas.errors import AppError

Outcome = Literal["published", "rejected", "failed", "review", "deleted"]


class BadLogError(AppError):
    """The log cannot be read."""

    code = "log-unreadable"
    http_status = 400


class Accepted(BaseModel):
    """One accepted upload.

    Attributes:
        media_id: Its id.
        accepted_at: When the client had the answer.
        expected: How it should end; None: any end will do.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    media_id: UUID
    accepted_at: AwareDatetime
    expected: Outcome | None = None


def read_log(path: Path) -> dict[str, Accepted]:
    """Accepted uploads by media id. An upload sent again may stand there again: its first line counts.

    Raises:
        BadLogError: names the line that is no such object, or that expects another end than an earlier one; or the
            file is not there, or has no line.
    """
    found: dict[str, Accepted] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    _take(found, _parsed(path, number, line), f"{path}, line {number}")
    except OSError as error:
        raise BadLogError(f"{path}: {error.strerror or error}") from error
    if not found:
        raise BadLogError(f"{path} names no upload")
    return found


def _parsed(path: Path, number: int, line: bytes) -> Accepted:
    try:
        return Accepted.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        told = f"{place}: {first['msg']}" if place else first["msg"]
        raise BadLogError(f"{path}, line {number}: {told}") from error


def _take(found: dict[str, Accepted], line: Accepted, place: str) -> None:
    first = found.setdefault(str(line.media_id), line)
    if first.expected != line.expected:
        raise BadLogError(
            f"{place}: {line.media_id} is expected to end {line.expected}, but {first.expected} in an earlier line"
        )
