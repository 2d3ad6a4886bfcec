"""Milvus Lite."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from infra.local.parts.base import Part
from infra.local.ports import HOST


class MilvusServer(Part):
    """Milvus Lite as a server, so that several processes can use it. For small data.

    Attributes:
        uri: What pymilvus connects to.
    """

    setting = "OVERTURE_MILVUS__URI"
    # the only signal at which it closes its database
    stop_signal = signal.SIGINT

    def __init__(self, folder: Path, port: int = 0, *, log: Path | None = None) -> None:
        """Prepare a server; see `Part`."""
        super().__init__("milvus", folder, port, log)

    @property
    def uri(self) -> str:
        return f"http://{HOST}:{self.port}"

    def address(self) -> str:
        return self.uri

    def command(self) -> list[str]:
        program = [sys.executable, "-u", "-m", "milvus_lite", "server"]
        # without --host it listens on every interface, and it knows no passwords
        return [*program, f"--data-dir={self.folder / 'data'}", f"--host={HOST}", f"--port={self.port}"]

    def probe(self) -> None:
        # it listens only after its data is open
        self._require_listening()
