"""Files made from the code, as `processors/contracts/generated.py` does it for contracts."""

from __future__ import annotations

import re
from pathlib import Path

from infra.monitoring import alerts, dashboard, metric_list

ROOT = Path(__file__).parents[2]


def files() -> dict[Path, str]:
    """Path -> text as it should be."""
    operations = ROOT / "docs" / "operations.md"
    text = _filled(operations.read_text(), "metrics", metric_list.table(metric_list.metrics()))
    return {
        ROOT / "infra" / "monitoring" / "grafana" / "overture.json": dashboard.document(),
        operations: _filled(text, "alerts", alerts.table(alerts.rules())),
    }


def _filled(text: str, mark: str, content: str) -> str:
    """``text`` with ``content`` between its two marks."""
    between = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    return between.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def stale() -> list[Path]:
    """Files that differ from what they should be."""
    return [path for path, text in files().items() if not path.exists() or path.read_text() != text]


def write() -> list[Path]:
    """Write the stale ones; the paths written."""
    wanted = files()
    outdated = stale()
    for path in outdated:
        path.write_text(wanted[path])
    return outdated
