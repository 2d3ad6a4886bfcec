"""Files that are made from the contracts, the catalogue, the declarations and the cards of the weights."""

from __future__ import annotations

from pathlib import Path

from processors.contracts import asyncapi, model_cards, tables
from schemas import generate

ROOT = Path(__file__).parents[2]


def files() -> dict[Path, str]:
    """Path -> text as it should be."""
    readme = ROOT / "README.md"
    return (
        generate.modules()
        | model_cards.pages(ROOT / "docs" / "models")
        | {
            ROOT / "docs" / "asyncapi.json": asyncapi.document(),
            readme: tables.filled(readme.read_text()),
        }
    )


def stale() -> list[Path]:
    """Files that differ from what they should be."""
    return [path for path, text in files().items() if not path.exists() or path.read_text() != text]


def write() -> list[Path]:
    """Write the stale ones; the paths written."""
    outdated = stale()
    wanted = files()
    for path in outdated:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
    return outdated
