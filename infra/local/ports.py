"""Ports on 127.0.0.1: choosing one, and saying who holds one that is taken."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

from infra.local.errors import PortTakenError

HOST = "127.0.0.1"
_LISTEN = "0A"
_given: set[int] = set()


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of 127.0.0.1 now."""
    with socket.socket() as probe:
        # as every server here does it; without it a port that was just closed looks taken
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nobody holds, never the same twice in one process.

    It lies below the range that the kernel gives to outgoing connections: in that range, while a
    killed server is away, a client that tries to reconnect can be given the server's own port,
    connects to itself and keeps the server from coming back.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        port = random.randrange(20_000, max(lowest, 20_500))  # noqa: S311 (no secret)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise PortTakenError("no free port was found between 20000 and " + str(lowest))


def require_free(port: int, wanted_by: str, setting: str) -> None:
    """Do nothing if `port` is free.

    Raises:
        PortTakenError: names the holder and the setting that moves the port.
    """
    if not is_free(port):
        raise PortTakenError(
            f"port {port} of {HOST}, wanted by {wanted_by}, is taken by {holder(port)}. "
            f"End that program, or choose another port with {setting}."
        )


def holder(port: int) -> str:
    """`redis-server (pid 812)`, or `another process` where the kernel does not let us see."""
    sockets = _listening_inodes(port)
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        if sockets & _handles(folder):
            with suppress(OSError):
                return f"{(folder / 'comm').read_text().strip()} (pid {folder.name})"
    return "another process"


def _handles(process: Path) -> set[str]:
    """What a process has open; handles and processes come and go meanwhile."""
    found = set()
    with suppress(OSError):
        for handle in (process / "fd").iterdir():
            with suppress(OSError):
                found.add(str(handle.readlink()))
    return found


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                column = line.split()
                if column[3] == _LISTEN and int(column[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{column[9]}]")
    return found
