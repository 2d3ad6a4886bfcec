from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from features.apply import apply
from infra.local.parts import MilvusServer
from infra.local.plan import HttpService
from infra.local.ports import free_port
from processors.catalogue import CAPABILITIES
from processors.runtime import topics_admin
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from tests.integration.processors.verify.world import World


@pytest.fixture(scope="module")
def verify_settings(
    streams_settings: Settings, milvus_server: MilvusServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings in the environment of a running HTTP service; the catalogue's topics and stores are made."""
    folder = tmp_path_factory.mktemp("verify")
    variables = {
        "OVERTURE_DATA_DIR": str(folder),
        "OVERTURE_KAFKA__BOOTSTRAP": streams_settings.kafka.bootstrap,
        "OVERTURE_REGISTRY__URL": streams_settings.registry.url,
        "OVERTURE_REDIS__URL": streams_settings.redis.url.get_secret_value(),
        "OVERTURE_MILVUS__URI": milvus_server.uri,
        "OVERTURE_HTTP__PORT": str(free_port()),
        "OVERTURE_FEAST__PROJECT": "verify",
    } | ({"OVERTURE_AUTH__OFF_FOR_DEVELOPMENT": "true"} if "auth" in Settings.model_fields else {})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        settings = Settings()
        with closing(SchemaRegistry(settings.registry.url)) as registry:
            topics_admin.apply(settings.kafka, registry, CAPABILITIES)
        with closing(Wiring(settings)) as wiring:
            apply(wiring.feast_config, wiring.milvus_config)
        service = HttpService(settings.http.port, folder / "http.log")
        try:
            service.start()
            service.wait_ready()
            yield settings
        finally:
            service.stop()


@pytest.fixture
async def world(verify_settings: Settings, tmp_path: Path) -> AsyncIterator[World]:
    wiring = Wiring(verify_settings)
    yield World(wiring)
    await wiring.redis.aclose()
    wiring.close()
