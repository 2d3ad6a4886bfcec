"""Metrics of the workers; labels never hold ids."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, Info
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from processors.runtime.progress import Progress

if TYPE_CHECKING:
    from processors.runtime.monitor import Monitor

SLOW_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 900, 3600, 86400)

EVENTS = Counter(
    "overture_events_total",
    "Events finished, by what became of them: done, rejected, retried, dead-lettered.",
    ("capability", "topic", "outcome"),
)
WORK_SECONDS = Histogram(
    "overture_work_seconds",
    "Time from the start of the work on an event until its results were acknowledged.",
    ("capability",),
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60),
)
ERRORS = Counter("overture_errors_total", "Failed tries, by error code.", ("capability", "code"))
REFUSALS = Counter(
    "overture_refusals_total",
    "Tries refused by something that is away, while the worker waits for it, by error code.",
    ("capability", "code"),
)
STAGE_SECONDS = Histogram(
    "overture_stage_seconds",
    "Time from what happened (an upload's acceptance, a play) until the capability was done with it; "
    "of a batch its first event.",
    ("capability",),
    buckets=SLOW_BUCKETS,
)
UPLOAD_SECONDS = Histogram(
    "overture_upload_seconds",
    "Time from an upload's acceptance until it became published, rejected, failed, in review, or indexed.",
    ("milestone",),
    buckets=SLOW_BUCKETS,
)
REBALANCES = Counter(
    "overture_rebalances_total", "Times that the consumer group has given out its partitions.", ("capability",)
)


def build_info(registry: CollectorRegistry) -> None:
    """Expose versions in ``registry``."""
    info = Info("overture_build", "Versions of what runs.", registry=registry)
    packages = {"overture": "overture", "faust": "faust-streaming", "confluent_kafka": "confluent-kafka"}
    info.info({label: version(name) for label, name in packages.items()} | {"python": platform.python_version()})


class ProgressMetrics(Collector):
    """Gauges of this process' capabilities as the monitor last saw them; a partition that is gone has no series."""

    def __init__(self, progresses: Sequence[Progress] = (), monitor: Monitor | None = None) -> None:
        self._progresses = progresses
        self._monitor = monitor

    def collect(self) -> Iterable[Metric]:
        """Prometheus metric families; without a monitor they have no samples."""
        place = ("capability", "topic", "partition")
        records = GaugeMetricFamily(
            "overture_lag_records", "Records not yet committed, those that wait for a retry included.", labels=place
        )
        seconds = GaugeMetricFamily(
            "overture_lag_seconds",
            "How long the oldest unfinished record that is due has been waiting.",
            labels=place,
        )
        in_hand = GaugeMetricFamily("overture_events_in_hand", "Events or batches in work now.", labels=("capability",))
        assigned = GaugeMetricFamily(
            "overture_partitions_assigned", "Partitions that are this worker's.", labels=("capability",)
        )
        quiet = GaugeMetricFamily(
            "overture_sign_of_life_age_seconds",
            "Seconds since the capability last began, ended, committed or was refused something.",
            labels=("capability",),
        )
        broker = GaugeMetricFamily(
            "overture_dependency_up", "Whether it answered when last asked.", labels=("dependency",)
        )
        now = time.time()
        for progress in self._progresses:
            in_hand.add_metric((progress.name,), progress.in_hand)
            assigned.add_metric((progress.name,), len(progress.outlook) if progress.joined else 0)
            quiet.add_metric((progress.name,), time.monotonic() - progress.sign_at)
            backlogs = self._monitor.backlogs.get(progress.name, {}) if self._monitor else {}
            for (topic, partition), backlog in backlogs.items():
                labels = (progress.name, topic, str(partition))
                records.add_metric(labels, backlog.records)
                seconds.add_metric(labels, 0.0 if backlog.since is None else max(0.0, now - backlog.since))
        if self._monitor and self._monitor.broker_up is not None:
            broker.add_metric(("broker",), float(self._monitor.broker_up))
        return (records, seconds, in_hand, assigned, quiet, broker)
