"""Files that are made from the contracts, the catalogue and the declarations."""

from __future__ import annotations

from pathlib import Path

from processors.contracts import asyncapi, tables
from schemas import generate

ROOT = Path(__file__).parents[2]


def files() -> dict[Path, str]:
    """Path -> text as it should be."""
    readme = ROOT / "README.md"
    return generate.modules() | {
        ROOT / "docs" / "asyncapi.json": asyncapi.document(),
        readme: tables.filled(readme.read_text()),
    }


def stale() -> list[Path]:
    """Files that differ from what they should be."""
    return [path for path, text in files().items() if not path.exists() or path.read_text() != text]


def write() -> list[Path]:
    """Write the stale ones; the paths written."""
    outdated = stale()
    wanted = files()
    for path in outdated:
        path.write_text(wanted[path])
    return outdated
