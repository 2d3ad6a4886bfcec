"""A page for each weight: its card, and the words beside it on what it is and is not for.

The figures stand in ``card.json``, the words in ``use.md`` of the same folder; pages follow the model cards of
Mitchell et al. 2019 (arXiv:1810.03993).
"""

from __future__ import annotations

from pathlib import Path

from models.weights import CARDS, Card, WeightsError, manifest

INDEX = "README.md"
WHERE = {
    "committed": "in this repository, beside its card",
    "package": "inside the installed package `{distribution}`",
    "hub": "fetched by `make models` from {url}",
}


def pages(folder: Path, cards: Path = CARDS) -> dict[Path, str]:
    """Path -> text of every page under ``folder``.

    Raises:
        WeightsError: a card without words, or one that cannot be read.
    """
    found = manifest(cards)
    made = {folder / f"{card.name}.md": page(card) for card in found.values()}
    return made | {folder / INDEX: _index(list(found.values()))}


def page(card: Card) -> str:
    """One page."""
    words = card.folder / "use.md"
    if not words.exists():
        raise WeightsError(f"{card.label} has no {words.name}: say beside its card what it is and is not for")
    flag = " **Its own terms exclude commercial use: ask a lawyer.**" if card.non_commercial_training_data else ""
    lines = [
        f"# Model card: {card.label}",
        "",
        card.summary,
        "",
        words.read_text("utf-8").strip(),
        "",
        "## What is known",
        "",
        "| | |",
        "| --- | --- |",
        f"| licence | {card.licence} |",
        f"| made by | {card.attribution} |",
        f"| trained on | {card.training_data}.{flag} |",
        *[f"| takes | {each} |" for each in card.inputs],
        *[f"| gives | {each} |" for each in card.outputs],
        f"| measured | {card.quality} |",
        f"| the file | {_where(card)}; {card.size_bytes / 2**20:.1f} MiB, SHA-256 `{card.sha256}` |",
    ]
    if card.conversion is not None:
        archives = ", ".join(f"`{archive.requirement}`" for archive in card.conversion.archives)
        lines.append(
            f"| made from | {archives} by `models/convert/{card.conversion.script}`; "
            f"again: `python -m models.build --rebuild {card.name}` |"
        )
    return "\n".join([*lines, "", "Generated from the card by `overture schemas generate`.", ""])


def _where(card: Card) -> str:
    location = card.location
    said = WHERE.get(location.kind, "made by `make models` from a pinned archive")
    return said.format(distribution=location.distribution, url=location.url)


def _index(cards: list[Card]) -> str:
    lines = ["# Model cards", "", "| model | what it says | licence |", "| --- | --- | --- |"]
    lines += [f"| [{card.label}]({card.name}.md) | {card.summary} | {card.licence} |" for card in cards]
    lines += ["", "Generated from `models/weights` by `overture schemas generate`.", ""]
    return "\n".join(lines)
