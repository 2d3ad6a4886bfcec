"""Apicurio Registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx

from infra.local.errors import NotReadyError
from infra.local.java import JARS, class_path, java
from infra.local.parts.base import PROBE_S, Part
from infra.local.ports import HOST

_LOG = (
    ("io.apicurio", "WARN"),
    ("io.quarkus.vertx.http", "WARN"),
    # one line for each client and second while the broker is away
    ("org.apache.kafka.clients", "ERROR"),
)


class Registry(Part):
    """Apicurio Registry, which keeps its schemas in topics of the broker and speaks Confluent's API.

    Attributes:
        url: Base of the Confluent-compatible API.
    """

    setting = "OVERTURE_REGISTRY__URL"

    def __init__(
        self,
        folder: Path,
        bootstrap: str,
        port: int = 0,
        *,
        heap_mib: int = 384,
        jars: Path = JARS,
        log: Path | None = None,
    ) -> None:
        """Prepare a registry on the broker at `bootstrap`; the rest as for `Broker`."""
        super().__init__("registry", folder, port, log)
        self._bootstrap = bootstrap
        self._heap_mib = heap_mib
        self._jars = jars / "registry"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/apis/ccompat/v7"

    def address(self) -> str:
        return self.url

    def command(self) -> list[str]:
        class_path(self._jars)
        options = [
            f"-Xmx{self._heap_mib}m",
            "-XX:+ExitOnOutOfMemoryError",
            # it starts a third faster, and is never busy here
            "-XX:TieredStopAtLevel=1",
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            *(f'-Dquarkus.log.category."{name}".level={least}' for name, least in _LOG),
        ]
        return [java(), *options, "-jar", str(next(self._jars.glob("*-runner.jar")))]

    def environment(self) -> Mapping[str, str]:
        return {
            "APICURIO_STORAGE_KIND": "kafkasql",
            "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": self._bootstrap,
            "QUARKUS_HTTP_HOST": HOST,
            "QUARKUS_HTTP_PORT": str(self.port),
        }

    def prepare(self) -> None:
        super().prepare()
        self._scratch()

    def probe(self) -> None:
        try:
            answer = httpx.get(f"http://{HOST}:{self.port}/health/ready", timeout=PROBE_S)
        except httpx.HTTPError as error:
            raise NotReadyError(f"no answer yet: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise NotReadyError(f"it answers {answer.status_code}")
