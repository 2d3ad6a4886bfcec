"""When a worker counts as standing still; the clock is the test's."""

from __future__ import annotations

from typing import Any

import pytest

from processors.runtime.progress import Outlook, Place, Progress
from processors.runtime.watchdog import PATIENCE, Backlog, Watchdog

STALL_S, INTERVAL_S = 60.0, 5.0
ONE, OTHER = Place("t", 0), Place("t", 1)
WORK = {ONE: Backlog(committed=7, records=3, due=True, since=0.0)}
NOTHING = {ONE: Backlog(committed=10, records=0, due=False)}


class Bench:
    """A capability, its watchdog and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.progress = Progress("cap", "cap", lambda: self.now)
        self.progress.joined = True
        self.watchdog = Watchdog(STALL_S, INTERVAL_S)
        self.watchdog.look(self.now, [])

    def wait(self, seconds: float, backlogs: Any, *, beats: bool = True) -> str | None:
        """The first verdict while so much time goes by."""
        end = self.now + seconds
        while self.now < end:
            self.now += INTERVAL_S
            if beats:
                self.progress.beat({})
            reason = self.watchdog.look(self.now, [(self.progress, backlogs)])
            if reason:
                return reason
        return None


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_work_that_is_due_and_no_sign_of_life(bench: Bench) -> None:
    assert bench.wait(STALL_S - INTERVAL_S, WORK) is None
    reason = bench.wait(2 * INTERVAL_S, WORK)
    assert reason is not None
    assert "t/0" in reason


def test_nothing_to_do_is_no_stall(bench: Bench) -> None:
    assert bench.wait(10 * STALL_S, NOTHING) is None


def test_a_retry_that_waits_for_its_time_is_no_stall(bench: Bench) -> None:
    assert Outlook(due_at=20.0).waits(now=10.0)
    assert not Outlook(due_at=20.0).waits(now=20.0)
    assert not Outlook(oldest_at=1.0, due_at=20.0).waits(now=10.0), "one before it is in work"
    assert bench.wait(10 * STALL_S, {ONE: Backlog(committed=7, records=3, due=False)}) is None


def test_an_event_may_take_its_time_and_no_longer(bench: Bench) -> None:
    for event in range(5):
        bench.progress.begin(event)
        assert bench.wait(STALL_S - INTERVAL_S, WORK) is None
        bench.progress.end(event)
    bench.progress.begin("hangs")
    assert bench.wait(STALL_S + INTERVAL_S, WORK) is not None
    assert bench.progress.in_hand == 1


def test_a_commit_is_a_sign_of_life(bench: Bench) -> None:
    for committed in range(20):
        assert bench.wait(STALL_S - INTERVAL_S, {ONE: Backlog(committed, 5, due=True)}) is None


def test_a_store_that_is_away_is_no_stall_and_a_hang_after_it_is(bench: Bench) -> None:
    for _ in range(10 * PATIENCE):
        assert bench.wait(10.0, WORK) is None
        bench.progress.refused()
    assert bench.wait(STALL_S - INTERVAL_S, WORK) is None
    assert bench.wait(2 * INTERVAL_S, WORK) is not None


def test_what_watches_over_its_own_time_is_excused(bench: Bench) -> None:
    with bench.progress.excuse():
        assert bench.wait(10 * STALL_S, WORK) is None
    assert bench.wait(STALL_S + INTERVAL_S, WORK) is not None


def test_a_broker_that_does_not_answer_is_no_stall(bench: Bench) -> None:
    assert bench.wait(10 * STALL_S, None) is None
    assert bench.wait(STALL_S - INTERVAL_S, WORK) is None, "counting began when it answered again"


def test_a_blocked_event_loop_is_a_stall_without_any_work(bench: Bench) -> None:
    assert bench.wait(STALL_S - INTERVAL_S, NOTHING, beats=False) is None
    reason = bench.wait(2 * INTERVAL_S, NOTHING, beats=False)
    assert reason is not None
    assert "event loop" in reason


def test_a_worker_without_a_group_is_a_stall(bench: Bench) -> None:
    bench.progress.joined = False
    reason = bench.wait(STALL_S + INTERVAL_S, {})
    assert reason is not None
    assert "group" in reason


def test_a_process_that_was_stopped_begins_anew(bench: Bench) -> None:
    assert bench.wait(STALL_S / 2, WORK) is None
    bench.now += 100 * STALL_S
    assert bench.wait(STALL_S - INTERVAL_S, WORK, beats=False) is None
    assert bench.wait(3 * INTERVAL_S, WORK) is not None


def test_one_partition_that_is_stuck_beside_one_that_goes_on(bench: Bench) -> None:
    reason, committed = None, 0
    while reason is None and bench.now < 1000.0 + 2 * PATIENCE * STALL_S:
        committed += 1
        reason = bench.wait(INTERVAL_S, {**WORK, OTHER: Backlog(committed, 5, due=True)})
    assert reason is not None
    assert "t/0" in reason
    assert "t/1" not in reason
    assert bench.now - 1000.0 >= PATIENCE * STALL_S
