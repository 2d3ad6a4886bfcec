"""Redis."""

from __future__ import annotations

import shutil
from pathlib import Path

import redis

from infra.local.errors import NotReadyError, ProgramMissingError
from infra.local.parts.base import PROBE_S, Part
from infra.local.ports import HOST


class RedisServer(Part):
    """Redis with an append-only file, synced to disk once a second.

    Attributes:
        url: `redis://` URL of database 0, with the password if there is one.
    """

    setting = "OVERTURE_REDIS__URL"

    def __init__(self, folder: Path, port: int = 0, *, password: str = "", log: Path | None = None) -> None:
        """Prepare a server; see `Part`. An empty `password` asks for none."""
        super().__init__("redis", folder, port, log)
        self._password = password

    @property
    def url(self) -> str:
        secret = f":{self._password}@" if self._password else ""
        return f"redis://{secret}{HOST}:{self.port}/0"

    def address(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def command(self) -> list[str]:
        found = shutil.which("redis-server")
        if found is None:
            raise ProgramMissingError("the program redis-server is not on PATH; `make system` installs it")
        return [found, str(self.folder / "redis.conf")]

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "data").mkdir(exist_ok=True)
        config = self.folder / "redis.conf"
        config.touch(mode=0o600)
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f'dir "{self.folder / "data"}"',
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            # the append-only file is the one copy; a second one would only cost writes
            'save ""',
            "maxmemory-policy noeviction",
        ]
        if self._password:
            lines.append(f'requirepass "{self._password}"')
        config.write_text("\n".join(lines) + "\n")

    def probe(self) -> None:
        client = redis.Redis.from_url(self.url, socket_timeout=PROBE_S, socket_connect_timeout=PROBE_S)
        try:
            client.ping()
        except redis.RedisError as error:
            raise NotReadyError(f"no answer yet: {error}") from error
        finally:
            client.close()
