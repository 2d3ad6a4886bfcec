"""Versions of the recommender for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from features.model_store import Registry, RegistryEvent
from models.recommender_manifest import Manifest, Measure
from processors.tools.models_registry.gate import Finding

NOT_TOLD = "in use, but services may not know: give the promotion again"


def state(registry: Registry, version: str) -> str:
    """``in use``, ``used before`` or ``registered``."""
    if registry.in_use == version:
        return "in use" if registry.unfinished is None else NOT_TOLD
    promoted = any(event.kind == "promoted" and event.version == version for event in registry.events)
    return "used before" if promoted else "registered"


def facts(registry: Registry, manifest: Manifest) -> dict[str, Any]:
    """Everything about a version, as JSON has it."""
    return {
        "version": manifest.version,
        "state": state(registry, manifest.version),
        "collection": manifest.collection,
        "manifest": orjson.loads(manifest.to_json()),
        "events": [event_facts(event) for event in registry.events if event.version == manifest.version],
    }


def event_facts(event: RegistryEvent) -> dict[str, Any]:
    """An event, as JSON has it."""
    found: dict[str, Any] = orjson.loads(orjson.dumps(event))
    return found


def print_versions(registry: Registry, manifests: Sequence[Manifest], out: Console) -> None:
    """One line a version, the newest last."""
    table = Table(box=None)
    for title in ("version", "state", "data set", "parent"):
        table.add_column(title, no_wrap=title == "version")
    table.add_column("measures")
    for each in manifests:
        measures = ", ".join(f"{measure.key} {measure.mean:.4f}" for measure in each.measures)
        data = f"{each.dataset.name} {each.dataset.version[:8]}"
        table.add_row(each.version, state(registry, each.version), data, each.parent or "", measures)
    out.print(table)


def print_version(registry: Registry, manifest: Manifest, out: Console) -> None:
    """All about one version."""
    lines = {
        "version": manifest.version,
        "state": state(registry, manifest.version),
        "made at": f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC",
        "data set": f"{manifest.dataset.name} {manifest.dataset.version}"
        + (" (non-commercial)" if manifest.dataset.non_commercial else ""),
        "content vectors": manifest.content_version or "none",
        "parent": manifest.parent or "none",
        "code": manifest.code_commit or "unknown",
        "seeds": ", ".join(f"{name} {seed}" for name, seed in manifest.seeds.items()),
        "collection": manifest.collection,
    }
    for title, text in lines.items():
        out.print(f"{title:<16} {text}")
    out.print(measure_table(manifest.measures))
    history = Table("event", "when", "who", "why", box=None)
    for event in registry.events:
        if event.version == manifest.version:
            history.add_row(event.kind.replace("_", " "), f"{event.at:%Y-%m-%d %H:%M:%S}", event.by, event.reason)
    out.print(history)


def measure_table(measures: Sequence[Measure]) -> Table:
    """Figures with their intervals and baselines."""
    table = Table("measure", "mean", "95 %", "bar", "baselines", box=None)
    for each in measures:
        baselines = ", ".join(f"{name} {value:.4f}" for name, value in each.baselines.items())
        bar = "" if each.bar is None else f"{each.bar:.4f}"
        table.add_row(each.key, f"{each.mean:.4f}", f"{each.low:.4f} .. {each.high:.4f}", bar, baselines)
    return table


def finding_table(findings: Sequence[Finding]) -> Table:
    """What the gate found."""
    table = Table("measure", "candidate", "in use", "problem", box=None)
    for each in findings:
        numbers = ("" if value is None else f"{value:.4f}" for value in (each.candidate, each.present))
        table.add_row(each.measure, *numbers, each.problem)
    return table
