"""One upload's whole way: the timeline in its status, completed by what indexing and this service know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processors.runtime.processor import Capability
from processors.serving.operations.latency import milliseconds, took_ms, upstream_of
from processors.serving.operations.parts import Facts, SeenAt
from schemas.common import Reason
from schemas.media import MediaStatus, TimelineEntry

INDEXING, SERVICE = "item_indexing", "service"
PUBLICATION = "item_publication"


@dataclass(frozen=True)
class Step:
    """One outcome on the way.

    Attributes:
        stage: Capability, ``upload``, ``withdrawal`` or ``service``.
        state: Outcome.
        at: When, UTC.
        reasons: Why.
        after_ms: Since the upload was accepted; None while that is unknown.
        took_ms: Since what the stage waited for was there; None where nothing is known of that.
    """

    stage: str
    state: str
    at: datetime
    reasons: tuple[Reason, ...]
    after_ms: float | None
    took_ms: float | None


class Timelines:
    """Timelines of uploads with the steps that their status does not hold.

    Args:
        capabilities: Say which stage waits for which.
        recallable: When items came into the snapshot.
        facts: Word of the indexing.
    """

    def __init__(self, capabilities: Iterable[Capability], recallable: SeenAt | None, facts: Facts | None) -> None:
        known = upstream_of(capabilities)
        self._upstream = known | {SERVICE: frozenset({PUBLICATION})}
        self._recallable = recallable
        self._facts = facts

    def entries(self, status: MediaStatus) -> list[Step]:
        """In order of time."""
        whole = sorted((*status.timeline, *self._added(status)), key=lambda entry: entry.at)
        accepted = status.accepted_at
        return [
            Step(
                entry.stage,
                entry.state,
                entry.at,
                entry.reasons,
                None if accepted is None else round(milliseconds(accepted, entry.at), 1),
                took_ms(entry, whole, self._upstream),
            )
            for entry in whole
        ]

    def recallable_ms(self, status: MediaStatus) -> float | None:
        """From acceptance to the snapshot, milliseconds; None where it is unknown or not there."""
        at = self._recallable.get(status.media_id) if self._recallable else None
        return None if at is None or status.accepted_at is None else round(milliseconds(status.accepted_at, at), 1)

    def _added(self, status: MediaStatus) -> list[TimelineEntry]:
        found = []
        indexed = self._facts.indexed(status.media_id) if self._facts else None
        if indexed is not None:
            state = "indexed" if indexed.change == "published" else "removed"
            found.append(TimelineEntry(stage=INDEXING, state=state, at=indexed.produced_at))
        at = self._recallable.get(status.media_id) if self._recallable else None
        if at is not None:
            found.append(TimelineEntry(stage=SERVICE, state="recallable", at=at))
        return found


def steps_document(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """As JSON shows them."""
    return [
        {
            "stage": step.stage,
            "state": step.state,
            "at": step.at,
            "reasons": step.reasons,
            "after_ms": step.after_ms,
            "took_ms": None if step.took_ms is None else round(step.took_ms, 1),
        }
        for step in steps
    ]
