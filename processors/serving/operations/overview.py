"""The system at a glance: topics, capabilities, times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from processors.runtime.processor import Capability
from processors.serving.operations.broker import Figures
from processors.serving.operations.history import Timelines
from processors.serving.operations.latency import Spread, spread
from schemas.media import MediaStatus
from schemas.topics import ALL, Topic

STANDING_S = 30.0
"""A group with lag that finishes nothing for so long is shown as standing; a long video takes up to 20 s."""

CapabilityState = Literal["unknown", "stopped", "rebalancing", "standing", "working", "retrying", "idle"]


def figures_document(figures: Figures | None, error: str) -> dict[str, Any]:
    """Whether the broker answers, and when it did last."""
    if figures is None:
        return {"state": "away" if error else "unread", "code": error or None, "read_at": None}
    return {"state": "away" if error else "ok", "code": error or None, "read_at": figures.read_at}


def topics_document(capabilities: Sequence[Capability], figures: Figures | None) -> list[dict[str, Any]]:
    """Every topic of the catalogue with what lies in it, what comes in, and who has how much of it left to do."""
    return [_topic(topic, capabilities, figures) for topic in ALL]


def _topic(topic: Topic, capabilities: Sequence[Capability], figures: Figures | None) -> dict[str, Any]:
    readers = [each for each in capabilities if topic in each.consumes]
    reading = figures.reading if figures else None
    return {
        "name": topic.name,
        "doc": topic.doc,
        "compacted": topic.compacted,
        "records": reading.held(topic.name) if reading else None,
        "per_s": _rounded(figures.written_per_s(topic.name)) if figures else None,
        "lag": {each.name: reading.lag(each.group, (topic.name,)) if reading else None for each in readers},
    }


def capabilities_document(
    capabilities: Sequence[Capability], figures: Figures | None, uploads: Sequence[MediaStatus], timelines: Timelines
) -> list[dict[str, Any]]:
    """Every capability with state, backlog, speed and what it gave up."""
    took = _took(uploads, timelines)
    return [_capability(each, figures, spread(took.get(each.name, ()))) for each in capabilities]


def _capability(each: Capability, figures: Figures | None, times: Spread | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": each.name,
        "doc": each.doc,
        "state": capability_state(each, figures),
        "members": None,
        "lag": None,
        "retrying": None,
        "dead_letters": None,
        "per_s": None,
        "standing_s": None,
        "latency": spread_document(times),
    }
    if figures is not None:
        reading = figures.reading
        document |= {
            "members": reading.members.get(each.group, 0),
            "lag": reading.lag(each.group, [topic.name for topic in each.consumes]),
            "retrying": reading.lag(each.group, [name for name, _ in each.retry_topics]),
            "dead_letters": reading.held(each.dead_letter_topic),
            "per_s": _rounded(figures.finished_per_s(each.group)),
            "standing_s": _rounded(figures.standing_s.get(each.group)),
        }
    return document


def capability_state(each: Capability, figures: Figures | None) -> CapabilityState:
    """One word for what a capability does, the most worrying first."""
    if figures is None:
        return "unknown"
    reading = figures.reading
    if not reading.members.get(each.group):
        return "stopped"
    if each.group not in reading.steady:
        return "rebalancing"
    if reading.lag(each.group, [topic.name for topic in each.consumes]):
        return "standing" if figures.standing_s.get(each.group, 0.0) >= STANDING_S else "working"
    return "retrying" if reading.lag(each.group, [name for name, _ in each.retry_topics]) else "idle"


def recallable_document(uploads: Sequence[MediaStatus], timelines: Timelines) -> dict[str, Any] | None:
    """From the acceptance of an upload to its place in this service's snapshot."""
    return spread_document(spread([ms for each in uploads if (ms := timelines.recallable_ms(each)) is not None]))


def states_document(uploads: Sequence[MediaStatus]) -> dict[str, int]:
    """How many of the newest uploads are in each state."""
    counts: dict[str, int] = {}
    for each in uploads:
        counts[each.state] = counts.get(each.state, 0) + 1
    return counts


def spread_document(times: Spread | None) -> dict[str, Any] | None:
    """As JSON shows it."""
    return None if times is None else {"p50_ms": times.p50_ms, "p95_ms": times.p95_ms, "count": times.count}


def _took(uploads: Sequence[MediaStatus], timelines: Timelines) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for each in uploads:
        for entry in timelines.entries(each):
            if entry.took_ms is not None:
                found.setdefault(entry.stage, []).append(entry.took_ms)
    return found


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 2)
