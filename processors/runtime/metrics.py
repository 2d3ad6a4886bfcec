"""Metrics of the workers."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

EVENTS = Counter(
    "overture_events_total",
    "Events finished, by what became of them.",
    ("capability", "topic", "outcome"),
)
WORK_SECONDS = Histogram(
    "overture_work_seconds",
    "Time from the start of the work on an event until its results were acknowledged.",
    ("capability",),
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60),
)
ERRORS = Counter("overture_errors_total", "Failed tries, by error code.", ("capability", "code"))
