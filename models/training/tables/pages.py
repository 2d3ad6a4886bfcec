"""What all tables have in common: splits measured one by one, then figures for programs and a page for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from models.dataset import Dataset
from models.training.data import ml100k
from models.training.loop import Watch

SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of ml-100k.

    Attributes:
        stem: Name of its files.
        measure_split: Trains and measures all methods on the split of a seed. What it gives can be sent to another
            process, and is the same wherever it was made, but for CPU times.
        page: Figures for JSON and Markdown, of the data set, what ``measure_split`` gave, and the splits' seeds.
    """

    stem: str
    measure_split: Callable[[Dataset, int, Watch], Any]
    page: Callable[[Dataset, list[Any], list[int]], tuple[Any, str]]

    def write(self, out: Path, dataset: Dataset, by_split: list[Any], seeds: Sequence[int]) -> None:
        """Writes both files into ``out``."""
        write(out, self.stem, *self.page(dataset, by_split, list(seeds)))


def write(out: Path, stem: str, figures: Any, page: str) -> None:
    """Writes ``<out>/<stem>.json`` for programs and ``<out>/<stem>.md`` for people."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{stem}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (out / f"{stem}.md").write_text(page, encoding="utf-8")


def command(table: Table) -> None:
    """The command line of a table's module."""

    def main(
        seeds: Annotated[str, typer.Option("--splits", help="Seeds of the splits, by comma.")] = ",".join(
            map(str, SEEDS)
        ),
        out: Annotated[Path, typer.Option(help="Folder of the table.")] = Path("docs/bench"),
    ) -> None:
        """Trains and measures all methods on each split; the files hold what is finished so far."""
        dataset, wanted = ml100k.load(), [int(seed) for seed in seeds.split(",")]
        by_split: list[Any] = []
        with Progress(console=Console()) as progress:
            whole = progress.add_task("", total=len(wanted))

            def watch(epoch: int, loss: float, value: float) -> None:
                progress.update(whole, description=f"pass {epoch}: loss {loss:.4f}, validation {value:.4f}")

            for seed in wanted:
                by_split.append(table.measure_split(dataset, seed, watch))
                progress.advance(whole)
                table.write(out, dataset, by_split, wanted[: len(by_split)])

    typer.run(main)
