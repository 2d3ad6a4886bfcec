"""How far a worker is, from what the broker says; the broker is a table here (the real one: integration tests)."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException
from prometheus_client import CollectorRegistry

from processors.runtime.endpoint import worker_checks
from processors.runtime.metrics import ProgressMetrics
from processors.runtime.monitor import MAX_SAMPLES, Ends, Monitor, Offsets
from processors.runtime.progress import Outlook, Place, Progress
from processors.runtime.settings import Settings

ONE, RETRY = Place("t", 0), Place("cap.retry-2000ms.v1", 0)


class Table:
    """Offsets by place: start, committed (None: never), end."""

    def __init__(self, **_: Any) -> None:
        self.rows: dict[Place, tuple[int, int | None, int]] = {}
        self.away = False

    def starts(self, places: Collection[Place]) -> dict[Place, int]:
        return {place: self.rows[place][0] for place in places}

    def committed(self, _group: str, places: Collection[Place]) -> dict[Place, int]:
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return {place: found for place in places if (found := self.rows[place][1]) is not None}

    def ends(self, places: Collection[Place]) -> dict[Place, int]:
        return {place: self.rows[place][2] for place in places}


class Bench:
    def __init__(self) -> None:
        self.progress = Progress("cap", "cap")
        self.progress.joined = True
        self.ended: list[str] = []
        self.table = Table()
        self.monitor = Monitor([self.progress], Settings(), lambda reason, _: self.ended.append(reason), self.table)

    def look(self, outlook: dict[Place, Outlook]) -> None:
        self.progress.beat(outlook)
        self.monitor.look()

    def shown(self) -> dict[tuple[str, str], float]:
        """(metric, topic or dependency) -> value."""
        registry = CollectorRegistry()
        registry.register(ProgressMetrics([self.progress], self.monitor))
        return {
            (s.name, s.labels.get("topic", s.labels.get("dependency", ""))): s.value
            for family in registry.collect()
            for s in family.samples
        }


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("row", "lag"),
    [((0, 4, 10), 6), ((0, None, 10), 10), ((7, None, 10), 3), ((7, 2, 10), 3), ((0, 10, 10), 0), ((10, None, 10), 0)],
    ids=["behind", "never committed", "retention, never committed", "retention passed it", "done", "empty"],
)
def test_lag_in_records(bench: Bench, row: Any, lag: int) -> None:
    bench.table.rows[ONE] = row
    bench.look({ONE: Outlook()})
    assert bench.shown()["overture_lag_records", "t"] == lag
    assert bench.monitor.backlogs["cap"][ONE].due == (lag > 0)


def test_lag_in_seconds_is_that_of_the_oldest_record(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 5000.0)
    bench.table.rows[ONE] = (0, 4, 10)
    bench.look({ONE: Outlook(oldest_at=4970.0)})
    assert bench.shown()["overture_lag_seconds", "t"] == 30.0
    bench.table.rows[ONE] = (0, 10, 10)
    bench.look({ONE: Outlook()})
    assert bench.shown()["overture_lag_seconds", "t"] == 0.0


def test_a_consumer_that_fetches_nothing_grows_old_all_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for second in (5000.0, 5010.0, 5020.0):
        monkeypatch.setattr("time.time", lambda now=second: now)
        bench.table.rows[ONE] = (0, 4, int(second))
        bench.look({ONE: Outlook()})
    assert bench.shown()["overture_lag_seconds", "t"] == 20.0


def test_a_retry_is_late_only_when_it_is_due(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 5000.0)
    bench.table.rows[RETRY] = (0, None, 2)
    bench.look({RETRY: Outlook(due_at=5060.0)})
    assert not bench.monitor.backlogs["cap"][RETRY].due
    assert bench.shown()["overture_lag_records", RETRY.topic] == 2
    monkeypatch.setattr("time.time", lambda: 5100.0)
    bench.look({RETRY: Outlook(due_at=5060.0)})
    assert bench.shown()["overture_lag_seconds", RETRY.topic] == 40.0


def test_a_partition_that_is_gone_has_no_series(bench: Bench) -> None:
    bench.table.rows[ONE] = (0, 4, 10)
    bench.look({ONE: Outlook()})
    bench.look({})
    assert ("overture_lag_records", "t") not in bench.shown()
    assert bench.monitor._ends == {}


def test_a_broker_that_is_away_shows(bench: Bench) -> None:
    assert ("overture_dependency_up", "broker") not in bench.shown()
    bench.table.rows[ONE] = (0, 4, 10)
    bench.look({ONE: Outlook()})
    assert bench.shown()["overture_dependency_up", "broker"] == 1.0
    bench.table.away = True
    bench.look({ONE: Outlook()})
    assert bench.shown()["overture_dependency_up", "broker"] == 0.0
    assert bench.ended == []


def test_the_memory_of_ends_is_bounded() -> None:
    ends = Ends()
    for look in range(5 * MAX_SAMPLES):
        since = ends.since(0, look + 1, float(look))
    assert since == 0.0
    assert len(ends._samples) <= MAX_SAMPLES
    assert ends.since(5 * MAX_SAMPLES, 5 * MAX_SAMPLES, 0.0) is None


def test_alive_is_a_loop_that_comes_by_and_ready_is_a_share_of_the_group() -> None:
    one, other = Progress("one", "one"), Progress("other", "other")
    checks = worker_checks([one, other], stall_s=60.0)
    assert checks["/livez"]() == {"one": True, "other": True}
    assert checks["/readyz"]() == {"one": False, "other": False}
    one.joined, one.beat_at = True, one.beat_at - 61
    assert checks["/livez"]() == {"one": False, "other": True}
    assert checks["/readyz"]() == {"one": True, "other": False}


class Fenced:
    """A consumer that kept the epoch of a leader that died."""

    closed = False

    def offsets_for_times(self, *_: Any, **__: Any) -> Any:
        raise KafkaException(KafkaError(KafkaError.FENCED_LEADER_EPOCH))

    def close(self) -> None:
        self.closed = True


class Fresh:
    """One that was made since."""

    def offsets_for_times(self, asked: Any, **_: Any) -> Any:
        return [SimpleNamespace(topic=p.topic, partition=p.partition, offset=7, error=None) for p in asked]


def test_a_consumer_that_failed_is_replaced() -> None:
    fenced = Fenced()
    readers = iter([fenced, Fresh()])
    offsets = Offsets(lambda _group: cast(Consumer, next(readers)))
    place = Place("t", 0)
    with pytest.raises(KafkaException):
        offsets.ends([place])
    assert fenced.closed
    assert offsets.ends([place]) == offsets.starts([place]) == {place: 7}
