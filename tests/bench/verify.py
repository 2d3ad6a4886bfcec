"""How long ``overture verify`` takes on a system with many uploads.

The parts are real: broker, registry, Redis, Milvus Lite, files and the HTTP service. The uploads are written by the
product's own publisher, stores and writers, with an end but without the way there; a few of them break the promise in
every way that the tests know. ``python -m tests.bench.verify [--items N]``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import track

from features.apply import apply
from infra.local.parts import Broker, MilvusServer, RedisServer, Registry
from infra.local.plan import HttpService
from infra.local.ports import free_port
from processors.catalogue import CAPABILITIES
from processors.runtime import topics_admin
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from tests.bench.report import Figure, Report, Table
from tests.integration.processors.verify.broken import BROKEN
from tests.integration.processors.verify.world import World

BATCH = 1000
ITEMS = 100_000
LIMIT_S = 300.0


@dataclass(frozen=True)
class Run:
    """One run of the command.

    Attributes:
        document: What it printed.
        wall_s: From start to end of its process.
        cpu_s: Of its process, user and system.
        peak_mib: Largest resident memory of its process.
    """

    document: dict[str, Any]
    wall_s: float
    cpu_s: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=ITEMS)
    items = parser.parse_args().items
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _parts(folder) as settings:
            log = folder / "accepted.jsonl"
            culprits = asyncio.run(_load(settings, items, log))
            with _service(settings, folder):
                hashed, present = _verify(log, "hash"), _verify(log, "present")
    _report(items, culprits, hashed, present).publish()


@contextmanager
def _parts(folder: Path) -> Iterator[Settings]:
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker"))
        registry = stack.enter_context(Registry(folder / "registry", broker.bootstrap))
        redis = stack.enter_context(RedisServer(folder / "redis"))
        milvus = stack.enter_context(MilvusServer(folder / "milvus"))
        os.environ |= {
            "OVERTURE_DATA_DIR": str(folder / "data"),
            "OVERTURE_KAFKA__BOOTSTRAP": broker.bootstrap,
            "OVERTURE_REGISTRY__URL": registry.url,
            "OVERTURE_REDIS__URL": redis.url,
            "OVERTURE_MILVUS__URI": milvus.uri,
            "OVERTURE_HTTP__PORT": str(free_port()),
        }
        settings = Settings()
        with closing(SchemaRegistry(settings.registry.url)) as client:
            topics_admin.apply(settings.kafka, client, CAPABILITIES)
        yield settings


async def _load(settings: Settings, items: int, log: Path) -> dict[str, str]:
    """Write the uploads and the client's log; id -> check of those that break the promise."""
    wiring = Wiring(settings)
    try:
        await asyncio.to_thread(apply, wiring.feast_config, wiring.milvus_config)
        world = World(wiring)
        for start in track(range(0, items, BATCH), description="writing uploads"):
            await world.published(min(BATCH, items - start))
        culprits = {await plant(world): check for plant, check, _ in BROKEN}
        world.rest()
        world.write_log(log)
        return culprits
    finally:
        await wiring.redis.aclose()
        wiring.close()


@contextmanager
def _service(settings: Settings, folder: Path) -> Iterator[None]:
    service = HttpService(settings.http.port, folder / "http.log")
    try:
        service.start()
        service.wait_ready()
        yield
    finally:
        service.stop()


def _verify(log: Path, objects: str) -> Run:
    command = [sys.executable, "-m", "processors", "verify", "--log", str(log), "--json", "--objects", objects]
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            sys.exit(f"verify ended with {process.returncode}")
        output.seek(0)
        document = json.loads(output.read())
    return Run(document, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _report(items: int, culprits: dict[str, str], hashed: Run, present: Run) -> Report:
    blamed = {(f["id"], c["name"]) for c in hashed.document["checks"] for f in c["first"]}
    found = sum(each in blamed for each in culprits.items())
    others = {who for who, _ in blamed} - culprits.keys()
    report = Report(
        "verify",
        "`overture verify` on a large system",
        f"{items:,} published uploads with five records each, two objects, a feature row and two vectors, and "
        f"{len(culprits)} that break the promise, each in its own way.",
        [
            Figure("seconds, every object read and compared", hashed.wall_s, "<=", LIMIT_S * items / ITEMS),
            Figure("uploads that break the promise, found", found, "==", len(culprits)),
            Figure("others that were blamed", len(others), "==", 0),
            Figure("largest memory, MiB", hashed.peak_mib),
        ],
    )
    steps = [(name, seconds, present.document["steps"].get(name)) for name, seconds in hashed.document["steps"].items()]
    whole = [
        ("the process from start to end", hashed.wall_s, present.wall_s),
        ("its CPU time", hashed.cpu_s, present.cpu_s),
    ]
    report.tables.append(Table("Seconds", ("step", "--objects hash", "--objects present"), [*steps, *whole]))
    report.notes.append("One run each, one after the other; service, broker and stores share the machine.")
    return report


if __name__ == "__main__":
    main()
