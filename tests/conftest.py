"""Real parts for tests, each started once a session on free ports in a folder of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from infra.local.parts import Broker, MilvusServer, RedisServer, Registry
from processors.runtime import topics_admin
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as part:
        yield part


@pytest.fixture(scope="session")
def registry_server(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry"), broker.bootstrap) as part:
        yield part


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as part:
        yield part


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    with MilvusServer(tmp_path_factory.mktemp("milvus")) as part:
        yield part


@pytest.fixture(scope="session")
def streams_settings(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker, registry_server: Registry, redis_server: RedisServer
) -> Settings:
    """Settings of broker, registry and Redis; the catalogue's topics and schemas are applied."""
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path_factory.mktemp("data"),
            "kafka": {
                "bootstrap": broker.bootstrap,
                "session_timeout_s": 6,
                "heartbeat_s": 1,
                "commit_interval_s": 0.3,
            },
            "registry": {"url": registry_server.url},
            "redis": {"url": redis_server.url},
        }
    )
    with closing(SchemaRegistry(settings.registry.url)) as registry:
        topics_admin.apply(settings.kafka, registry, ())
    return settings


@pytest.fixture
def media_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def no_unexpected_errors(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in whose course something was logged at ERROR, unless it is marked ``expects_errors``."""
    structlog.contextvars.clear_contextvars()
    with caplog.at_level(logging.ERROR):
        yield
    if request.node.get_closest_marker("expects_errors"):
        return
    errors = [r for phase in ("setup", "call") for r in caplog.get_records(phase) if r.levelno >= logging.ERROR]
    assert not errors, f"unexpected ERROR logs: {[r.getMessage() for r in errors]}"
