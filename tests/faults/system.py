"""The whole system as processes that a test can hurt, and what looks after them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from infra.local.parts import Broker, MilvusServer, Part, RedisServer, Registry
from infra.local.plan import Command, HttpService
from infra.local.ports import free_port
from infra.local.service import REPOSITORY, Service, log_tail
from processors.catalogue import CAPABILITIES
from processors.runtime.settings import Settings
from processors.tools.verify.rest import lags
from schemas.errors import UnavailableError
from tests.faults.load import Load

LIGHT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
UPLOAD_PATH = tuple(c.name for c in CAPABILITIES if c.name != "play_aggregation")
ONCE_LIMIT_S = 120.0
REST_LIMIT_S = 300.0
LOOK_S = 1.0
MOST_FAILURES = 25


class FaultWorker(Service):
    """One capability in one process.

    Attributes:
        capability: Its name.
        failures: How often it ended by itself with an error.
    """

    def __init__(self, capability: str, log: Path, number: int = 0) -> None:
        super().__init__(f"{capability}-{number}", log)
        self.capability = capability
        self.failures = 0

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.faults.worker", self.capability]

    def environment(self) -> Mapping[str, str]:
        return LIGHT

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        assert self.pid is not None
        os.kill(self.pid, number)


@dataclass
class System:
    """Real parts, a worker process for each capability, and the HTTP service, in a folder of their own.

    Dead workers are started again by ``tick``, which every wait of this class calls.

    Attributes:
        folder: Everything is below it.
        brokers: One node or a cluster.
        workers: Worker processes.
        restarts: Workers that were found dead and started again.
    """

    folder: Path
    brokers: list[Broker]
    variables: Mapping[str, str] = field(default_factory=dict)
    workers: list[FaultWorker] = field(default_factory=list)
    restarts: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        bootstrap = ",".join(b.bootstrap for b in self.brokers)
        self.redis = RedisServer(self.folder / "redis")
        self.milvus = MilvusServer(self.folder / "milvus")
        self.registry = Registry(self.folder / "registry", bootstrap)
        with ExitStack() as stack:
            variables = {
                "OVERTURE_DATA_DIR": str(self.folder / "data"),
                # made by `make models`, for every folder of data
                "OVERTURE_MODELS__FOLDER": str(Settings().models_folder.resolve()),
                "OVERTURE_KAFKA__BOOTSTRAP": bootstrap,
                "OVERTURE_REGISTRY__URL": self.registry.url,
                "OVERTURE_REDIS__URL": self.redis.url,
                "OVERTURE_MILVUS__URI": self.milvus.uri,
                "OVERTURE_HTTP__PORT": str(free_port()),
                **self.variables,
            }
            if "auth" in Settings.model_fields:
                variables["OVERTURE_AUTH__OFF_FOR_DEVELOPMENT"] = "true"
            kept = {name: os.environ.get(name) for name in variables}
            stack.callback(_restore, kept)
            os.environ.update(variables)
            self.settings = Settings()
            parts: list[Part] = [*self.brokers, self.redis, self.milvus]
            for part in parts:
                stack.callback(part.stop)
                part.start()
            for part in parts:
                part.wait_ready(ONCE_LIMIT_S)
            stack.enter_context(self.registry)
            for arguments in (("topics", "apply"), ("features", "apply")):
                run_once(arguments, self.folder / f"{arguments[0]}.log")
            self.service = HttpService(self.settings.http.port, self.folder / "http.log")
            stack.callback(self.service.stop)
            self.service.start()
            for name in UPLOAD_PATH:
                self.add_worker(name)
            stack.callback(self._stop_workers)
            self.service.wait_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add_worker(self, capability: str) -> FaultWorker:
        """Start one more worker of a capability."""
        number = sum(w.capability == capability for w in self.workers)
        worker = FaultWorker(capability, self.folder / f"{capability}-{number}.log", number)
        worker.start()
        self.workers.append(worker)
        return worker

    def drop_worker(self, worker: FaultWorker, *, grace_s: float = 40.0) -> None:
        """Stop a worker for good."""
        self.workers.remove(worker)
        worker.stop(grace_s)

    def worker_of(self, capability: str) -> FaultWorker:
        """The first worker of a capability."""
        return next(w for w in self.workers if w.capability == capability)

    def tick(self) -> None:
        """Start again what has died, as the supervisor does."""
        for worker in self.workers:
            if not worker.running:
                worker.failures += (worker.exit_code() or 0) > 0
                assert worker.failures < MOST_FAILURES, f"{worker.name} does not run; {log_tail(worker.log, 30)}"
                self.restarts += 1
                worker.start()

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.tick()
            time.sleep(0.1)

    def wait_for(self, what: str, condition: Callable[[], bool], limit_s: float = REST_LIMIT_S) -> float:
        """Wait until ``condition``; seconds that it took."""
        started = time.monotonic()
        while not condition():
            assert time.monotonic() - started < limit_s, f"{what} did not come about; {self.tails()}"
            self.go_on(LOOK_S)
        return time.monotonic() - started

    def rest(self) -> float:
        """Wait until everything is done; seconds that it took."""
        return self.wait_for("rest", self._quiet)

    def _quiet(self) -> bool:
        try:
            return not lags(self.settings.kafka)
        except UnavailableError:
            return False

    def verify(self, log: Path, *options: str) -> dict[str, Any]:
        """Run ``overture verify`` on a client's log; its JSON. Fails unless everything is as promised."""
        command = [sys.executable, "-m", "processors", "verify", "--log", str(log), "--json", "--wait", "20", *options]
        answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
        assert answer.stdout, answer.stderr[-3000:]
        found: dict[str, Any] = json.loads(answer.stdout)
        wrong = {c["name"]: c["first"][:5] for c in found["checks"] if not c["ok"]}
        assert not wrong, f"{json.dumps(wrong, indent=1)}\n{self.tails()}"
        assert answer.returncode == 0
        return found

    def load(self, name: str, rate: float, *, seed: int, **more: float) -> Load:
        """A load generator with a log of its own."""
        return Load(self.service.address(), self.folder / f"{name}.jsonl", rate, seed=seed, **more)

    def tails(self) -> str:
        """The ends of the logs."""
        return "\n".join(f"--- {p.name}\n{log_tail(p, 6)}" for p in sorted(self.folder.glob("*.log")))

    def _stop_workers(self) -> None:
        for worker in self.workers:
            if worker.running:
                worker.send(signal.SIGCONT)
            worker.terminate()
        for worker in self.workers:
            worker.stop()


def run_once(arguments: Sequence[str], log: Path) -> None:
    """Run ``overture ARGUMENTS`` to its end."""
    once = Command(arguments[0], tuple(arguments), log)
    once.start()
    deadline = time.monotonic() + ONCE_LIMIT_S
    while once.running:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    assert once.exit_code() == 0, log.read_text()


def _restore(kept: Mapping[str, str | None]) -> None:
    for name, value in kept.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
