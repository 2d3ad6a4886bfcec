"""Nothing is lost: inputs are counted against answers and dead letters, on a real broker."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

import pytest

from infra.local.parts import Broker
from schemas import topics
from schemas.pipeline import DeadLettered

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
KILLS = 3


def test_bad_neighbours_harm_nobody(harness: Any) -> None:
    h = harness("single")
    good = h.send(["ok"] * 100)
    bad = {
        b"": "value-truncated",
        b"\x01\x00\x00\x00\x01rest": "value-magic",
        b"\x00\x7f\xff\xff\xffrest": "schema-unknown",
        h.codec.encode(_event())[:-3]: "value-undecodable",
        h.codec.encode(_event()) + b"more": "value-trailing",
    }
    for value in bad:
        h.send_bytes(b"poison", value)
    raising = h.send(["raise"] * 3)
    more = h.send(["ok"] * 100)
    h.start_worker()
    h.wait_answered([*good, *more])
    h.wait_for(lambda: len(h.dead_letters()) >= len(bad) + len(raising), "dead letters")
    assert sorted(h.answers()) == sorted([*good, *more])
    letters = h.dead_letters()
    assert len(letters) == len(bad) + len(raising)
    codes = {_headers(m)["x-error-code"] for m in letters if m.key() == b"poison"}
    assert codes == set(bad.values())
    assert {m.value() for m in letters if m.key() == b"poison"} == set(bad)
    raised = [_headers(m) for m in letters if m.key() != b"poison"]
    assert {r["x-error-code"] for r in raised} == {"bug"}
    assert {r["x-attempt"] for r in raised} == {"2"}
    assert {r["x-origin-topic"] for r in raised} == {topics.MEDIA_WITHDRAWN.name}
    notices = [h.codec.decode(m.value(), DeadLettered) for m in h.read(topics.DEAD_LETTERED.name)]
    assert sum(n.capability == h.capability.name for n in notices) == len(letters)


def test_retry_then_done_and_retry_then_dead_letter(harness: Any) -> None:
    h = harness("single")
    flaky = h.send(["flaky"] * 5)
    away = h.send(["away"] * 2)
    rejected = h.send(["bad-media"])
    h.start_worker()
    h.wait_answered(flaky)
    h.wait_for(lambda: len(h.dead_letters()) >= 2, "dead letters")
    assert sorted(h.dead_ids()) == sorted(away)
    assert {_headers(m)["x-attempt"] for m in h.dead_letters()} == {"3"}
    rejections = [m for m in h.read(topics.MEDIA_REJECTED.name) if b"told to reject" in m.value()]
    assert len(rejections) == len(rejected)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["single", "parallel", "batch"])
def test_kill_9_in_mid_work(harness: Any, name: str, workers: int) -> None:
    h = harness(name)
    at_a_time = h.capability.concurrency * workers
    ids = h.send(["slow:0.05"] * 200 * at_a_time)
    for _ in range(workers):
        h.start_worker()
    dice = random.Random(7)
    hit: set[bytes] = set()
    for kill in range(KILLS):
        before = len(h.answers())
        # an event that two processes died of is given up, whoever killed them: each may be hit once
        h.wait_for(
            lambda seen=before, hit=hit: len(h.answers()) > seen and not hit & set(h.open_starts()),
            f"work before kill {kill}",
        )
        assert len(set(h.answers())) < len(ids), "the kill would come after the work"
        time.sleep(dice.uniform(0.1, 0.6))
        victim = h.workers[kill % workers]
        victim.kill()
        victim.wait()
        hit = {key for key in h.open_starts() if not key.endswith(b"/batch")}
        h.workers[kill % workers] = h.start_worker()
        h.workers.pop()
    h.wait_answered(ids, 120)
    assert set(h.answers()) == set(ids)
    assert h.dead_letters() == []


def test_slow_event_in_progress_is_not_committed_past(harness: Any) -> None:
    """The off-by-one of stock Faust: with concurrency, neighbours finish and the slow one is lost at a kill."""
    h = harness("parallel")
    slow = h.send(["slow:30"], keys=1)
    fast = h.send(["ok"] * 40, keys=1)
    h.start_worker()
    h.wait_answered(fast)
    time.sleep(1.5)
    h.stop_workers(signal.SIGKILL)
    place = [p for p, offset in h.committed().items() if offset >= 0]
    assert all(h.committed()[p] <= h._watermarks(topics.MEDIA_WITHDRAWN.name, p)[0] for p in place)
    assert set(slow).isdisjoint(h.answers())


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_finishes_what_is_in_hand(harness: Any, workers: int) -> None:
    h = harness("single")
    ids = h.send(["slow:0.1"] * 60 * workers)
    for _ in range(workers):
        h.start_worker()
    h.wait_for(lambda: len(h.answers()) >= 5, "first answers")
    assert h.stop_workers(signal.SIGTERM) == [0] * workers
    answered = h.answers()
    assert len(answered) == len(set(answered))
    h.start_worker()
    h.wait_answered(ids)
    if workers == 1:
        assert sorted(h.answers()) == sorted(ids), "a graceful stop neither loses nor repeats"
    assert set(h.answers()) == set(ids)
    assert h.dead_letters() == []


def test_a_handover_to_a_worker_that_joins_repeats_nothing(harness: Any) -> None:
    h = harness("single")
    ids = h.send(["slow:0.4"] * 60)
    h.start_worker()
    h.wait_for(lambda: len(h.answers()) >= 3, "first answers")
    h.start_worker()
    h.wait_answered(ids)
    assert sorted(h.answers()) == sorted(ids)


def test_an_event_that_outlives_the_grace_is_left_to_the_next_worker(
    harness: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three stops over one long event: none is a crash, so it never becomes a dead letter."""
    monkeypatch.setenv("OVERTURE_WORKER__STOP_GRACE_S", "0.5")
    h = harness("single")
    (long,) = h.send(["slow:12"])
    for _ in range(3):
        h.start_worker()
        h.wait_for(lambda: len(h.open_starts()) == 1, "the start of the work")
        time.sleep(0.5)
        assert h.stop_workers(signal.SIGTERM) == [0]
        assert h.open_starts() == []
    h.start_worker()
    h.wait_answered([long])
    assert h.answers() == [long]
    assert h.dead_letters() == []


