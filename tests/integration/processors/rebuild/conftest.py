"""Parts of their own: a rebuild reads whole topics and empties whole stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from features.apply import apply
from infra.local.parts import Broker, MilvusServer, RedisServer, Registry
from processors.catalogue import BY_NAME
from processors.runtime import topics_admin
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from tests.loading import load

HERE = Path(__file__).parent
FILLING = ("item_indexing", "item_mapping", "play_aggregation", "user_profile", "avatar_publication")
"""Capabilities that fill what can be rebuilt."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("rebuild")
    with (
        Broker(folder / "broker") as broker,
        Registry(folder / "registry", broker.bootstrap) as registry_server,
        RedisServer(folder / "redis") as redis_server,
        MilvusServer(folder / "milvus") as milvus_server,
        pytest.MonkeyPatch.context() as patch,
    ):
        variables = {
            "OVERTURE_DATA_DIR": str(folder / "data"),
            # made by `make models`, for every folder of data
            "OVERTURE_MODELS__FOLDER": str(Settings().models_folder.resolve()),
            "OVERTURE_KAFKA__BOOTSTRAP": broker.bootstrap,
            "OVERTURE_KAFKA__SESSION_TIMEOUT_S": "6",
            "OVERTURE_KAFKA__HEARTBEAT_S": "1",
            "OVERTURE_KAFKA__COMMIT_INTERVAL_S": "0.3",
            "OVERTURE_REGISTRY__URL": registry_server.url,
            "OVERTURE_REDIS__URL": redis_server.url,
            "OVERTURE_MILVUS__URI": milvus_server.uri,
        }
        for name, value in variables.items():
            patch.setenv(name, value)
        found = Settings()
        with closing(SchemaRegistry(found.registry.url)) as registry:
            topics_admin.apply(found.kafka, registry, [BY_NAME[name] for name in FILLING])
        wiring = Wiring(found)
        apply(wiring.feast_config, wiring.milvus_config)
        wiring.close()
        yield found


@pytest.fixture
def world(settings: Settings, tmp_path: Path) -> Iterator[Any]:
    """Topics with items and plays, and the workers."""
    found = load(HERE / "world.py").World(settings, tmp_path)
    yield found
    found.close()
