"""The local stack's command line: `python -m infra.local.stack up|down|status|run`.

`up` leaves a supervisor behind in the background; `run` does the same, runs the demo, shows what
happens, and ends the stack at Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from infra.local.errors import StackError
from infra.local.ledger import MARKER, Entry, Ledger, start_ticks
from infra.local.plan import AUTH_OFF, auth_off, logs_folder, units
from infra.local.service import REPOSITORY, log_tail
from infra.local.supervise import State, Supervisor, Unit
from processors.runtime.settings import Settings

GRACE_S = 30.0
"""Seconds a program gets to finish its work when the stack stops."""

_GIVE_UP_AFTER = 3
_SUPERVISOR = "supervisor"
_TICK_S = 0.1

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(highlight=False, soft_wrap=True)


def ledger_of(settings: Settings) -> Ledger:
    """The record of the stack that these settings describe."""
    return Ledger(settings.data_dir / "stack")


# the supervisor's process


@app.command(hidden=True)
def supervise() -> None:
    """Start everything and keep it running until SIGTERM; a second SIGTERM kills."""
    settings = Settings()
    ledger = ledger_of(settings)
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: signals.append(received))
    with ledger.hold():
        supervisor = Supervisor(units(settings), _report)

        def record() -> None:
            ledger.write([_own_entry(), *map(_entry, supervisor.units.values())])

        record()
        try:
            while not signals:
                if supervisor.tick():
                    record()
                time.sleep(_TICK_S)
        finally:
            _report("stopping")
            supervisor.stop(GRACE_S, hurry=lambda: len(signals) > 1, changed=record)
            _report("stopped")


def _report(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


def _entry(unit: Unit) -> Entry:
    pid = (unit.service.pid or 0) if unit.service.running else 0
    return Entry(
        name=unit.name,
        state=unit.state.value,
        pid=pid,
        started=start_ticks(pid) if pid else 0,
        address=unit.service.address(),
        was_ready=unit.was_ready,
        failures=unit.failures,
        problem=unit.problem,
        log=str(unit.service.log),
    )


def _own_entry() -> Entry:
    pid = os.getpid()
    log = str(logs_folder(Settings()) / "stack.log")
    return Entry(_SUPERVISOR, State.READY, pid, start_ticks(pid), "", True, 0, "", log)


# what a person calls


@app.command()
def up() -> None:
    """Start everything in the background and wait until it is ready."""
    settings = Settings()
    _up(settings, bound=False)
    _show_addresses(settings)
    console.print("Stop it with [bold]make down[/].")


@app.command()
def down() -> None:
    """End what was started, and only that."""
    _down(Settings())


@app.command()
def status() -> None:
    """Show each program, its state and its log; exit code 3 unless all are ready."""
    ledger = ledger_of(Settings())
    entries = ledger.read() if ledger.held() else ()
    if not entries:
        console.print("The stack does not run.")
        raise typer.Exit(3)
    table = Table("program", "state", "pid", "failures", "address", "log", box=None)
    for entry in entries:
        log = os.path.relpath(entry.log)
        pid, failures = str(entry.pid or ""), str(entry.failures or "")
        table.add_row(entry.name, entry.state, pid, failures, entry.address, log)
    console.print(table)
    if not all(entry.state in (State.READY, State.DONE) for entry in entries):
        raise typer.Exit(3)


@app.command()
def run(
    demo: Annotated[bool, typer.Option(help="Run the demo once everything is ready.")] = True,
) -> None:
    """Start everything, run the demo, show what happens until Ctrl-C, then stop everything."""
    settings = Settings()
    stop_requests: list[int] = []
    # typer would turn it into an exception anywhere, also in the middle of a clean-up
    signal.signal(signal.SIGINT, lambda received, _: stop_requests.append(received))
    signal.signal(signal.SIGTERM, lambda received, _: stop_requests.append(received))
    stopping = lambda: bool(stop_requests)  # noqa: E731
    started_here = _up(settings, bound=True, stopping=stopping)
    try:
        code = 0
        if demo and not stop_requests:
            console.rule("demo")
            code = _demo()
            console.rule(f"demo ended with exit code {code}" if code else "demo done")
        if not stop_requests:
            _show_addresses(settings)
            console.print("Running. [bold]Ctrl-C[/] stops everything.")
        follower = Follower(logs_folder(settings) / "stack.log")
        while not stop_requests and ledger_of(settings).held():
            follower.show()
            time.sleep(_TICK_S)
    finally:
        if started_here:
            _down(settings)
        else:
            console.print("It was started by `make up`, so it stays; `make down` ends it.")
    if not stop_requests:
        raise StackError(f"the supervisor ended:\n{log_tail(_stack_log(settings))}")
    if code:
        raise typer.Exit(code)


class Follower:
    """Prints what is appended to the supervisor's log."""

    def __init__(self, log: Path, *, from_start: bool = False) -> None:
        """Skip what is there now, unless `from_start`."""
        self.log = log
        self._seen = log.stat().st_size if log.exists() and not from_start else 0

    def show(self) -> None:
        """Print the lines since the last call."""
        with self.log.open("rb") as log:
            log.seek(self._seen)
            for line in log.readlines():
                if line.endswith(b"\n"):
                    self._seen += len(line)
                    console.print(line.decode(errors="replace").rstrip(), markup=False)