def test_input_that_kills_its_process_becomes_a_dead_letter(harness: Any) -> None:
    h = harness("single")
    before, deadly, after = h.send(["ok"] * 10), h.send(["die"]), h.send(["ok"] * 10)
    deadline = time.monotonic() + 100
    while len(h.dead_letters()) < 1:
        assert time.monotonic() < deadline, h.log_tails()
        worker = h.start_worker()
        while worker.poll() is None and len(h.dead_letters()) < 1:
            time.sleep(0.3)
    h.wait_answered([*before, *after])
    assert h.dead_ids() == deadly
    assert {_headers(m)["x-error-code"] for m in h.dead_letters()} == {"crash-loop"}


@pytest.mark.expects_errors
def test_broker_restart(harness: Any, broker: Broker) -> None:
    h = harness("single")
    ids = h.send(["slow:0.02"] * 300)
    h.start_worker()
    h.wait_for(lambda: len(h.answers()) >= 20, "first answers")
    broker.kill()
    time.sleep(3)
    broker.start()
    broker.wait_ready()
    h.wait_answered(ids, 120)
    assert set(h.answers()) == set(ids)
    assert h.dead_letters() == []


@pytest.mark.parametrize("workers", [1, 2])
def test_state_is_right_after_kills(harness: Any, workers: int) -> None:
    h = harness("stateful")
    ids = h.send(["slow:0.03"] * 300 * workers, keys=10)
    for _ in range(workers):
        h.start_worker()
    for kill in range(KILLS):
        before = counted(h)
        h.wait_for(lambda seen=before: counted(h) > seen, "progress")
        time.sleep(0.3)
        assert counted(h) < len(ids), "the kill would come after the work"
        victim = h.workers[kill % workers]
        victim.kill()
        victim.wait()
        h.workers[kill % workers] = h.start_worker()
        h.workers.pop()
    h.wait_for(lambda: counted(h) >= len(ids), "all counted", 120)
    assert {reason.code for status in h.statuses().values() for reason in status.reasons} - set(ids) == set()
    assert sorted(status.seq for status in h.statuses().values()) == [30 * workers] * 10
    assert {reason.code for status in h.statuses().values() for reason in status.reasons} == set(ids)


def counted(h: Any) -> int:
    return sum(status.seq for status in h.statuses().values())


def test_batch_gives_up_only_the_bad_ones(harness: Any) -> None:
    h = harness("batch")
    good = h.send(["ok"] * 50)
    raising = h.send(["raise"])
    h.send_bytes(b"poison", b"\x00garbage")
    more = h.send(["ok"] * 50)
    h.start_worker()
    h.wait_answered([*good, *more])
    h.wait_for(lambda: len(h.dead_letters()) >= 2, "dead letters")
    assert set(h.answers()) == {*good, *more}
    assert sorted(_headers(m)["x-error-code"] for m in h.dead_letters()) == ["bug", "schema-unknown"]
    assert raising[0].encode() in b"".join(m.value() for m in h.dead_letters())


def _event() -> Any:
    from datetime import UTC, datetime

    from schemas.media import MediaWithdrawn

    return MediaWithdrawn(event_id=os.urandom(4).hex(), occurred_at=datetime.now(UTC), media_id="m", requested_by="ok")


def _headers(message: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers() or ()}
