"""``overture experiments``: what is tried on whom, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

if TYPE_CHECKING:
    from processors.runtime.wiring import Wiring
    from processors.serving.decoding import Decoder
    from processors.tools.experiments.reading import Window

app = typer.Typer(no_args_is_help=True, help="Experiments: list, measure, check the split, estimate other orders.")
out = Console(highlight=False)

Length = Annotated[str, typer.Option("--window", help="Length of the window: 90s, 30m, 2h, 7d, 4w.")]
Until = Annotated[
    str | None,
    typer.Option("--until", help="End of the window (UTC); else the last whole one whose grace is over."),
]
Grace = Annotated[str | None, typer.Option("--grace", help="How long after its end what users do still counts.")]
HOUR, DAY = "1h", "1d"


@app.command("list")
def list_experiments() -> None:
    """Show the experiments with their arms."""
    from processors.runtime.settings import Settings
    from processors.tools.experiments import report

    report.show_experiments(Settings().experiments, out)


@app.command()
def measure(
    window: Length = HOUR,
    until: Until = None,
    grace: Grace = None,
    every: Annotated[str | None, typer.Option("--every", help="Do it again and again, this long apart.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print, publish nothing.")] = False,
) -> None:
    """Measure every arm in a window, compare it with the control, publish and print it."""
    from schemas.errors import UnavailableError

    pause = None if every is None else _length(every).total_seconds()
    with _wiring() as wiring:
        while True:
            try:
                _measure(wiring, _window(wiring, window, until, grace), publishing=not dry_run)
            except UnavailableError as error:
                if pause is None:
                    raise
                out.print(f"not measured: {error}", soft_wrap=True)
            if pause is None:
                return
            time.sleep(pause)


@app.command("aa-check")
def aa_check(
    window: Length = DAY,
    until: Until = None,
    grace: Grace = None,
    splits: Annotated[int, typer.Option("--splits", min=20, help="Re-splits of the window's users.")] = 500,
) -> None:
    """Check that buckets are uniform, layers independent, and equal halves found equal; exit code 1 if not."""
    from processors.tools.experiments import report
    from processors.tools.experiments.aa_check import false_alarms, split_checks
    from processors.tools.experiments.observations import join
    from processors.tools.experiments.reading import read

    with _wiring() as wiring:
        settings = wiring.settings
        log = read(settings.kafka, _decoder(wiring), _window(wiring, window, until, grace))
    checks = split_checks(settings.experiments) + false_alarms(join(log), splits)
    report.show_checks(checks, out)
    if not log.lists:
        out.print("no list was answered in the window: false alarms were not counted")
    raise typer.Exit(0 if all(each.ok for each in checks) else 1)


@app.command("off-policy")
def off_policy(
    policy: Annotated[
        str,
        typer.Argument(help="Order of the drawn places: score, uniform, or a JSON file with a score of each item."),
    ] = "score",
    reward: Annotated[Literal["opened", "liked", "finished"], typer.Option("--reward", help="What counts.")] = "opened",
    window: Length = DAY,
    until: Until = None,
    grace: Grace = None,
) -> None:
    """Estimate what another order of the places that were drawn by lot would have earned."""
    from processors.tools.experiments import report
    from processors.tools.experiments.off_policy import drawn_blocks, evaluate, named_policy, rewards, target
    from processors.tools.experiments.reading import read

    with _wiring() as wiring:
        log = read(wiring.settings.kafka, _decoder(wiring), _window(wiring, window, until, grace))
    blocks = drawn_blocks(log.lists.values(), rewards(log, reward))
    wanted = target(blocks, named_policy(policy))
    report.show_policy(policy, reward, evaluate(blocks, wanted), out)


def _measure(wiring: Wiring, window: Window, *, publishing: bool) -> None:
    from processors.serving.parts import utc_now
    from processors.tools.experiments import report
    from processors.tools.experiments.run import measure_window, publish

    settings = wiring.settings
    observed, results = measure_window(settings.kafka, _decoder(wiring), settings.experiments.defined, window)
    report.show_results(results, window, observed.left_out, out)
    if publishing:
        written = asyncio.run(publish(wiring.publisher, results, window, utc_now()))
        out.print(f"{written} measures published")


@contextmanager
def _wiring() -> Iterator[Wiring]:
    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring

    with closing(Wiring(Settings())) as wiring:
        yield wiring


def _decoder(wiring: Wiring) -> Decoder:
    from processors.serving.decoding import Decoder

    return Decoder(wiring.codec, wiring.registry.fetch)


def _window(wiring: Wiring, length: str, until: str | None, grace: str | None) -> Window:
    from processors.serving.parts import utc_now
    from processors.tools.dlq.selection import since
    from processors.tools.experiments.reading import Window, newest_window

    kept = timedelta(seconds=wiring.settings.experiments.grace_s) if grace is None else _length(grace)
    if until is None:
        return newest_window(_length(length), kept, utc_now())
    end = since(until, utc_now())
    return Window(end - _length(length), end, kept)


def _length(text: str) -> timedelta:
    from processors.tools.dlq.selection import AGE, UNITS

    found = AGE.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no length such as 90s, 30m, 2h, 7d or 4w")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
