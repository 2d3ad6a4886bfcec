"""The service on real parts under load, and Feast's own feature server beside it."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

import httpx
import orjson
import psutil
import uvloop

from features.apply import apply
from features.views import USER_TASTE
from infra.local.parts import Broker, MilvusServer, RedisServer, Registry
from infra.local.plan import HttpService
from infra.local.ports import free_port
from processors.runtime import topics_admin
from processors.runtime.processor import Emit
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from schemas.topics import ITEM_CHANGED, SONG_COUNTED
from tests.bench.reading.client import closed_loop, open_loop, request
from tests.bench.reading.in_process import ANSWERED
from tests.bench.reading.synthetic import Population, population, user_id
from tests.bench.reading.turns import ONE_THREAD, REPOSITORY

T = TypeVar("T")
ROUNDS, SECONDS, CONNECTIONS = 3, 5.0, 8
FILL_LIMIT_S = 900.0
"""Seconds for the service to read and index all items."""
START_LIMIT_S = 120.0
LOOK_S = 2.0
IDLE_SHARE = 0.25
"""Share of a core below which the service counts as done with its index; while it works it takes a whole one."""


@dataclass(frozen=True)
class Rate:
    """What a server can at most, asked over a few connections without a pause.

    Attributes:
        answers: A second.
        of_a_core: A second of the server's own CPU time: what it could do if nobody shared its core.
    """

    answers: float
    of_a_core: float


@dataclass(frozen=True)
class Served:
    """The service under load.

    Attributes:
        most: Recommendations.
        median_ms: At half of that rate, from when an answer was due.
        p99_ms: The same.
        spread: Median over the rounds of p99 / median.
        rows: Rows of the user's view.
        feast: The same rows from Feast's feature server.
        memory: Process -> resident MiB.
    """

    most: Rate
    median_ms: float
    p99_ms: float
    spread: float
    rows: Rate
    feast: Rate
    memory: dict[str, float]


def measure(items: int, users: int) -> Served:
    """Fill the real parts, start the service and load it."""
    people = population(items, users, datetime.now(UTC).replace(microsecond=0))
    with tempfile.TemporaryDirectory() as name, ExitStack() as parts:
        folder = Path(name)
        broker = parts.enter_context(Broker(folder / "broker"))
        registry = parts.enter_context(Registry(folder / "registry", broker.bootstrap))
        redis = parts.enter_context(RedisServer(folder / "redis"))
        milvus = parts.enter_context(MilvusServer(folder / "milvus"))
        os.environ |= {
            "OVERTURE_DATA_DIR": str(folder / "data"),
            "OVERTURE_KAFKA__BOOTSTRAP": broker.bootstrap,
            "OVERTURE_REGISTRY__URL": registry.url,
            "OVERTURE_REDIS__URL": redis.url,
            "OVERTURE_MILVUS__URI": milvus.uri,
            "OVERTURE_HTTP__PORT": str(free_port()),
        } | ONE_THREAD
        settings = Settings()
        asyncio.run(_fill(settings, people))
        service = HttpService(settings.http.port, folder / "http.log")
        service.start_limit_s = FILL_LIMIT_S
        service.start()
        parts.callback(service.stop)
        service.wait_ready()
        members = _family(service.pid or 0)
        _wait_indexed(service, members, items)
        feast_port = free_port()
        feast = parts.enter_context(_feast(feast_port))
        return uvloop.run(_load(settings.http.port, members, feast_port, feast, users))


async def _fill(settings: Settings, people: Population) -> None:
    settings.data_dir.mkdir()
    wiring = Wiring(settings)
    topics_admin.apply(settings.kafka, wiring.registry, ())
    await asyncio.to_thread(apply, wiring.feast_config, wiring.milvus_config)
    try:
        for some in _batched(people.items(), 2000):
            await wiring.publisher.publish([Emit(ITEM_CHANGED, item.item_id, item) for item in some])
        for counts in _batched(people.counts(), 5000):
            await wiring.publisher.publish([Emit(SONG_COUNTED, count.song_id, count) for count in counts])
        await wiring.feature_writer.push(USER_TASTE.name, list(people.users()))
    finally:
        await wiring.redis.aclose()
        wiring.close()


def _batched(records: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(records)
    while some := list(islice(rest, size)):
        yield some


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu_s(members: Iterable[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in members)


def _resident(members: Iterable[psutil.Process]) -> float:
    return sum(each.memory_info().rss for each in members) / 2**20


def _wait_indexed(service: HttpService, members: Sequence[psutil.Process], items: int) -> None:
    """Until the snapshot is whole and its index's thread has nothing left to do."""
    deadline = time.monotonic() + FILL_LIMIT_S
    whole = False
    while time.monotonic() < deadline:
        whole = whole or f"overture_snapshot_items {float(items)}" in httpx.get(service.address() + "/metrics").text
        before = _cpu_s(members)
        time.sleep(LOOK_S)
        if whole and _cpu_s(members) - before < IDLE_SHARE * LOOK_S:
            return
    raise RuntimeError("the service was not done with its index in time")


@contextmanager
def _feast(port: int) -> Iterator[list[psutil.Process]]:
    """Feast's feature server, once it answers."""
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.reading.feast_server", str(port)], cwd=REPOSITORY)
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health").raise_for_status()
                break
            except httpx.HTTPError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.2)
        yield _family(process.pid)
    finally:
        process.terminate()
        process.wait(30)


async def _load(
    port: int, service: list[psutil.Process], feast_port: int, feast: list[psutil.Process], users: int
) -> Served:
    names = [user_id(number) for number in range(users)]
    answers = [request(f"/v1/recommendations?user={name}&limit={ANSWERED}") for name in names]
    rows = [request(f"/v1/features/{USER_TASTE.name}/{name}") for name in names]
    fields = [f"{USER_TASTE.name}:{field}" for field in USER_TASTE.fields]
    asked = [orjson.dumps({"features": fields, "entities": {"user_id": [name]}}) for name in names]
    theirs = [request("/get-online-features", body) for body in asked]
    most = await _most(port, answers, service)
    spreads, medians, late = [], [], []
    for _ in range(ROUNDS):
        took = statistics.quantiles(await open_loop(port, answers, most.answers / 2, SECONDS), n=100)
        medians.append(1000 * took[49])
        late.append(1000 * took[98])
        spreads.append(took[98] / took[49])
    return Served(
        most,
        statistics.median(medians),
        statistics.median(late),
        statistics.median(spreads),
        await _most(port, rows, service),
        await _most(feast_port, theirs, feast),
        {"HTTP service": _resident(service), "Feast's feature server": _resident(feast)},
    )


async def _most(port: int, requests: Sequence[bytes], members: Sequence[psutil.Process]) -> Rate:
    """Median of a few rounds, after one that is left out."""
    await closed_loop(port, requests, CONNECTIONS, 1.0)
    answers, of_a_core = [], []
    for _ in range(ROUNDS):
        before = _cpu_s(members)
        rate = await closed_loop(port, requests, CONNECTIONS, SECONDS)
        answers.append(rate)
        of_a_core.append(rate * SECONDS / (_cpu_s(members) - before))
    return Rate(statistics.median(answers), statistics.median(of_a_core))
