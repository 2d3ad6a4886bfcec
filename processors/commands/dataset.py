"""``overture dataset``: data sets for training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from processors.tools.dataset.build import Lineage

app = typer.Typer(no_args_is_help=True, help="Data sets for training, built from the topics.")
out = Console(highlight=False)


@app.command()
def build() -> None:
    """Build a data set from all that the topics hold now."""
    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring
    from processors.tools.dataset import build as tool
    from processors.tools.rebuild.report import progress

    wiring = Wiring(Settings())
    try:
        with progress(Console(stderr=True)) as tell:
            lineage = tool.build(wiring, tell)
    finally:
        wiring.close()
    _print(lineage)
    out.print(f"{tool.folder_of(wiring.settings) / lineage.version}", soft_wrap=True)


@app.command("list")
def list_datasets() -> None:
    """List the data sets, the oldest first."""
    from rich.table import Column, Table

    from processors.runtime.settings import Settings
    from processors.tools.dataset.build import folder_of, lineages

    names = ("built", "users", "items", "rows", "plays", "newest row", "use")
    table = Table(Column("version", no_wrap=True), *names)
    for each in lineages(folder_of(Settings())):
        counts = (str(each.counts[name]) for name in ("users", "items", "interactions", "plays"))
        use = "research only" if each.non_commercial else ""
        table.add_row(each.version, each.made_at, *counts, each.last_at, use)
    out.print(table)


@app.command()
def show(version: Annotated[str, typer.Argument(help="Version, or how it begins.")]) -> None:
    """Show where a data set comes from, and check that it is what was saved."""
    from models.dataset import read
    from processors.runtime.settings import Settings
    from processors.tools.dataset.build import find, folder_of, read_lineage

    place = find(folder_of(Settings()), version)
    dataset = read(place)
    _print(read_lineage(place))
    parts = ", ".join(f"{name} {int(mask.sum())}" for name, mask in dataset.items.present.items()) or "none"
    out.print(f"tags: {len(dataset.items.tags)}; occupations: {len(dataset.users.occupations) - 1}; content: {parts}")


def _print(lineage: Lineage) -> None:
    counts = ", ".join(f"{count} {name}" for name, count in lineage.counts.items())
    out.print(f"{lineage.version}: {counts}; {lineage.first_at} to {lineage.last_at}", soft_wrap=True)
    for topic, partitions in lineage.topics.items():
        records = sum(end - first for first, end in partitions.values())
        out.print(f"  {topic:<28} {records:>9} records, {len(partitions)} partitions")
    for reason, count in lineage.left_out.items():
        out.print(f"  left out: {count} {reason}", soft_wrap=True)
    out.print(f"  {lineage.source}", soft_wrap=True)
    if lineage.non_commercial:
        out.print("  research only: items of a data set whose licence excludes commercial use")
