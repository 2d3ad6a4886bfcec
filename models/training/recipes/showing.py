"""What a console shows of a run: one line for each job at work, one for each that is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Show:
    """Hears of jobs; shows nothing without a `Progress`.

    Args:
        shown: Where lines go.
        jobs: How many there are.
    """

    def __init__(self, shown: Progress | None, jobs: int) -> None:
        self._shown = shown
        self._lines: dict[str, TaskID] = {}
        self._all = shown.add_task("jobs", total=jobs) if shown else None

    def news(self, job: str, curve: str, epoch: int, train: float, validation: float) -> None:
        """A training of a job has checked a pass, the first is 0."""
        if self._shown is None:
            return
        if job not in self._lines:
            self._lines[job] = self._shown.add_task(job, total=None)
        words = f"{job}: {curve}, pass {epoch + 1}, loss {train:.4f}, validation {validation:.4f}"
        self._shown.update(self._lines[job], description=words)

    def done(self, job: str, cpu_s: float) -> None:
        """A job has come to its end."""
        if self._shown is None or self._all is None:
            return
        if job in self._lines:
            self._shown.remove_task(self._lines.pop(job))
        self._shown.console.print(f"{job}: {cpu_s:.1f} s of CPU time", highlight=False)
        self._shown.advance(self._all)


@contextmanager
def showing(console: Console | None, jobs: int) -> Iterator[Show]:
    """Lines on a console while it lasts; none without one."""
    if console is None:
        yield Show(None, jobs)
        return
    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as shown:
        yield Show(shown, jobs)
