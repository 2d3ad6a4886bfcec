"""Where the figures of a table go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write(out: Path, stem: str, figures: Any, page: str) -> None:
    """Writes ``<out>/<stem>.json`` for programs and ``<out>/<stem>.md`` for people."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{stem}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (out / f"{stem}.md").write_text(page, encoding="utf-8")
