"""The whole system on real parts, as ``make up`` starts it, on free ports and in a folder of its own.

It ends with its module: its workers share the broker with tests that count what their own workers do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from infra.local.parts import Broker, MilvusServer, RedisServer, Registry
from infra.local.plan import WORKERS as GROUPS
from infra.local.plan import Command, HttpService, Worker
from infra.local.ports import free_port
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring


@dataclass(frozen=True)
class Running:
    """A running system.

    Attributes:
        settings: Its settings.
        api: Client of its HTTP service.
        wiring: Direct access to its stores, to look behind the service.
        workers: Its worker processes by name.
    """

    settings: Settings
    api: httpx.Client
    wiring: Wiring
    workers: dict[str, Worker]


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory,
    broker: Broker,
    registry_server: Registry,
    redis_server: RedisServer,
    milvus_server: MilvusServer,
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("system")
    variables = {
        "OVERTURE_DATA_DIR": str(folder),
        # made by `make models`, once for all
        "OVERTURE_MODELS__FOLDER": str(Settings().models_folder.resolve()),
        "OVERTURE_KAFKA__BOOTSTRAP": broker.bootstrap,
        "OVERTURE_REGISTRY__URL": registry_server.url,
        "OVERTURE_REDIS__URL": redis_server.url,
        "OVERTURE_MILVUS__URI": milvus_server.uri,
        "OVERTURE_HTTP__PORT": str(free_port()),
        "OVERTURE_ERASURE__SETTLE_S": "3",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        settings = Settings()
        for arguments in (("topics", "apply"), ("features", "apply")):
            once = Command(arguments[0], arguments, folder / f"{arguments[0]}.log")
            once.start()
            while once.running:
                os.sched_yield()
            assert once.exit_code() == 0, once.log.read_text()
        workers = {n: Worker(n, names, broker.bootstrap, folder / f"{n}.log") for n, names in GROUPS.items()}
        service = HttpService(settings.http.port, folder / "http.log")
        started = [*workers.values(), service]
        wiring = Wiring(settings)
        try:
            for each in started:
                each.start()
            for each in started:
                each.wait_ready()
            with httpx.Client(base_url=service.address(), timeout=30) as api:
                yield Running(settings, api, wiring, workers)
        finally:
            for each in reversed(started):
                each.stop()
            wiring.close()
