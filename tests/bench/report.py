"""The form of every benchmark's result: a table on the terminal and a page under ``docs/bench/``.

A benchmark is a module ``tests/bench/<name>.py``, run as ``python -m tests.bench.<name>``. It fills a `Report`
and calls `Report.publish`; ``make bench`` runs them one after the other.
"""

from __future__ import annotations

import operator
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table as RichTable

FOLDER = Path(__file__).parents[2] / "docs" / "bench"
RULES: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


@dataclass(frozen=True)
class Figure:
    """One measured number with its limit.

    Attributes:
        name: What was measured, unit included.
        value: The number.
        rule: How it compares with ``limit``.
        limit: Bound that the project set itself; None: measured for information.
    """

    name: str
    value: float
    rule: Literal[">=", "<=", "=="] = ">="
    limit: float | None = None

    @property
    def bound(self) -> str:
        return "" if self.limit is None else f"{self.rule} {cell(self.limit)}"

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        return "met" if RULES[self.rule](self.value, self.limit) else "missed"


@dataclass(frozen=True)
class Table:
    """Supporting numbers.

    Attributes:
        title: Its heading.
        columns: Names of the columns.
        rows: Cells; numbers are formatted here.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]


@dataclass
class Report:
    """Result of one benchmark.

    Attributes:
        name: Module name, and name of the page.
        title: Heading of the page.
        summary: One or two sentences: what is compared with what.
        figures: Numbers with their limits.
        tables: Supporting numbers.
        notes: One paragraph each: how it was measured, what bounds it.
    """

    name: str
    title: str
    summary: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def publish(self) -> Path:
        """Show it on the terminal and write ``docs/bench/<name>.md``; the file's path."""
        console = Console()
        for table in self._all_tables():
            shown = RichTable(title=table.title)
            for index, column in enumerate(table.columns):
                shown.add_column(column, justify="left" if index == 0 else "right")
            for row in table.rows:
                shown.add_row(*[cell(c) for c in row])
            console.print(shown)
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{self.name}.md"
        path.write_text(self.markdown())
        console.print(f"written: {path}")
        return path

    def markdown(self) -> str:
        """The page."""
        command = " ".join([f"python -m tests.bench.{self.name}", *sys.argv[1:]])
        lines = [f"# {self.title}", "", self.summary, ""]
        lines += [f"`{command}` on {datetime.now(UTC):%Y-%m-%d}, {machine()}.", ""]
        for table in self._all_tables():
            lines += [
                f"## {table.title}",
                "",
                _line(table.columns),
                _line(["---", *["---:"] * (len(table.columns) - 1)]),
            ]
            lines += [_line([cell(c) for c in row]) for row in table.rows]
            lines.append("")
        if self.notes:
            lines += ["## Notes", "", *[f"- {note}" for note in self.notes], ""]
        return "\n".join(lines)

    def _all_tables(self) -> list[Table]:
        rows = [
            (f.name, f.value, "" if f.limit is None else f"{f.rule} {cell(f.limit)}", f.verdict) for f in self.figures
        ]
        return [Table("Figures", ("figure", "value", "limit", ""), rows), *self.tables]


def cell(value: str | float | None) -> str:
    """Text of a cell: numbers with three significant digits, large ones as whole numbers."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median over rounds of the ratio within each round; interleaved rounds share the machine's mood."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def machine() -> str:
    """Cores, model and memory, and how busy the machine was."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {model}, {memory:.0f} GiB, Python {platform.python_version()}, "
        f"load average {os.getloadavg()[0]:.1f} at the end"
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
