"""The alert rules, read from alerts.yml."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

RULES = Path(__file__).with_name("alerts.yml")


@dataclass(frozen=True)
class Alert:
    """One rule.

    Attributes:
        name: Its name, and that of its page.
        expr: PromQL.
        severity: page or ticket.
        runbook: Path of its page in the repository.
    """

    name: str
    expr: str
    severity: str
    runbook: str


def rules() -> list[Alert]:
    """All of them, in the order of the file."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [
        Alert(rule["alert"], rule["expr"], rule["labels"]["severity"], rule["annotations"]["runbook_url"])
        for group in groups
        for rule in group["rules"]
    ]


def table(alerts: Iterable[Alert]) -> str:
    """Markdown table."""
    rows = ["| alert | severity | when |", "| --- | --- | --- |"]
    for each in alerts:
        expr = " ".join(each.expr.split()).replace("|", "\\|")
        rows.append(f"| [{each.name}]({each.runbook.removeprefix('docs/')}) | {each.severity} | `{expr}` |")
    return "\n".join(rows)
