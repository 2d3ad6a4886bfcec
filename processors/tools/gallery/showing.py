"""The gallery for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from features.face_gallery import Gallery, StoredVersion
from processors.tools.gallery.build import Outcome
from processors.tools.gallery.curve import Point, Share
from processors.tools.gallery.version import Origin

SHOWN = 40
"""Lines of a table of what was left out; the report file has all."""
ORIGINS: dict[Origin, str] = {
    "own": "by its own faces",
    "shipped": "by the curve that comes with the source",
    "before": "that of the version before",
}


def outcome_json(outcome: Outcome) -> bytes:
    """Everything about what was done."""
    counts = Counter(each.reason for each in outcome.skipped)
    return orjson.dumps(asdict(outcome) | {"skipped_by_reason": counts}, option=orjson.OPT_INDENT_2)


def print_outcome(outcome: Outcome, out: Console) -> None:
    """What was left out and why, who looks like whom, and what is in use now."""
    if outcome.skipped:
        table = Table("left out", "reason", "", box=None)
        for each in outcome.skipped[:SHOWN]:
            table.add_row(Text(each.path), each.reason, Text(each.detail))
        out.print(table)
        if len(outcome.skipped) > SHOWN:
            out.print(f"... and {len(outcome.skipped) - SHOWN} more")
        counts = Counter(each.reason for each in outcome.skipped)
        out.print("left out: " + ", ".join(f"{reason} {count}" for reason, count in counts.most_common()))
    for one, other, likeness in outcome.same_face:
        out.print(Text(f"the same face under two names? {one} and {other}, likeness {likeness:.3f}"), style="yellow")
    if outcome.files:
        out.print(f"{outcome.files} files, {outcome.used} pictures used")
    if outcome.version:
        out.print(
            f"in use: {outcome.version}{'' if outcome.new else ' (it was there already)'}, {outcome.persons} persons "
            f"in {outcome.rows} rows, threshold {outcome.threshold:.4f} {ORIGINS[outcome.threshold_by]}",
            soft_wrap=True,
        )
    else:
        stays = "no gallery was made, the one in use stays" if outcome.in_use else "no gallery is in use"
        out.print(f"nobody is left: {stays}")
    if outcome.dropped:
        out.print(f"dropped: {', '.join(outcome.dropped)}", soft_wrap=True)


def persons(gallery: Gallery) -> list[dict[str, Any]]:
    """Each person with the number of pictures kept, by name."""
    counts = Counter(row.person for row in gallery.rows if row.kind == "exemplar")
    return [{"person": name, "pictures": counts[name]} for name in sorted(counts)]


def print_persons(gallery: Gallery, out: Console) -> None:
    """One line a person."""
    table = Table("person", "pictures", box=None)
    for each in persons(gallery):
        table.add_row(Text(each["person"]), str(each["pictures"]))
    out.print(table)
    facts = gallery.facts
    out.print(
        f"version {gallery.version}: {facts.persons} persons, threshold {facts.threshold:.4f}, {facts.embedder}",
        soft_wrap=True,
    )


def print_versions(stored: Sequence[StoredVersion], out: Console) -> None:
    """One line a version, the newest last."""
    table = Table("version", "state", "persons", "rows", "threshold", "embedder", "made at", box=None)
    for each in stored:
        state = "in use" if each.in_use else "" if each.complete else "unfinished"
        if each.facts is None:
            table.add_row(each.version, state)
            continue
        facts = each.facts
        made = datetime.fromtimestamp(facts.made_at_ms / 1000, UTC)
        numbers = (str(facts.persons), str(facts.rows), f"{facts.threshold:.4f}")
        table.add_row(each.version, state, *numbers, facts.embedder, f"{made:%Y-%m-%d %H:%M:%S}")
    out.print(table)


def print_curve(points: Sequence[Point], threshold: float, out: Console) -> None:
    """Shares of searches that err, by threshold."""
    table = Table("threshold", "strangers found", "95 %", "by the tail", "members missed", "95 %", box=None)
    for each in points:
        modelled = "" if each.modelled is None else f"{each.modelled:.2g}"
        mark = " <" if abs(each.threshold - threshold) < 1e-9 else ""
        table.add_row(f"{each.threshold:.4f}{mark}", *_share(each.false_accepts), modelled, *_share(each.false_rejects))
    out.print(table)


def _share(share: Share) -> tuple[str, str]:
    return f"{share.count} of {share.of}", f"{share.low:.2g} .. {share.high:.2g}"
