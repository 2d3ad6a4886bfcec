"""The service with a version of the recommender in use, and beside it, in the same server, the floor.

Granian calls `application` in its process; what it is to hold stands in the environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from granian import Granian
from granian.constants import Interfaces

from infra.local.parts import RedisServer
from infra.local.ports import free_port
from models.bundled_recommender import BundledRecommender
from models.ranker import RankingWeights
from models.recommender_bundle import open_bundle
from processors.runtime.settings import Settings
from processors.serving.app import create_app
from tests.bench.reading.filled import filled, store_users
from tests.bench.reading.learned_floor import LearnedFloor
from tests.bench.reading.synthetic import Population, population
from tests.bench.reading.turns import ONE_THREAD, REPOSITORY

TOLD = "BENCH_LEARNED_READS"
FLOOR = "/floor"
FILL_LIMIT_S = 600.0
NEVER = sys.maxsize
"""The content's space is searched only where the learned one finds too little: no index is built for it here."""


@dataclass(frozen=True)
class Held:
    """What the server is to hold; JSON in the environment.

    Attributes:
        bundle: Folder of the version.
        items: Items.
        users: Users.
        recent: Last plays of each.
        ranked: Items that the floor's ranker scores.
        answered: Items in one of its answers.
        now: Time that everything is dated by, ISO 8601.
    """

    bundle: str
    items: int
    users: int
    recent: int
    ranked: int
    answered: int
    now: str = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0).isoformat())

    def people(self) -> Population:
        """Items and users."""
        version = open_bundle(Path(self.bundle)).manifest.content_version
        now = datetime.fromisoformat(self.now)
        return population(self.items, self.users, now, recent=self.recent, version=version)


def application() -> Any:
    """ASGI factory: the service, and the floor under `FLOOR`."""
    held, settings = Held(**json.loads(os.environ[TOLD])), Settings()
    people, folder = held.people(), Path(held.bundle)
    bundle = open_bundle(folder)
    parts, wiring = filled(people, settings, BundledRecommender(bundle, RankingWeights()), exact_below=NEVER)
    space = parts.catalogue.learned
    if space is None:
        raise RuntimeError("no version is in use")
    service = create_app(parts)
    floor = LearnedFloor(people, parts.catalogue, space, bundle, folder, wiring.redis, held.ranked, held.answered)

    async def both(scope: Any, receive: Any, send: Any) -> None:
        answering = floor if scope.get("path", "").startswith(FLOOR) else service
        await answering(scope, receive, send)

    return both


@contextmanager
def server(held: Held) -> Iterator[tuple[int, int]]:
    """Port of a server of its own process, filled and ready, and the id of the process that answers."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        redis = stack.enter_context(RedisServer(folder / "redis"))
        settings = Settings.model_validate({"data_dir": folder / "data", "redis": {"url": redis.url}})
        asyncio.run(store_users(settings, held.people()))
        port = free_port()
        given = {
            TOLD: json.dumps(vars(held)),
            "OVERTURE_DATA_DIR": str(settings.data_dir),
            "OVERTURE_REDIS__URL": redis.url,
            "PYTHONPATH": str(REPOSITORY),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.reading.learned_server", str(port)],
            cwd=REPOSITORY,
            env=os.environ | ONE_THREAD | given,
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        _wait(process, port)
        (worker,) = psutil.Process(process.pid).children()
        yield port, worker.pid


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + FILL_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.5)
        else:
            return
    raise RuntimeError(f"the server did not come up within {FILL_LIMIT_S} s, exit code {process.poll()}")


def main() -> None:
    Granian(
        "tests.bench.reading.learned_server:application",
        factory=True,
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGI,
        workers=1,
        log_access=False,
    ).serve()


if __name__ == "__main__":
    main()
