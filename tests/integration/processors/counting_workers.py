"""Workers of a capability that counts, for tests that kill them and let them read everything again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from processors.catalogue import BY_NAME
from processors.runtime import topics_admin
from processors.runtime.kafka import client_config
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings


def wait(what: str, condition: Callable[[], bool]) -> None:
    """Until a condition holds; the limit is only against hanging."""
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Workers:
    """Workers of one capability, started and killed one by one; leaving, the rest is killed."""

    def __init__(self, folder: Path, capability: str) -> None:
        self._folder = folder
        self._capability = capability
        self._running: list[subprocess.Popen[bytes]] = []
        self._logs: list[Path] = []

    def start(self) -> None:
        self._logs.append(self._folder / f"worker-{len(self._logs)}.log")
        with self._logs[-1].open("wb") as log:
            program = Path(sys.executable).with_name("overture")
            self._running.append(
                subprocess.Popen([program, "run", self._capability], env=os.environ, stdout=log, stderr=log)
            )

    def kill(self) -> None:
        victim = self._running.pop(0)
        victim.kill()
        victim.wait()

    def wait_working(self) -> None:
        """Until the worker started last has its signal handlers and its groups: a stop before that just ends it."""
        deadline = time.monotonic() + 60
        while b" working " not in self._logs[-1].read_bytes():
            assert time.monotonic() < deadline, self._logs[-1].read_text()
            time.sleep(0.2)

    def stop(self) -> list[int]:
        self.wait_working()
        for worker in self._running:
            worker.send_signal(signal.SIGTERM)
        codes = [worker.wait(60) for worker in self._running]
        self._running.clear()
        return codes

    def close(self) -> None:
        while self._running:
            self.kill()


def worker_settings(streams_settings: Settings, monkeypatch: pytest.MonkeyPatch, capability: str) -> Settings:
    """Settings as the workers read them from the environment; the capability's topics are there."""
    values = {
        "OVERTURE_DATA_DIR": str(streams_settings.data_dir),
        "OVERTURE_KAFKA__BOOTSTRAP": streams_settings.kafka.bootstrap,
        "OVERTURE_KAFKA__SESSION_TIMEOUT_S": "6",
        "OVERTURE_KAFKA__HEARTBEAT_S": "1",
        "OVERTURE_REGISTRY__URL": streams_settings.registry.url,
        "OVERTURE_REDIS__URL": streams_settings.redis.url.get_secret_value(),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    found = Settings()
    registry = SchemaRegistry(found.registry.url)
    topics_admin.apply(found.kafka, registry, [BY_NAME[capability]])
    registry.close()
    return found


def rewind(settings: Settings, capability: str) -> None:
    """Let the group read everything again: the offsets of all that it consumes go to the beginning."""
    declared = BY_NAME[capability]
    places = [TopicPartition(t.name, p, 0) for t in declared.consumes for p in range(t.partitions)]
    admin = AdminClient(client_config(settings.kafka))
    for future in admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(declared.group, places)]).values():
        future.result()
