"""A program that the stack or a test starts, watches and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from infra.local.errors import NotReadyError, ProgramMissingError

REPOSITORY = Path(__file__).resolve().parents[2]
_POLL_S = 0.05


def log_tail(log: Path, lines: int = 15) -> str:
    """The last `lines` lines of a log file, for an error message."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def ending(code: int) -> str:
    """An exit code in words: `exit code 3`, `killed by SIGKILL`."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


class Service:
    """One process with its descendants, in a session of its own.

    The terminal's Ctrl-C does not reach it. The kernel sends it `stop_signal` when the *thread*
    that started it ends (also by SIGKILL), so start services from a thread that outlives them.

    Attributes:
        name: Short name, used in messages and for the log file.
        log: File that gets standard output and error, appended.
        start_limit_s: Seconds from start to the first successful `probe` before it counts as hung.
        stop_signal: Signal that asks the program to finish what it has in hand.
    """

    start_limit_s: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._exit_code: int | None = None

    # what a subclass says about its program

    def command(self) -> list[str]:
        """Program and arguments.

        Raises:
            ProgramMissingError: the program is not on this machine.
        """
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Variables on top of those of this process."""
        return {}

    def working_folder(self) -> Path:
        """Folder the program runs in."""
        return REPOSITORY

    def require(self) -> None:
        """Raise a `StackError` if something is known now that would keep it from starting."""
        self.command()

    def prepare(self) -> None:
        """Write what the program reads at its start."""

    def probe(self) -> None:
        """Return if the program does its work now.

        Raises:
            NotReadyError: it does not, or not yet.
        """

    def address(self) -> str:
        """Where a person or a client finds it; empty if nowhere."""
        return ""

    # what everybody does with it

    @property
    def pid(self) -> int | None:
        """Process id, also of a process that has ended; None before the first start."""
        return self._process.pid if self._process else None

    def exit_code(self) -> int | None:
        """None while it runs; else its exit code, negative for a signal. Nothing of it is left."""
        if self._process is not None and self._exit_code is None:
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, self._process.pid, options) is not None:
                # before the pid is given back, so that the group can only be ours
                self._signal_group(signal.SIGKILL)
                self._exit_code = self._process.wait()
        return self._exit_code

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self.exit_code() is None

    def start(self) -> None:
        """Start the program; does not wait until it is ready.

        Raises:
            StackError: a program is missing, a port is taken, preparation failed.
        """
        if self.running:
            return
        self.require()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.prepare()
        guard = ["env", "--default-signal", "setpriv", "--pdeathsig", self.stop_signal.name[3:]]
        with self.log.open("ab") as log:
            try:
                self._process = subprocess.Popen(  # noqa: S603
                    [*guard, *self.command()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.working_folder(),
                    env={**os.environ, **self.environment()},
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise ProgramMissingError(f"{self.name} cannot start: {error}") from error
        self._exit_code = None

    def wait_ready(self, timeout_s: float | None = None) -> None:
        """Return once `probe` passes.

        Args:
            timeout_s: Seconds to wait; None for the service's own limit.

        Raises:
            NotReadyError: it ended, or did not become ready in time; holds the end of its log.
        """
        limit_s = self.start_limit_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit_s
        while True:
            if not self.running:
                code = self.exit_code()
                how = "was not started" if code is None else f"ended ({ending(code)})"
                raise NotReadyError(f"{self.name} {how}; {self.log}:\n{log_tail(self.log)}")
            try:
                self.probe()
            except NotReadyError as error:
                if time.monotonic() > deadline:
                    raise NotReadyError(
                        f"{self.name} was not ready after {limit_s:.0f} s ({error}); {self.log}:\n{log_tail(self.log)}"
                    ) from error
                time.sleep(_POLL_S)
            else:
                return

    def terminate(self) -> None:
        """Ask it to finish and return at once; only the program itself gets the signal."""
        if self._process is not None and self.running:
            self._process.send_signal(self.stop_signal)

    def stop(self, grace_s: float = 30.0) -> None:
        """Ask it to finish, wait for at most `grace_s` seconds, then kill what is left."""
        self.terminate()
        deadline = time.monotonic() + grace_s
        while self.running and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL it and all its descendants and wait until they are gone. It can start again."""
        if self._process is not None and self.running:
            self._signal_group(signal.SIGKILL)
            while self.exit_code() is None:
                time.sleep(0.005)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
