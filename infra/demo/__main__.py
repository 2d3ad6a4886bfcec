"""`python -m infra.demo`: real files and plays through the running system, and what becomes of them.

Exit code 0: everything came out as expected; 1: something did not; 2: the demo could not run; 130: Ctrl-C.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.live import Live
from rich.table import Table

from infra.demo import recommender, screen
from infra.demo.checks import failures
from infra.demo.client import Service
from infra.demo.errors import DemoError
from infra.demo.journal import WIDTH, Journal
from infra.demo.material import Item, collect
from infra.demo.scenario import Scenario
from infra.demo.tracks import Run
from processors.runtime.settings import Settings

LOG = "last-run.txt"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(help=__doc__)
def main(
    url: Annotated[str, typer.Option(help="Address of the service; empty: as the settings say.")] = "",
    *,
    prepare_only: Annotated[bool, typer.Option(help="Make the files and stop.")] = False,
) -> None:
    """Entry point."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    try:
        settings = Settings()
        folder = settings.data_dir / "demo"
        address = url or f"http://{settings.http.host}:{settings.http.port}"
        with Journal(console, folder / LOG) as journal:
            items = _prepare(folder / "files", journal)
            key = settings.auth.client_key.get_secret_value() if settings.auth.client_key else ""
            scenario = Scenario(Service(address, key=key), items, journal, folder / "items.json")
            code = 0 if prepare_only else asyncio.run(_run(scenario, journal, local=not url))
    except (DemoError, ValidationError) as error:
        console.print("[bold red]error:[/] ", end="")
        console.print(str(error), markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code)


def _prepare(folder: Path, journal: Journal) -> tuple[Item, ...]:
    start = time.monotonic()
    with journal.console.status("making the files") as spinner:

        def progress(line: str) -> None:
            spinner.update(line)
            journal.note(line)

        items = collect(folder, progress)
    journal.note(f"{len(items)} items prepared in {time.monotonic() - start:.1f} s")
    return items


async def _run(scenario: Scenario, journal: Journal, *, local: bool) -> int:
    """Each step.

    Args:
        scenario: Of these.
        journal: What is shown.
        local: Whether the service is that of the settings, so that a recommender may be put in use.
    """
    start, service, run = time.monotonic(), scenario.service, scenario.run
    async with service:
        journal.note(f"run {run.run_id} at {service.address}")
        with journal.console.status(f"waiting for {service.address}"):
            await scenario.wait_ready()
            await scenario.tidy()
        if local:
            with journal.console.status("a recommender is put in use"):
                await recommender.ensure(journal.note)
        try:
            with _live(run, journal.console):
                await scenario.upload_all()
                await scenario.wait_labels()
        finally:
            journal.show(screen.ways(run))
        journal.show(screen.recall_times(run), "")
        with journal.console.status("three listeners play some of it"):
            await scenario.play()
        for heard in run.heard:
            journal.show(screen.tastes(heard, run, scenario.titles), "")
        with journal.console.status("one item is withdrawn"):
            await scenario.withdraw()
        return _conclude(run, journal, time.monotonic() - start)


def _conclude(run: Run, journal: Journal, seconds: float) -> int:
    if run.withdrawal is not None and run.withdrawal.gone_s is not None:
        gone = f"{run.withdrawal.gone_s:.1f} s after its withdrawal no answer of recall held it any more"
        journal.show(f"{run.withdrawal.track.item.title}: {gone}.")
    found = failures(run)
    for line in found:
        journal.show(screen.failed(line))
    states = [track.state for track in run.tracks.values()]
    unplayed = sum(track.item.key not in run.played for track in run.published)
    journal.show(
        screen.verdict(
            not found,
            f"{len(states)} uploads in {seconds:.0f} s: {len(run.published)} published ({unplayed} of them unplayed), "
            f"{states.count('rejected')} rejected, {states.count('refused')} refused at the door; "
            f"{len(found)} expectations failed. Log: {journal.file}",
        )
    )
    return 1 if found else 0


@contextmanager
def _live(run: Run, console: Console) -> Iterator[None]:
    """The table of uploads, redrawn while it changes; nothing where there is no terminal."""
    if not console.is_terminal:
        yield
        return

    class Ways:
        def __rich__(self) -> Table:
            return screen.ways(run)

    with Live(Ways(), console=console, refresh_per_second=5, transient=True):
        yield


if __name__ == "__main__":
    app()
