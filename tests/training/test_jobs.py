"""Jobs on one process and on two, what is trained once for all, and how a run ends before its time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models.training.recipes.base import RecipeError
from models.training.recipes.jobs import Job, curves_of, run_jobs
from models.training.recipes.showing import Show
from tests.training import some_jobs

ROOT = Path(__file__).parents[2]
PATIENCE_S = 500

pytestmark = pytest.mark.timeout(600)


class Heard(Show):
    def __init__(self) -> None:
        super().__init__(None, 0)
        self.told: list[tuple[str, str]] = []
        self.ended: list[str] = []

    def news(self, job: str, curve: str, epoch: int, train: float, validation: float) -> None:
        self.told.append((job, curve))

    def done(self, job: str, cpu_s: float) -> None:
        self.ended.append(job)


def eventually(what: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_two_processes_give_what_one_gives() -> None:
    jobs = [Job(f"job {number}", 5 + number % 2, some_jobs.drawn, (number,)) for number in range(4)]
    heard = Heard(), Heard()
    alone, together = (run_jobs(jobs, processes, None, heard[processes - 1]) for processes in (1, 2))
    for name, done in alone.items():
        assert done.result[0] == os.getpid() != together[name].result[0]
        assert done.result[1] == together[name].result[1]
        assert done.curves == together[name].curves
    drawn = [done.result[1] for done in alone.values()]
    assert drawn[0] == drawn[2] != drawn[1] == drawn[3]
    assert set(curves_of(together)) == {f"curve-{number}" for number in range(4)}
    for each in heard:
        assert sorted(each.told) == [(f"job {number}", f"curve-{number}") for number in range(4)]
        assert sorted(each.ended) == [job.name for job in jobs]


def test_a_job_that_fails_ends_the_run_with_its_name() -> None:
    jobs = [Job("ranker, split 2", 5, some_jobs.refused, ()), Job("other", 5, some_jobs.drawn, (1,))]
    with pytest.raises(RecipeError, match=r"^ranker, split 2: one class only$"):
        run_jobs(jobs, 1, None, Heard())


def test_the_others_are_ended_with_the_one_that_failed_in_another_process(tmp_path: Path) -> None:
    jobs = [Job("slow", 5, some_jobs.asleep, (tmp_path,)), Job("bad", 5, some_jobs.broken_beside, (tmp_path,))]
    with pytest.raises(RecipeError, match=r"^bad: IndexError: no such row$") as raised:
        run_jobs(jobs, 2, None, Heard())
    assert raised.value.__cause__ is not None
    assert "in broken_beside" in str(raised.value.__cause__.__cause__)
    [asleep] = tmp_path.glob("asleep-*")
    assert gone(int(asleep.name.partition("-")[2]))


def test_a_process_that_is_killed_ends_the_run() -> None:
    with pytest.raises(RecipeError, match="BrokenProcessPool"):
        run_jobs([Job("ranker, split 2", 5, some_jobs.killed, ())] * 2, 2, None, Heard())


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_run(tmp_path: Path, sign: signal.Signals) -> None:
    program = (
        "from pathlib import Path\n"
        "from models.training.recipes.jobs import Job, run_jobs\n"
        "from tests.training import some_jobs\n"
        "from models.training.recipes.showing import Show\n"
        "if __name__ == '__main__':\n"
        f"    jobs = [Job(str(n), 5, some_jobs.asleep, (Path({str(tmp_path)!r}),)) for n in range(2)]\n"
        "    run_jobs(jobs, 2, None, Show(None, 2))\n"
    )
    (tmp_path / "program.py").write_text(program)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.Popen([sys.executable, tmp_path / "program.py"], env=environment, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: run.poll() is not None or len(list(tmp_path.glob("asleep-*"))) == 2)
        assert run.poll() is None
        workers = [int(path.name.partition("-")[2]) for path in tmp_path.glob("asleep-*")]
        run.send_signal(sign)
        assert run.wait(PATIENCE_S) != 0
        eventually(lambda: all(gone(worker) for worker in workers))
    finally:
        run.kill()
        run.wait()


@pytest.mark.parametrize("processes", [1, 2])
def test_the_same_training_is_done_once_in_a_run(tmp_path: Path, processes: int) -> None:
    starts = (1.0, 1.0, 1.0, 2.0)
    jobs = [Job(str(n), 5, some_jobs.trained_once, (tmp_path, start)) for n, start in enumerate(starts)]
    done = run_jobs(jobs, processes, tmp_path / "kept", Heard())
    assert [each.result[0] for each in sorted(done.values(), key=lambda each: each.name)] == [2.0, 2.0, 2.0, 3.0]
    assert len(list(tmp_path.glob("learnt-*"))) == 2
    assert sum(each.result[2] >= 0.5 for each in done.values()) == 2
    assert all(each.result[1] >= 0.5 for each in done.values())  # what was found done counts as if done here


def test_without_a_folder_each_training_is_done(tmp_path: Path) -> None:
    jobs = [Job(str(n), 5, some_jobs.trained_once, (tmp_path, 1.0)) for n in range(2)]
    done = run_jobs(jobs, 1, None, Heard())
    assert [each.result[0] for each in done.values()] == [2.0, 2.0]
    assert len(list(tmp_path.glob("learnt-*"))) == 2
