"""Faults under load. Each ends with ``overture verify`` over what the client was promised."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Producer
from redis import Redis

from processors.runtime.kafka import producer_config
from processors.runtime.topic_scan import read_topic
from schemas.topics import UPLOADS
from tests.faults.figures import Row, row
from tests.faults.load import Load, poisoned
from tests.faults.system import UPLOAD_PATH, System, run_once

pytestmark = [pytest.mark.real, pytest.mark.timeout(2400), pytest.mark.expects_errors]
full = pytest.mark.faults
KILLS = int(os.environ.get("FAULTS_KILLS", "20"))
RATE = 4.0
THREE = ("media_analysis", "item_publication", "item_indexing")
RECOVERY_S = 20
START_S = 180.0
Record = Callable[[Row], None]


def finish(system: System, record: Record, load: Load, done: str, *options: str) -> dict[str, Any]:
    """Rest, verify, figures."""
    rest_s = system.rest()
    found = system.verify(load.log, *options)
    record(row(done, found, rest_s))
    return found


@pytest.mark.faults_short
def test_three_workers_are_killed(system: System, record: Record) -> None:
    """The one with the sandbox, the one with state, the one with the stores; the others die in the long form."""
    with system.load("killed-once", RATE, seed=1, poison=0.1) as load:
        system.go_on(2)
        for name in THREE:
            system.worker_of(name).kill()
            system.go_on(1)
        system.go_on(3)
    finish(system, record, load, f"kill -9 of {', '.join(THREE)}")


@full
def test_kill_9_of_each_worker_at_random_times(system: System, record: Record) -> None:
    dice, restarts = random.Random(11), system.restarts
    # a killed worker's partitions stand still for the session timeout, then it works for a while
    due = [(time.monotonic() + dice.uniform(0, 24) + 24 * n, w) for n in range(KILLS) for w in system.workers]
    with system.load("kills", RATE, seed=2) as load:
        for when, worker in sorted(due, key=lambda each: each[0]):
            system.go_on(max(0.0, when - time.monotonic()))
            if worker.running:
                worker.kill()
        system.go_on(15)
    kills = system.restarts - restarts
    assert kills >= KILLS * len(UPLOAD_PATH) * 0.9
    finish(system, record, load, f"{kills} kills of {len(UPLOAD_PATH)} workers, {KILLS} each")


@full
def test_a_dead_worker_is_replaced_by_its_peer(system: System, record: Record) -> None:
    """The peer takes over after the session timeout, a rebalance and the backlog; an upload feels all of it."""
    for name in UPLOAD_PATH:
        system.add_worker(name)
    system.go_on(25)
    victims = [system.worker_of(name) for name in UPLOAD_PATH]
    for victim in victims:
        system.workers.remove(victim)
    with system.load("replaced", RATE, seed=3) as load:
        system.go_on(2)
        for victim in victims:
            victim.kill()
        system.go_on(25)
    rest_s = system.rest()
    found = system.verify(load.log)
    longest = found["seconds_to_end"]["max"]
    done = f"kill -9 of one of two workers of each; done again within {longest:.1f} s (limit {RECOVERY_S} s)"
    record(row(done, found, rest_s))


@full
def test_workers_stopped_for_30_s_that_come_back(system: System, record: Record) -> None:
    """The others take their partitions over; what wakes up afterwards must not undo anything."""
    seconds = []
    for name in THREE:
        seconds.append(system.add_worker(name))
    system.go_on(15)
    sleepers = [system.worker_of(name) for name in UPLOAD_PATH]
    with system.load("stopped", RATE, seed=4) as load:
        system.go_on(4)
        for sleeper in sleepers:
            sleeper.send(signal.SIGSTOP)
        system.go_on(30)
        for sleeper in sleepers:
            sleeper.send(signal.SIGCONT)
        system.go_on(15)
    for worker in seconds:
        system.drop_worker(worker)
    finish(system, record, load, f"all {len(sleepers)} workers, with peers for three")


@full
def test_the_broker_is_killed_and_comes_back(system: System, record: Record) -> None:
    [broker] = system.brokers
    with system.load("broker", RATE, seed=5) as load:
        system.go_on(5)
        broker.kill()
        system.go_on(8)
        broker.start()
        broker.wait_ready(START_S)
        system.go_on(15)
    finish(system, record, load, f"kill -9, back after 8 s; {load.refusals} refusals at ingest")


@full
def test_redis_is_killed_and_comes_back(system: System, record: Record) -> None:
    with system.load("redis", RATE, seed=6) as load:
        system.go_on(4)
        system.redis.kill()
        system.go_on(10)
        system.redis.start()
        system.redis.wait_ready(START_S)
        system.go_on(10)
    finish(system, record, load, "kill -9, back after 10 s")


@full
def test_redis_is_emptied(system: System, record: Record) -> None:
    """Features are derived: they are lost with Redis, and made again from topics by one command."""
    with system.load("flushed", RATE, seed=7) as load:
        system.go_on(8)
        with Redis.from_url(system.redis.url) as redis:
            redis.flushall()
        system.go_on(8)
    rest_s = system.rest()
    run_once(("features", "rebuild", "--yes"), system.folder / "rebuild.log")
    record(row("FLUSHALL under load, then `overture features rebuild`", system.verify(load.log), rest_s))


@full
def test_milvus_is_away_for_a_minute(system: System, record: Record) -> None:
    with system.load("milvus", RATE, seed=8) as load:
        system.go_on(4)
        system.milvus.kill()
        system.go_on(60)
        system.milvus.start()
        system.milvus.wait_ready(START_S)
        system.go_on(5)
    finish(system, record, load, "kill -9, back after 60 s")


@full
def test_the_registry_is_away_while_workers_restart(system: System, record: Record) -> None:
    with system.load("registry", RATE, seed=9) as load:
        system.go_on(4)
        system.registry.kill()
        for name in ("media_analysis", "item_publication"):
            system.worker_of(name).kill()
        system.go_on(20)
        system.registry.start()
        system.registry.wait_ready(START_S)
        system.go_on(15)
    finish(system, record, load, "kill -9, back after 20 s; two workers restarted meanwhile")


@full
def test_the_disk_of_the_object_store_is_full(system: System, record: Record) -> None:
    filler = system.folder / "data" / "objects" / "filler"
    with system.load("disk", RATE, seed=10) as load:
        system.go_on(4)
        fill(filler)
        system.go_on(12)
        filler.unlink()
        system.go_on(5)
    assert load.refusals > 0
    finish(system, record, load, f"for 12 s; {load.refusals} refusals at ingest")


def fill(filler: Any) -> None:
    with filler.open("wb", buffering=0) as file:
        for size in (1024**2, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


@full
def test_a_rebalance_storm(system: System, record: Record) -> None:
    joined, rounds = [], 0
    with system.load("storm", RATE, seed=12) as load:
        until = time.monotonic() + 90
        while time.monotonic() < until:
            rounds += 1
            joined.append(system.add_worker(UPLOAD_PATH[rounds % len(UPLOAD_PATH)]))
            system.go_on(5)
            if len(joined) > 3:
                system.drop_worker(joined.pop(0), grace_s=30)
    for worker in joined:
        system.drop_worker(worker)
    finish(system, record, load, f"a worker joined and one left every 5 s, {rounds} times")


@full
def test_poison_that_kills_the_child_or_the_worker(system: System, record: Record) -> None:
    """The killer becomes a dead letter after two tries; the uploads beside it do not go down with it."""
    restarts, dice = system.restarts, random.Random(13)
    with system.load("killers", 8.0, seed=13) as load:
        system.go_on(4)
        load.also(poisoned("worker", "one", dice), poisoned("child", "two", dice))
        system.go_on(50)
    died = system.restarts - restarts
    assert died == 2, "tries before the dead letter"
    finish(system, record, load, f"one kills its worker ({died} deaths), one its sandboxed child")


@full
@pytest.mark.parametrize("share", [0.01, 0.3])
def test_poison(system: System, record: Record, share: float) -> None:
    with system.load(f"poison-{share}", 6.0, seed=14, poison=share) as load:
        system.go_on(30)
    found = finish(system, record, load, "truncated files, abuse, uploads that meet a bug")
    assert {state for state, count in found["states"].items() if count} <= {"published", "rejected", "failed"}


@full
def test_uploads_that_come_twice_late_and_again(system: System, record: Record) -> None:
    with system.load("twice", RATE, seed=15, repeat=0.4) as load:
        system.go_on(20)
    system.rest()
    before = system.verify(load.log)["states"]
    again = replay(system)
    found = finish(system, record, load, f"40 % sent twice; {again} events shuffled and replayed")
    assert found["states"] == before


def replay(system: System) -> int:
    """Send every upload event once more, in any order; how many there were."""
    events: list[tuple[str, bytes | None, bytes | None]] = []
    for topic in UPLOADS:
        read_topic(system.settings.kafka, topic.name, lambda m: events.append((m.topic(), m.key(), m.value())))
    random.Random(16).shuffle(events)
    producer = Producer(producer_config(system.settings.kafka))
    for name, key, value in events:
        producer.produce(name, key=key, value=value)
        producer.poll(0)
    assert producer.flush(60) == 0
    return len(events)