def _up(settings: Settings, *, bound: bool, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Start the stack unless it runs; returns whether this call started it.

    Args:
        bound: Whether the stack ends when this process ends in whatever way.
        stopping: Whether to give up waiting.
    """
    ledger = ledger_of(settings)
    if ledger.held():
        console.print("The stack already runs.")
        _wait_ready(ledger, Follower(_stack_log(settings)), stopping)
        return False
    if count := ledger.end_survivors(GRACE_S):
        console.print(f"Ended processes that an earlier stack had left behind: {count}.")
    for unit in units(settings):
        unit.service.require()
    process = _spawn(settings, bound)
    deadline = time.monotonic() + 20
    while not ledger.held() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(_TICK_S)
    if not ledger.held():
        raise StackError(f"the supervisor ended:\n{log_tail(_stack_log(settings))}")
    follower = Follower(_stack_log(settings), from_start=True)
    try:
        _wait_ready(ledger, follower, stopping)
    except StackError:
        _down(settings)
        raise
    return True


def _spawn(settings: Settings, bound: bool) -> subprocess.Popen[bytes]:
    logs = logs_folder(settings)
    logs.mkdir(parents=True, exist_ok=True)
    for old in logs.glob("*.log"):
        old.replace(old.with_suffix(".log.1"))
    guard = ["setpriv", "--pdeathsig", "TERM"] if bound else []
    with _stack_log(settings).open("wb") as log:
        return subprocess.Popen(  # noqa: S603
            [*guard, sys.executable, "-m", __spec__.name, supervise.__name__],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
            env={
                **os.environ,
                MARKER: str(ledger_of(settings).folder),
                "OVERTURE_DATA_DIR": str(settings.data_dir.resolve()),
            },
            start_new_session=True,
        )


def _wait_ready(ledger: Ledger, follower: Follower, stopping: Callable[[], bool]) -> None:
    with console.status("starting") as spinner:
        while not stopping():
            follower.show()
            entries = ledger.read()
            waited_for = [entry for entry in entries if not entry.was_ready]
            if entries and not waited_for:
                follower.show()
                return
            for entry in waited_for:
                if entry.failures >= _GIVE_UP_AFTER:
                    raise StackError(
                        f"{entry.name} failed {entry.failures} times: {entry.problem}\n"
                        f"The end of {entry.log}:\n{log_tail(Path(entry.log))}"
                    )
            if not ledger.held():
                raise StackError(f"the supervisor ended:\n{log_tail(follower.log)}")
            starting = [entry.name for entry in waited_for if entry.state == State.STARTING]
            spinner.update("waiting for " + ", ".join(starting or ["the supervisor"]))
            time.sleep(_TICK_S)


def _down(settings: Settings) -> None:
    ledger = ledger_of(settings)
    if ledger.held():
        follower = Follower(_stack_log(settings))
        leader = next(entry for entry in ledger.read() if entry.name == _SUPERVISOR)
        if start_ticks(leader.pid) == leader.started:
            os.kill(leader.pid, signal.SIGTERM)
        # three layers, each with its grace
        deadline = time.monotonic() + 3 * GRACE_S + 10
        with console.status("stopping"):
            # the lock is let go a moment before the process is gone
            while start_ticks(leader.pid) == leader.started and time.monotonic() < deadline:
                follower.show()
                time.sleep(_TICK_S)
            follower.show()
    elif not ledger.survivors():
        console.print("Nothing to stop.")
    if count := ledger.end_survivors(GRACE_S):
        console.print(f"Ended processes that were left: {count}.")


def _demo() -> int:
    return subprocess.run([sys.executable, "-m", "infra.demo"], cwd=REPOSITORY, check=False).returncode


def _show_addresses(settings: Settings) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for entry in ledger_of(settings).read():
        if entry.address:
            table.add_row(entry.name, entry.address)
    table.add_row("logs", os.path.relpath(logs_folder(settings)))
    console.print(table)
    if auth_off(settings):
        console.print(
            "API keys are off, for development. To turn them on: [bold].venv/bin/overture keys create[/] "
            f"(docs/api-keys.md), then start with [bold]{AUTH_OFF}=false[/]."
        )


def _stack_log(settings: Settings) -> Path:
    return logs_folder(settings) / "stack.log"


def main() -> None:
    """Entry point; errors meant for a person are shown without a traceback."""
    try:
        app()
    except (StackError, ValidationError) as error:
        console.print("[bold red]error:[/] ", end="")
        console.print(str(error), markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
