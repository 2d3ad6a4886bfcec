"""What the parts have in common."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import ClassVar, Self

from infra.local.errors import NotReadyError
from infra.local.ports import HOST, free_port, require_free
from infra.local.service import Service

PROBE_S = 1.0
"""Seconds that a probe waits for an answer."""


class Part(Service):
    """A server with a folder and a port.

    Attributes:
        folder: Configuration and data; kept over `kill` and `stop`, so a restart finds its data.
        port: Where it listens on 127.0.0.1.
        setting: Environment variable that moves the port of the stack's own part.
    """

    setting: ClassVar[str]

    def __init__(self, name: str, folder: Path, port: int = 0, log: Path | None = None) -> None:
        """Choose a free port if `port` is 0, and `<folder>/<name>.log` if `log` is None."""
        self.folder = folder.resolve()
        self.port = port or free_port()
        super().__init__(name, log or self.folder / f"{name}.log")

    def ports(self) -> tuple[int, ...]:
        """All ports it listens on."""
        return (self.port,)

    def working_folder(self) -> Path:
        return self.folder

    def require(self) -> None:
        super().require()
        for port in self.ports():
            require_free(port, self.name, self.setting)

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _require_listening(self) -> None:
        try:
            socket.create_connection((HOST, self.port), timeout=PROBE_S).close()
        except OSError as error:
            raise NotReadyError(f"nothing answers on port {self.port}") from error

    def _scratch(self) -> Path:
        # native libraries are unpacked there at each start and stay behind after a SIGKILL
        scratch = self.folder / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        return scratch
