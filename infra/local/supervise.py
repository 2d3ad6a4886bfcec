"""Keeps a set of services running: starts them in the order of their needs, restarts what dies.

Why not supervisord: it restarts a program that has been up for `startsecs` at once and without any
back-off, and knows no order by readiness. This loop is all that is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from infra.local.errors import NotReadyError, StackError
from infra.local.service import Service, ending

LONGEST_DELAY_S = 30.0
STEADY_S = 60.0
"""Seconds of work after which an earlier failure no longer lengthens the delay."""


class State(StrEnum):
    """Where a unit is; `failed` means that it ended and waits for its next start."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass
class Unit:
    """A service and what the supervisor knows of it.

    Attributes:
        needs: Names of units that must be ready (or done) before this one starts.
        once: Whether it is a task that ends, instead of a program that stays.
        failures: Failures since it last worked for `STEADY_S` seconds.
        was_ready: Whether it has been ready, or done, at least once.
        problem: The last failure in words.
        since: Time of the last change of state, seconds of the supervisor's clock.
    """

    service: Service
    needs: tuple[str, ...] = ()
    once: bool = False
    state: State = State.WAITING
    failures: int = 0
    was_ready: bool = False
    problem: str = ""
    since: float = 0.0

    @property
    def name(self) -> str:
        return self.service.name


def delay_s(failures: int) -> float:
    """Seconds until the next start after the given number of failures: 1, 2, 4, ... 30."""
    return min(LONGEST_DELAY_S, 2.0 ** (failures - 1))


class Supervisor:
    """The loop's body, without the loop: call `tick` again and again, then `stop`."""

    def __init__(
        self,
        units: Sequence[Unit],
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over `units`.

        Args:
            report: Gets one line for each thing a person wants to know.
            clock: Seconds that only grow.

        Raises:
            ValueError: a unit needs one that is not there.
        """
        self.units = {unit.name: unit for unit in units}
        missing = {need for unit in units for need in unit.needs} - self.units.keys()
        if missing:
            raise ValueError(f"needed but not there: {sorted(missing)}")
        self._report = report
        self._clock = clock

    def tick(self) -> bool:
        """Look at every unit once and do what is due; true if anything changed."""
        changes = [self._advance(unit) for unit in self.units.values()]
        return any(changes)

    def stop(self, grace_s: float, hurry: Callable[[], bool], changed: Callable[[], None]) -> None:
        """End everything, each unit before what it needs.

        Args:
            grace_s: Seconds a unit gets between the request to stop and SIGKILL.
            hurry: Whether to kill at once from now on; asked again and again.
            changed: Called when a unit has ended.
        """
        asked: dict[str, float] = {}
        for unit in self.units.values():
            if not unit.service.running:
                self._enter(unit, State.STOPPED)
        while left := [unit for unit in self.units.values() if unit.state is not State.STOPPED]:
            needed = {need for unit in left for need in unit.needs}
            for unit in left:
                if not unit.service.running:
                    self._enter(unit, State.STOPPED)
                    self._report(f"{unit.name} stopped ({ending(unit.service.exit_code() or 0)})")
                    changed()
                elif hurry() or self._clock() - asked.get(unit.name, self._clock()) > grace_s:
                    self._report(f"{unit.name} is killed: it did not stop in time")
                    unit.service.kill()
                elif unit.name not in needed and unit.name not in asked:
                    asked[unit.name] = self._clock()
                    unit.service.terminate()
            time.sleep(0.05)

    def _advance(self, unit: Unit) -> bool:
        before = unit.state
        match unit.state:
            case State.WAITING if self._has_needs(unit):
                self._start(unit)
            case State.STARTING:
                self._watch_start(unit)
            case State.READY:
                self._watch(unit)
            case State.FAILED if self._clock() - unit.since >= delay_s(unit.failures):
                self._start(unit)
        return unit.state is not before

    def _has_needs(self, unit: Unit) -> bool:
        return all(self.units[need].state in (State.READY, State.DONE) for need in unit.needs)

    def _enter(self, unit: Unit, state: State) -> None:
        unit.state = state
        unit.since = self._clock()

    def _start(self, unit: Unit) -> None:
        try:
            unit.service.start()
        except StackError as error:
            self._fail(unit, f"cannot start: {error}")
        else:
            self._enter(unit, State.STARTING)

    def _watch_start(self, unit: Unit) -> None:
        took_s = self._clock() - unit.since
        code = unit.service.exit_code()
        if unit.once:
            if code == 0:
                unit.was_ready = True
                self._enter(unit, State.DONE)
                self._report(f"{unit.name} done ({took_s:.1f} s)")
            elif code is not None:
                self._fail(unit, f"ended: {ending(code)}")
            return
        if code is not None:
            self._fail(unit, f"ended while it started: {ending(code)}")
            return
        try:
            unit.service.probe()
        except NotReadyError as error:
            if took_s > unit.service.start_limit_s:
                unit.service.kill()
                self._fail(unit, f"was not ready after {took_s:.0f} s: {error}")
        else:
            unit.was_ready = True
            self._enter(unit, State.READY)
            self._report(f"{unit.name} ready ({took_s:.1f} s) {unit.service.address()}".rstrip())

    def _watch(self, unit: Unit) -> None:
        if self._clock() - unit.since > STEADY_S:
            unit.failures = 0
        code = unit.service.exit_code()
        if code is not None:
            self._fail(unit, f"(pid {unit.service.pid}) ended: {ending(code)}")

    def _fail(self, unit: Unit, problem: str) -> None:
        unit.failures += 1
        unit.problem = problem
        self._enter(unit, State.FAILED)
        self._report(
            f"{unit.name} {problem}; its log: {unit.service.log}; next start in {delay_s(unit.failures):.0f} s"
        )
