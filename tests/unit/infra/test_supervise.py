"""The supervisor's decisions, on services that are not there and a clock that is turned by hand."""

from pathlib import Path

import pytest

from infra.local.errors import NotReadyError, StackError
from infra.local.service import Service
from infra.local.supervise import STEADY_S, State, Supervisor, Unit, delay_s


class FakeService(Service):
    """Runs, answers and ends as the test says."""

    def __init__(self, name: str, journal: list[str]) -> None:
        super().__init__(name, Path(f"{name}.log"))
        self.code: int | None = None
        self.up = False
        self.answers = True
        self.refuses: StackError | None = None
        self.ignores_terminate = False
        self.journal = journal

    def exit_code(self) -> int | None:
        return self.code

    @property
    def running(self) -> bool:
        return self.up and self.code is None

    def start(self) -> None:
        if self.refuses:
            raise self.refuses
        self.journal.append(f"start {self.name}")
        self.up, self.code = True, None

    def probe(self) -> None:
        if not self.answers:
            raise NotReadyError("silent")

    def terminate(self) -> None:
        self.journal.append(f"terminate {self.name}")
        if not self.ignores_terminate:
            self.code = 0

    def kill(self) -> None:
        self.journal.append(f"kill {self.name}")
        self.code = -9


class Stand:
    """A supervisor over `broker <- registry`, with its clock and what it said."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.lines: list[str] = []
        self.now = 0.0
        self.broker = FakeService("broker", self.journal)
        self.registry = FakeService("registry", self.journal)
        self.supervisor = Supervisor(
            [Unit(self.registry, needs=("broker",)), Unit(self.broker)], self.lines.append, lambda: self.now
        )

    def state(self, name: str) -> State:
        return self.supervisor.units[name].state

    def ticks(self, count: int = 5) -> None:
        for _ in range(count):
            self.supervisor.tick()


@pytest.fixture
def stand() -> Stand:
    return Stand()


def test_a_unit_waits_until_what_it_needs_is_ready(stand: Stand) -> None:
    stand.broker.answers = False
    stand.ticks()
    assert stand.journal == ["start broker"]
    stand.broker.answers = True
    stand.ticks()
    assert stand.journal == ["start broker", "start registry"]
    assert stand.state("registry") is State.READY


def test_a_dead_unit_is_reported_and_restarted_with_growing_delay(stand: Stand) -> None:
    stand.ticks()
    delays = []
    for _ in range(7):
        stand.broker.code = -9
        stand.ticks()
        died = stand.now
        while stand.state("broker") is State.FAILED:
            stand.now += 0.5
            stand.supervisor.tick()
        delays.append(stand.now - died)
        stand.ticks()
    assert delays == [1, 2, 4, 8, 16, 30, 30]
    assert "broker (pid None) ended: killed by SIGKILL; its log: broker.log; next start in 1 s" in stand.lines


def test_the_delay_is_short_again_after_steady_work(stand: Stand) -> None:
    stand.ticks()
    stand.supervisor.units["broker"].failures = 5
    stand.now += STEADY_S + 1
    stand.ticks()
    stand.broker.code = 1
    stand.ticks()
    assert stand.supervisor.units["broker"].failures == 1


def test_a_unit_that_never_answers_is_killed_after_its_limit(stand: Stand) -> None:
    stand.broker.answers = False
    stand.ticks()
    stand.now += stand.broker.start_limit_s + 1
    stand.ticks()
    assert "kill broker" in stand.journal
    assert stand.state("broker") is State.FAILED


def test_a_start_that_is_refused_counts_as_a_failure(stand: Stand) -> None:
    stand.broker.refuses = StackError("port taken")
    stand.ticks()
    assert stand.supervisor.units["broker"].problem == "cannot start: port taken"


def test_a_task_is_done_at_exit_zero_and_tried_again_otherwise() -> None:
    journal: list[str] = []
    task = FakeService("topics", journal)
    supervisor = Supervisor([Unit(task, once=True)], lambda _: None, lambda: 0.0)
    supervisor.tick()
    task.code = 1
    supervisor.tick()
    assert supervisor.units["topics"].state is State.FAILED
    supervisor.units["topics"].state = State.STARTING
    task.code = 0
    supervisor.tick()
    assert supervisor.units["topics"].state is State.DONE


def test_stop_ends_a_unit_before_what_it_needs(stand: Stand) -> None:
    stand.ticks()
    stand.supervisor.stop(10, hurry=lambda: False, changed=lambda: None)
    assert stand.journal[-2:] == ["terminate registry", "terminate broker"]


def test_a_second_request_kills_at_once(stand: Stand) -> None:
    stand.ticks()
    stand.registry.ignores_terminate = True
    stand.supervisor.stop(1e9, hurry=lambda: "terminate registry" in stand.journal, changed=lambda: None)
    assert "kill registry" in stand.journal


def test_a_need_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="ghost"):
        Supervisor([Unit(FakeService("a", []), needs=("ghost",))], lambda _: None)


def test_the_delay_has_a_ceiling() -> None:
    assert [delay_s(n) for n in (1, 2, 3, 100)] == [1, 2, 4, 30]
