"""What the stack consists of, derived from the settings."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from infra.local import groups
from infra.local.errors import NotReadyError, ProgramMissingError, StackError
from infra.local.parts import Broker, MilvusServer, Part, RedisServer, Registry
from infra.local.ports import HOST, require_free
from infra.local.service import REPOSITORY, Service
from infra.local.supervise import Unit
from processors.runtime.settings import Settings

WORKERS: Mapping[str, tuple[str, ...]] = {
    "worker-media": ("media_analysis",),
    "worker-content": ("content_moderation", "content_embedding", "content_classification"),
    "worker-avatars": ("avatar_moderation",),
    "worker-items": (
        "item_publication",
        "item_indexing",
        "item_mapping",
        "avatar_publication",
        "fraud_clustering",
        "review_settlement",
        "play_aggregation",
        "exposure_counting",
        "user_profile",
        "user_erasure",
        "media_erasure",
    ),
}
"""Processes of the local stack, and the capabilities each of them runs."""

METRICS_PORT = "OVERTURE_WORKER__METRICS_PORT"
FIRST_METRICS_PORT = 19101
"""Port of the first worker's metrics, unless the settings name another; those of the others follow."""

HEALTH_PATH = "/readyz"
AUTH_OFF = "OVERTURE_AUTH__OFF_FOR_DEVELOPMENT"
_PROBE_S = 2.0


class Command(Service):
    """`overture ARGUMENTS...` of this environment."""

    def __init__(self, name: str, arguments: tuple[str, ...], log: Path) -> None:
        super().__init__(name, log)
        self._arguments = arguments

    def command(self) -> list[str]:
        program = Path(sys.executable).with_name("overture")
        if not program.exists():
            raise ProgramMissingError(f"{program} is not there; `make env` installs it")
        return [str(program), *self._arguments]

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONUNBUFFERED": "1"}


class Worker(Command):
    """Some capabilities in one process; ready when each has its partitions."""

    start_limit_s = 120.0

    def __init__(
        self, name: str, capabilities: tuple[str, ...], bootstrap: str, log: Path, *, metrics_port: int = 0
    ) -> None:
        super().__init__(name, ("run", *capabilities), log)
        self._metrics_port = metrics_port
        # as processors.runtime.processor.Capability.group has it
        self._groups = [name.replace("_", "-") for name in capabilities]
        self._bootstrap = bootstrap
        self._next_probe = 0.0

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), METRICS_PORT: str(self._metrics_port)}

    def require(self) -> None:
        super().require()
        if self._metrics_port:
            require_free(self._metrics_port, self.name, METRICS_PORT)

    def address(self) -> str:
        return f"http://{HOST}:{self._metrics_port}/metrics" if self._metrics_port else ""

    def probe(self) -> None:
        if time.monotonic() < self._next_probe:
            raise NotReadyError("asked a moment ago")
        self._next_probe = time.monotonic() + 1.0
        program = [sys.executable, "-m", groups.__name__, self._bootstrap, *self._groups]
        try:
            answer = subprocess.run(  # noqa: S603
                program, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=10
            )
        except subprocess.TimeoutExpired as error:
            raise NotReadyError("no answer about its consumer groups") from error
        if answer.returncode:
            raise NotReadyError(answer.stderr.strip())


class HttpService(Command):
    """The HTTP service; ready when its health check says so."""

    start_limit_s = 120.0

    def __init__(self, port: int, log: Path, *, auth_off: bool = True) -> None:
        super().__init__("http", ("serve",), log)
        self._port = port
        self._auth_off = auth_off

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), AUTH_OFF: str(self._auth_off).lower()}

    def require(self) -> None:
        super().require()
        require_free(self._port, self.name, "OVERTURE_HTTP__PORT")

    def address(self) -> str:
        return f"http://{HOST}:{self._port}"

    def probe(self) -> None:
        try:
            answer = httpx.get(self.address() + HEALTH_PATH, timeout=_PROBE_S)
        except httpx.HTTPError as error:
            raise NotReadyError(f"no answer yet: {error}") from error
        if not answer.is_success:
            raise NotReadyError(f"{HEALTH_PATH} answers {answer.status_code}")


def parts(settings: Settings) -> list[Part]:
    """Broker, registry, Redis and Milvus Lite as the settings want them.

    Raises:
        StackError: the settings name a server on another machine.
    """
    data = settings.data_dir.resolve()
    logs = logs_folder(settings)
    broker_port = _port(f"kafka://{settings.kafka.bootstrap}", Broker)
    redis_url = settings.redis.url.get_secret_value()
    broker = Broker(data / "broker", broker_port, controller_port=broker_port + 1, log=logs / "broker.log")
    return [
        broker,
        RedisServer(
            data / "redis",
            _port(redis_url, RedisServer),
            password=urlsplit(redis_url).password or "",
            log=logs / "redis.log",
        ),
        MilvusServer(data / "milvus", _port(settings.milvus.uri, MilvusServer), log=logs / "milvus.log"),
        Registry(
            data / "registry",
            broker.bootstrap,
            _port(settings.registry.url, Registry),
            log=logs / "registry.log",
        ),
    ]


def units(settings: Settings) -> list[Unit]:
    """Everything the stack runs, with its order.

    Raises:
        StackError: see `parts`.
    """
    logs = logs_folder(settings)
    found = parts(settings)
    servers = tuple(part.name for part in found)
    first_port = settings.worker.metrics_port or FIRST_METRICS_PORT
    return [
        *(Unit(part, needs=("broker",) if part.name == "registry" else ()) for part in found),
        Unit(Command("topics", ("topics", "apply"), logs / "topics.log"), servers, once=True),
        Unit(Command("features", ("features", "apply"), logs / "features.log"), servers, once=True),
        *(
            Unit(
                Worker(
                    name, capabilities, settings.kafka.bootstrap, logs / f"{name}.log", metrics_port=first_port + index
                ),
                (*servers, "topics", "features"),
            )
            for index, (name, capabilities) in enumerate(WORKERS.items())
        ),
        Unit(
            HttpService(settings.http.port, logs / "http.log", auth_off=auth_off(settings)),
            (*servers, "topics", "features"),
        ),
    ]


def auth_off(settings: Settings) -> bool:
    """Whether the stack's service asks for no API keys: so it is, unless the settings say otherwise."""
    chosen = "off_for_development" in settings.auth.model_fields_set
    return settings.auth.off_for_development if chosen else True


def logs_folder(settings: Settings) -> Path:
    """Folder of all logs of the stack."""
    return settings.data_dir.resolve() / "logs"


def _port(url: str, part: type[Part]) -> int:
    address = urlsplit(url)
    if address.hostname not in (HOST, "localhost") or not address.port:
        raise StackError(
            f"{part.setting} names {address.hostname}:{address.port}; "
            f"the local stack starts its parts on {HOST} and a fixed port only"
        )
    return address.port
