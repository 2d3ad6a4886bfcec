"""Which letters a command is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from processors.runtime.processor import Capability
from processors.tools.dlq.letters import DeadLetter, Place
from schemas.errors import AppError

AGE = re.compile(r"(\d{1,6})([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class SelectionInvalidError(AppError):
    """A filter that cannot be understood, or that names nothing we have."""

    code = "selection-invalid"
    http_status = 400


@dataclass(frozen=True)
class Selection:
    """Filters; a letter must pass all of them.

    Attributes:
        capability: Name of the capability that gave up.
        code: Error code.
        since: Given up at or after this time.
        key: Key of the event, as text.
        places: Only the letters at these places; empty: any.
        limit: Most letters, the oldest first; None: all.
    """

    capability: str | None = None
    code: str | None = None
    since: datetime | None = None
    key: str | None = None
    places: tuple[Place, ...] = ()
    limit: int | None = None

    @property
    def names_anything(self) -> bool:
        """Whether there is a filter or a place at all."""
        return bool(self.places or self.capability or self.code or self.since or self.key is not None)

    def matches(self, letter: DeadLetter) -> bool:
        """Whether a letter of the topics asked for passes the other filters."""
        return (
            (not self.places or letter.place in self.places)
            and (self.code is None or letter.code == self.code)
            and (self.since is None or letter.given_up >= self.since)
            and (self.key is None or letter.key_text == self.key)
        )

    def topics(self, capabilities: Sequence[Capability], present: Sequence[str]) -> list[str]:
        """Dead-letter topics to read.

        Args:
            capabilities: Those of the catalogue.
            present: Dead-letter topics that the broker has, those of capabilities long gone included.

        Raises:
            SelectionInvalidError: the capability is not in the catalogue, or a place lies in no dead-letter topic.
        """
        names = set(present)
        if self.capability is not None:
            found = next((c for c in capabilities if c.name == self.capability), None)
            if found is None:
                known = ", ".join(c.name for c in capabilities)
                raise SelectionInvalidError(f"no capability {self.capability!r} in the catalogue; there are {known}")
            names &= {found.dead_letter_topic}
        for place in self.places:
            if place.topic not in present:
                raise SelectionInvalidError(f"{place} lies in no dead-letter topic of this broker")
        if self.places:
            names &= {place.topic for place in self.places}
        return sorted(names)


def since(text: str, now: datetime) -> datetime:
    """The time that ``2h``, ``30m``, ``7d`` before ``now`` or an ISO 8601 time names; UTC where it has no zone.

    Raises:
        SelectionInvalidError: it is neither.
    """
    age = AGE.fullmatch(text)
    try:
        if age:
            return now - timedelta(**{UNITS[age[2]]: int(age[1])})
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise SelectionInvalidError(
            f"{text!r} is neither an age such as 90s, 30m, 2h, 7d or 4w nor a time such as 2026-11-21T06:00"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
