"""Parts of their own: a data set is built from all that the topics hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from features.apply import apply_views
from infra.local.parts import Broker, RedisServer, Registry
from processors.runtime import topics_admin
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring


@pytest.fixture(scope="module")
def wiring(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Wiring]:
    folder: Path = tmp_path_factory.mktemp("dataset")
    with Broker(folder / "broker") as broker, Registry(folder / "registry", broker.bootstrap) as registry_server:
        settings = Settings.model_validate(
            {
                "data_dir": folder / "data",
                "kafka": {"bootstrap": broker.bootstrap},
                "registry": {"url": registry_server.url},
                "redis": {"url": redis_server.url},
                "feast": {"project": "dataset"},
            }
        )
        with closing(SchemaRegistry(settings.registry.url)) as registry:
            topics_admin.apply(settings.kafka, registry, ())
        with closing(Wiring(settings)) as found:
            apply_views(found.feast_config)
            yield found
