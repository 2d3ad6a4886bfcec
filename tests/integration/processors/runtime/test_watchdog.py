"""A worker that stands still shows it and ends itself; one that waits, works or was stopped does not."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.local.ports import free_port
from processors.runtime.monitor import STALLED_EXIT
from schemas import topics

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]
STALL_S = 4.0
LIMIT_S = 60.0


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> str:
    port = free_port()
    monkeypatch.setenv("OVERTURE_WORKER__METRICS_PORT", str(port))
    monkeypatch.setenv("OVERTURE_WORKER__STALL_S", str(STALL_S))
    return f"http://127.0.0.1:{port}"


def samples(address: str) -> dict[str, float]:
    """Sum of each metric over its labels; the largest, of ages."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx.get(f"{address}/metrics", timeout=5).text):
        for sample in family.samples:
            name, value = sample.name, sample.value
            found[name] = max(found.get(name, 0.0), value) if name.endswith("_seconds") else found.get(name, 0) + value
    return found


def whole_log(h: Any) -> str:
    return "".join(path.read_text() for path in h.log.glob("*.log"))


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_work_that_hangs_shows_ends_its_worker_and_becomes_a_dead_letter(harness: Any, address: str) -> None:
    h = harness("single")
    (first,) = h.send(["ok"])
    worker = h.start_worker()
    h.wait_answered([first])
    hangs, *after = h.send(["slow:600"] + ["ok"] * 5, keys=1)
    until(lambda: samples(address).get("overture_lag_records", 0) == 6, "the lag shows")
    shown = samples(address)
    assert shown["overture_events_in_hand"] == 1
    assert shown["overture_dependency_up"] == 1
    assert shown["overture_partitions_assigned"] >= 8
    assert 0 < shown["overture_lag_seconds"] < LIMIT_S
    assert shown["overture_build_info"] == 1
    assert worker.wait(LIMIT_S) == STALLED_EXIT
    log = whole_log(h)
    assert "worker stands still" in log
    assert re.search(r"tally\.py.* in behave", log), "the log shows where it hangs"
    assert h.start_worker().wait(LIMIT_S) == STALLED_EXIT
    h.workers.clear()
    h.start_worker()
    h.wait_answered(after)
    assert h.dead_ids() == [hangs]
    assert dict(h.dead_letters()[0].headers())["x-error-code"] == b"crash-loop"


def test_a_blocked_event_loop_ends_its_worker(harness: Any, address: str) -> None:
    h = harness("single")
    worker = h.start_worker()
    until(lambda: httpx.get(f"{address}/readyz", timeout=5).status_code == 200, "ready")
    h.send(["block:600"])
    assert worker.wait(LIMIT_S) == STALLED_EXIT
    assert "worker stands still" in whole_log(h)


def test_a_worker_that_was_stopped_goes_on(harness: Any, address: str) -> None:
    h = harness("single")
    (first,) = h.send(["ok"])
    worker = h.start_worker()
    h.wait_answered([first])
    until(lambda: httpx.get(f"{address}/readyz", timeout=5).status_code == 200, "ready")
    worker.send_signal(signal.SIGSTOP)
    later = h.send(["ok"] * 5)
    time.sleep(2 * STALL_S)
    worker.send_signal(signal.SIGCONT)
    h.wait_answered(later)
    assert worker.poll() is None
    assert httpx.get(f"{address}/livez", timeout=5).json() == {"ok": True, "parts": {h.capability.name: True}}


def test_the_trace_goes_through_retries_to_every_answer(harness: Any) -> None:
    h = harness("single")
    trace = "0af7651916cd43dd8448eb211c80319c"
    h.send(["ok", "flaky", "raise", "bad-media"], headers=[("traceparent", f"00-{trace}-b7ad6b7169203331-01".encode())])
    h.send(["ok"])
    h.start_worker()
    h.wait_for(lambda: len(h.read(topics.MEDIA_REJECTED.name)) >= 4 and len(h.dead_letters()) >= 1, "answers")
    h.wait_for(lambda: len(notices(h)) >= 1, "the notice")
    retried = [message for name, _ in h.capability.retry_topics for message in h.read(name)]
    assert len(retried) == 2
    messages = [*h.read(topics.MEDIA_REJECTED.name), *retried, *h.dead_letters(), *notices(h)]
    found = [dict(message.headers())["traceparent"].decode().split("-")[1] for message in messages]
    assert found.count(trace) == len(found) - 1, "only the event that came without a trace has one of its own"
    assert trace in whole_log(h)


def notices(h: Any) -> list[Any]:
    name = h.capability.name.encode()
    return [message for message in h.read(topics.DEAD_LETTERED.name) if name in message.value()]
