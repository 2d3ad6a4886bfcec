"""How long each stage took, read from the timelines of uploads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from processors.runtime.processor import Capability
from schemas.media import TimelineEntry

UPLOAD_STAGE = "upload"


@dataclass(frozen=True)
class Spread:
    """Median and 95th percentile of some durations, milliseconds, and how many there were."""

    p50_ms: float
    p95_ms: float
    count: int


def upstream_of(capabilities: Iterable[Capability]) -> dict[str, frozenset[str]]:
    """Stage -> the stages whose topics it consumes; the upload itself is a stage of its own."""
    known = tuple(capabilities)
    return {
        each.name: frozenset(
            other.name for other in known if other is not each and set(other.produces) & set(each.consumes)
        )
        | ({UPLOAD_STAGE} if _reads_uploads(each) else frozenset())
        for each in known
    }


def took_ms(
    entry: TimelineEntry, timeline: Sequence[TimelineEntry], upstream: Mapping[str, frozenset[str]]
) -> float | None:
    """Milliseconds from the newest entry that the stage may have waited for to its own; waiting in Kafka included.

    None for the upload itself, for stages that are no capabilities, and where nothing upstream came before.
    """
    sources = upstream.get(entry.stage, frozenset())
    ready = [other.at for other in timeline if other.stage in sources and other is not entry and other.at <= entry.at]
    return milliseconds(max(ready), entry.at) if ready else None


def milliseconds(start: datetime, end: datetime) -> float:
    """From ``start`` to ``end``, never negative: two machines' clocks may differ."""
    return max(0.0, (end - start).total_seconds() * 1000)


def spread(durations: Sequence[float]) -> Spread | None:
    """None of no durations."""
    if not durations:
        return None
    p50, p95 = np.percentile(durations, (50, 95)).tolist()
    return Spread(round(p50, 1), round(p95, 1), len(durations))


def _reads_uploads(capability: Capability) -> bool:
    return any(topic.name.startswith(f"{UPLOAD_STAGE}.") for topic in capability.consumes)
