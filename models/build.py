"""``python -m models.build``: fetches or makes what is missing and verifies every weight.

With ``--rebuild NAME`` a file is made again from its pinned archives, in an environment of its own,
and its answers are compared with the recorded ones.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.archives import Workshop, read_member, step
from models.fetch import fetch
from models.recorded import check
from models.weights import (
    BUILT,
    CARDS,
    Card,
    Weights,
    WeightsError,
    locate,
    manifest,
    sha256_of,
    verify_file,
)
from schemas.errors import AppError

SCRIPTS = Path(__file__).parent / "convert"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one weight.

    Attributes:
        card: Its card.
        off: Greatest difference from the recorded output, relative.
        note: For people.
        error: None when all is well.
    """

    card: Card
    off: float = 0.0
    note: str = ""
    error: AppError | None = None


def ensure(card: Card, folder: Path, workshop: Workshop) -> Outcome:
    """Makes a built weight if it is missing or wrong, then verifies bytes and answers of any weight.

    Args:
        card: The weight.
        folder: Folder of built weights.
        workshop: Fetches archives.
    """
    note: str = card.location.kind
    try:
        path = locate(card, folder)
        if card.location.built and not _is_right(card, path):
            _make(card, path, workshop)
            note += ", made now"
        verify_file(card, path)
        return Outcome(card, check(Weights(card, path)), note)
    except AppError as error:
        return Outcome(card, note=note, error=error)


def _make(card: Card, path: Path, workshop: Workshop) -> None:
    """Puts a built weight in its place, whole and right or not at all."""
    if card.location.kind == "hub":
        fetch(card.location.url, path, card.sha256, card.size_bytes)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as making:
        part = Path(making) / path.name
        if card.location.kind == "archive":
            part.write_bytes(_member(card, workshop))
        else:
            _convert(card, part, workshop)
        verify_file(card, part)
        part.replace(path)


def rebuild(card: Card, workshop: Workshop) -> Outcome:
    """Makes a converted file again and compares its answers with the recorded ones.

    The file in use is left as it is. Needs the network and, for torch, some 6 GB of disk.

    Args:
        card: The weight.
        workshop: Fetches archives and makes environments.

    Raises:
        WeightsError: The card has no conversion, an archive or the result is another one.
    """
    with tempfile.TemporaryDirectory(prefix="overture-convert-") as folder:
        out = Path(folder) / "model.onnx"
        _convert(card, out, workshop)
        off = check(Weights(card, out))
        same = sha256_of(out) == card.sha256
    return Outcome(card, off, "same bytes" if same else "other bytes, same answers")


def _is_right(card: Card, path: Path) -> bool:
    return path.is_file() and sha256_of(path) == card.sha256


def _member(card: Card, workshop: Workshop) -> bytes:
    """File of an archive.

    Raises:
        WeightsError: The card names no archive, or it is another one.
    """
    archive = card.location.archive
    if archive is None:
        raise WeightsError(f"{card.label} names no archive")
    return read_member(workshop.fetch(archive), card.location.member)


def _convert(card: Card, out: Path, workshop: Workshop) -> None:
    """Makes the file of a card by its conversion.

    Raises:
        WeightsError: The card has no conversion, an archive is another one, or the script failed.
    """
    conversion = card.conversion
    if conversion is None:
        raise WeightsError(f"{card.label} is used as published: there is nothing to convert")
    archives = [str(workshop.fetch(archive)) for archive in conversion.archives]
    options = [option.format(*archives) for option in conversion.options]
    python = workshop.environment(SCRIPTS / conversion.environment)
    step(python, str(SCRIPTS / conversion.script), archives[0], str(out), *options)


def report(outcomes: list[Outcome], console: Console) -> None:
    """Prints one row for each weight."""
    table = Table(title="Weights")
    for heading in ("name", "version", "MiB", "licence", "from", "off by", "state"):
        table.add_column(heading)
    for outcome in outcomes:
        card = outcome.card
        flag = " (trained on non-commercial data)" if card.non_commercial_training_data else ""
        table.add_row(
            card.name,
            card.version,
            f"{card.size_bytes / 2**20:.1f}",
            card.licence + flag,
            outcome.note,
            f"{outcome.off:.1e}" if card.recorded else "-",
            f"{outcome.error.code}: {outcome.error}" if outcome.error else "ok",
        )
    console.print(table)


def main(
    folder: Annotated[Path, typer.Option(envvar="OVERTURE_MODELS__FOLDER", help="Folder of built weights.")] = BUILT,
    cards: Annotated[Path, typer.Option(help="Folder of the cards.")] = CARDS,
    only: Annotated[list[str] | None, typer.Option("--rebuild", help="Convert again.")] = None,
) -> None:
    """Fetch and verify all weights, or rebuild some."""
    try:
        known = manifest(cards)
        unknown = set(only or ()) - set(known)
        if unknown:
            raise WeightsError(f"no card is named {', '.join(sorted(unknown))}")
        with tempfile.TemporaryDirectory(prefix="overture-models-") as name:
            workshop = Workshop(Path(name))
            if only:
                outcomes = [rebuild(known[name], workshop) for name in only]
            else:
                outcomes = [ensure(card, folder, workshop) for card in known.values()]
    except AppError as error:
        typer.echo(f"{error.code}: {error}", err=True)
        sys.exit(1)
    report(outcomes, Console())
    if any(outcome.error for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
