"""A rebuild's outcome for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from processors.tools.rebuild.fingerprints import Difference
from processors.tools.rebuild.refill import Advance
from processors.tools.rebuild.run import Rebuilt

SHOWN = 5


@contextmanager
def progress(console: Console) -> Iterator[Advance]:
    """A bar; gives what takes the progress."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None)

        yield tell


def show(found: Rebuilt, console: Console) -> None:
    """Print rows, differences and what went wrong."""
    table = Table("store", "rows now", "before", "missing", "new", "changed", "fields that differ", "moved meanwhile")
    for name, rows in found.rows.items():
        told = _compared(found.differences.get(name), nothing=name in found.nothing_before)
        table.add_row(name, str(rows), *told, str(found.moved[name]))
    console.print(table)
    for name, difference in found.differences.items():
        if difference and name not in found.nothing_before:
            _first(console, name, difference)
    if found.nothing_before:
        console.print(f"nothing was there before in {', '.join(found.nothing_before)}: there is nothing to compare")
    if found.mended:
        console.print(f"{found.mended} rows were written again, as workers had written them at the same moment")
    _reasons(console, "could not be written", found.failed)
    _reasons(console, "could not be read from the topic", found.unreadable)
    for group, lag in found.lag.items():
        console.print(f"{lag} records lay before {group} at the start: its rows were behind the topic, not wrong")
    if found.differences:
        console.print("equal to before" if found.equal else "[red]not equal to before[/]")


def _compared(difference: Difference | None, *, nothing: bool) -> tuple[str, ...]:
    if difference is None:
        return ("not compared", "", "", "", "")
    if nothing:
        return ("nothing", "", "", "", "")
    fields = Counter(name for names in difference.changed.values() for name in names)
    return (
        str(difference.before),
        str(len(difference.missing)),
        str(len(difference.added)),
        str(len(difference.changed)),
        ", ".join(f"{name} ({count})" for name, count in fields.most_common()),
    )


def _first(console: Console, name: str, difference: Difference) -> None:
    for what, ids in (("missing", difference.missing), ("new", difference.added)):
        if ids:
            console.print(f"{name}: {what}: {', '.join(ids[:SHOWN])}", soft_wrap=True)
    for row_id, fields in list(difference.changed.items())[:SHOWN]:
        console.print(f"{name}: {row_id} differs in {', '.join(fields)}", soft_wrap=True)


def _reasons(console: Console, what: str, reasons: Mapping[str, str]) -> None:
    if reasons:
        console.print(f"[red]{len(reasons)} {what}[/]")
    for key, reason in list(reasons.items())[:SHOWN]:
        console.print(f"    {key}: {reason}", soft_wrap=True, markup=False)
