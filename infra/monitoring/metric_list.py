"""Every metric that a worker or the service can show, read from the objects that show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import Metric

import processors.catalogue  # noqa: F401 - capabilities register metrics of their own
from models.review_queue import Weights
from processors.runtime.active_model import ModelMetrics
from processors.runtime.metrics import ProgressMetrics, build_info
from processors.serving.dead_letters import WaitingLetters
from processors.serving.decoding import Decoder
from processors.serving.experiments.served_log import ServedMetrics
from processors.serving.metrics import ServiceMetrics
from processors.serving.review.view import CaseView
from schemas.codec import Codec

OURS = "overture_"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",), "gauge": ("",)}


@dataclass(frozen=True)
class Listed:
    """One metric.

    Attributes:
        name: Name, as queries write it (a histogram's without suffix).
        kind: counter, gauge, histogram or info.
        labels: Label names, ``le`` left out.
        doc: What it says.
        shown_by: worker, service, or both.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    doc: str
    shown_by: tuple[str, ...]

    @property
    def series(self) -> tuple[str, ...]:
        """Names that a query may use."""
        base = self.name.removesuffix("_total").removesuffix("_info")
        return tuple(base + suffix for suffix in SUFFIXES[self.kind])


def metrics() -> list[Listed]:
    """All of ours, by name. Those of the Prometheus client itself (``process_*``) are not ours."""
    worker = CollectorRegistry()
    build_info(worker)
    worker.register(ProgressMetrics())
    ModelMetrics(worker)
    service = ServiceMetrics()
    ModelMetrics(service.registry)
    ServedMetrics(service.registry)
    service.watch_snapshot(lambda: 0, lambda: 0)
    decoder = Decoder(Codec(), _no_registry)
    service.registry.register(WaitingLetters(decoder, (), lambda: datetime.now(UTC)))
    service.registry.register(CaseView(decoder, Weights(), lambda: datetime.now(UTC)))
    found: dict[str, Listed] = {}
    for shown_by, registries in (("worker", (REGISTRY, worker)), ("service", (service.registry,))):
        for collector in [c for registry in registries for c in registry._collector_to_names]:
            for family in collector.collect():
                if family.name.startswith(OURS):
                    _add(found, family, _labels(collector, family), shown_by)
    return sorted(found.values(), key=lambda each: each.name)


def table(listed: Iterable[Listed]) -> str:
    """Markdown table."""
    rows = ["| metric | kind | labels | shown by | what it says |", "| --- | --- | --- | --- | --- |"]
    for each in listed:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        rows.append(f"| `{each.name}` | {each.kind} | {labels} | {', '.join(each.shown_by)} | {each.doc} |")
    return "\n".join(rows)


def _add(found: dict[str, Listed], family: Metric, labels: tuple[str, ...], shown_by: str) -> None:
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    name = family.name + suffix
    before = found[name].shown_by if name in found else ()
    by = tuple(dict.fromkeys((*before, shown_by)))
    found[name] = Listed(name, family.type, labels, family.documentation, by)


def _labels(collector: Any, family: Any) -> tuple[str, ...]:
    """The client keeps a metric's label names to itself; a family without samples tells them no other way."""
    names: tuple[str, ...] = getattr(family, "_labelnames", ()) or getattr(collector, "_labelnames", ())
    return tuple(names)


def _no_registry(schema_id: int) -> str:
    raise KeyError(schema_id)
