"""The verdict as a table for people or JSON for machines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from processors.tools.verify.checks import ENDS, Check, Evidence

SHOWN = 3
IN_JSON = 100
"""Offences of one check that are listed; all are counted."""


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        checks: One row each.
        states: Newest state -> uploads of the log.
        seconds_to_end: Seconds from acceptance to the end of each upload that has ended.
        steps: Seconds that each step took.
    """

    checks: tuple[Check, ...]
    states: dict[str, int]
    seconds_to_end: tuple[float, ...]
    steps: dict[str, float]

    @property
    def took_s(self) -> float:
        """Seconds that the whole took."""
        return sum(self.steps.values())

    @property
    def ok(self) -> bool:
        """Whether no check found anything."""
        return not any(check.offences for check in self.checks)

    def percentiles(self) -> dict[str, float]:
        """Median, 95th percentile and longest of ``seconds_to_end``, seconds; empty if nothing has ended."""
        if not self.seconds_to_end:
            return {}
        p50, p95, longest = np.percentile(self.seconds_to_end, (50, 95, 100))
        return {"p50": round(float(p50), 3), "p95": round(float(p95), 3), "max": round(float(longest), 3)}


def report(evidence: Evidence, checks: list[Check], steps: dict[str, float]) -> Report:
    """The report of ``checks``."""
    states = Counter(evidence.state(media_id) or "unknown" for media_id in evidence.log)
    seconds = []
    for media_id, line in evidence.log.items():
        status = evidence.statuses.get(media_id)
        if status and status.state in ENDS:
            published = [t.at for t in status.timeline if t.state == "published"]
            ended = published[0] if published else status.changed_at
            # the client's clock and ours may differ by a little
            seconds.append(max(0.0, (ended - line.accepted_at).total_seconds()))
    return Report(tuple(checks), dict(states), tuple(seconds), steps)


def as_json(found: Report) -> bytes:
    """One JSON object; at most 100 offences and notes of each check."""
    document: dict[str, Any] = {
        "ok": found.ok,
        "states": found.states,
        "seconds_to_end": found.percentiles(),
        "took_s": round(found.took_s, 3),
        "steps": {name: round(seconds, 3) for name, seconds in found.steps.items()},
        "checks": [
            {
                "name": check.name,
                "ok": not check.offences,
                "checked": check.checked,
                "offences": len(check.offences),
                "first": [{"id": who, "what": what} for who, what in check.offences[:IN_JSON]],
                "notes": [{"id": who, "what": what} for who, what in check.notes[:IN_JSON]],
            }
            for check in found.checks
        ],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def show(found: Report, console: Console) -> None:
    """Print a row a check, with the first offenders."""
    table = Table("check", "looked at", "wrong", "", show_edge=False, pad_edge=False)
    for check in found.checks:
        lines = [f"{who}: {what}" for who, what in check.offences[:SHOWN]]
        lines += [f"... {len(check.offences) - SHOWN} more"] if len(check.offences) > SHOWN else []
        lines += [f"allowed: {who}: {what}" for who, what in check.notes[:SHOWN]]
        lines += [f"allowed: ... {len(check.notes) - SHOWN} more"] if len(check.notes) > SHOWN else []
        wrong = Text(str(len(check.offences)), "bold red") if check.offences else Text("ok", "green")
        # what is shown comes from topics: it is no markup
        table.add_row(check.name, f"{check.checked:,}", wrong, Text("\n".join(lines)))
    console.print(table)
    console.print("states: " + ", ".join(f"{state} {count:,}" for state, count in sorted(found.states.items())))
    if times := found.percentiles():
        console.print("accepted to ended: " + ", ".join(f"{name} {value:.2f} s" for name, value in times.items()))
    verdict = "[bold green]as promised[/]" if found.ok else "[bold red]the promise is broken[/]"
    console.print(f"{verdict} ({found.took_s:.1f} s)")
