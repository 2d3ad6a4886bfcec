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

from infra.demo import gallery, recommender, screen
from infra.demo.avatar_scenario import AvatarScenario
from infra.demo.avatars import Avatar, collect_avatars, gallery_folder
from infra.demo.checks import failures
from infra.demo.client import Service
from infra.demo.errors import DemoError
from infra.demo.journal import WIDTH, Journal
from infra.demo.material import Item, collect
from infra.demo.pace import Pace
from infra.demo.scenario import Scenario
from infra.demo.tracks import Portrait, Run
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
            items, avatars, figures = _prepare(folder / "files", journal)
            key = settings.auth.client_key.get_secret_value() if settings.auth.client_key else ""
            scenario = Scenario(Service(address, key=key), items, journal, folder / "items.json")
            # whom a gallery elsewhere holds is not known
            scenario.run.portraits = [Portrait(each) for each in avatars if not (url and each.figure)]
            code = 0 if prepare_only else asyncio.run(_run(scenario, journal, None if url else figures))
    except (DemoError, ValidationError) as error:
        console.print("[bold red]error:[/] ", end="")
        console.print(str(error), markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code)


def _prepare(folder: Path, journal: Journal) -> tuple[tuple[Item, ...], tuple[Avatar, ...], Path]:
    """Items, avatars, and the folder of public figures."""
    start = time.monotonic()
    with journal.console.status("making the files") as spinner:

        def progress(line: str) -> None:
            spinner.update(line)
            journal.note(line)

        items, avatars = collect(folder, progress), collect_avatars(folder, progress)
        figures = gallery_folder(folder)
    journal.note(f"{len(items)} items and {len(avatars)} avatars prepared in {time.monotonic() - start:.1f} s")
    return items, avatars, figures


async def _run(scenario: Scenario, journal: Journal, figures: Path | None) -> int:
    """Each step.

    Args:
        scenario: Of these.
        journal: What is shown.
        figures: The folder of public figures, where the service is that of the settings, so that a gallery and a
            recommender may be put in use; None elsewhere.
    """
    start, service, run = time.monotonic(), scenario.service, scenario.run
    async with service:
        journal.note(f"run {run.run_id} at {service.address}")
        with journal.console.status(f"waiting for {service.address}"):
            await scenario.wait_ready()
            await scenario.tidy()
        if figures is not None:
            with journal.console.status("a recommender and a gallery of public figures are put in use"):
                await asyncio.gather(recommender.ensure(journal.note), gallery.ensure(figures, journal.note))
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
        await _avatars(scenario, journal)
        code = _conclude(run, journal, time.monotonic() - start)
        journal.show(f"The console of moderators, for what waits for people: {service.address}/review")
        return code


async def _avatars(scenario: Scenario, journal: Journal) -> None:
    """What becomes of avatars, and where people look at those that wait for them."""
    run = scenario.run
    avatars = AvatarScenario(scenario.service, run, journal, Pace())
    try:
        with journal.console.status("avatars are judged"):
            await avatars.send_all()
            await avatars.find_ring()
    finally:
        journal.show(screen.avatars(run), "")
    if run.ring is not None:
        journal.show(screen.ring(run.ring), "")


def _conclude(run: Run, journal: Journal, seconds: float) -> int:
    if run.withdrawal is not None and run.withdrawal.gone_s is not None:
        gone = f"{run.withdrawal.gone_s:.1f} s after its withdrawal no answer of recall held it any more"
        journal.show(f"{run.withdrawal.track.item.title}: {gone}.")
    found = failures(run)
    for line in found:
        journal.show(screen.failed(line))
    states = [track.state for track in run.tracks.values()]
    outcomes = [portrait.state for portrait in run.portraits]
    unplayed = sum(track.item.key not in run.played for track in run.published)
    journal.show(
        screen.verdict(
            not found,
            f"{len(states)} uploads in {seconds:.0f} s: {len(run.published)} published ({unplayed} of them unplayed), "
            f"{states.count('rejected')} rejected, {states.count('refused')} refused at the door; "
            f"{len(outcomes)} avatars: {outcomes.count('approved')} approved, {outcomes.count('rejected')} rejected, "
            f"{outcomes.count('review')} for people; {len(found)} expectations failed. Log: {journal.file}",
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
