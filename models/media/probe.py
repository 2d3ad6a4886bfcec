"""What the sandbox really stops, tried from the inside at start."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path


def _succeeds(action: Callable[[], object]) -> bool:
    try:
        action()
    except OSError:
        return False
    return True


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _run_program() -> None:
    """In a child of its own, because success would replace this process."""
    pid = os.fork()
    if pid == 0:
        try:
            os.execv("/bin/true", ["true"])  # noqa: S606 - the attempt is the point
        finally:
            os._exit(9)
    if os.waitpid(pid, 0)[1] != 0:
        raise PermissionError


def _connect(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.connect(("127.0.0.1", 9))


def attempts() -> dict[str, bool]:
    """Forbidden action -> whether it was possible. All must be false in a confined child."""
    return {
        "read_file": _succeeds(lambda: Path("/etc/passwd").read_bytes()),
        "read_own_environment": _succeeds(lambda: Path("/proc/self/environ").read_bytes()),
        "list_directory": _succeeds(lambda: list(Path("/").iterdir())),
        "write_file": _succeeds(lambda: Path("/tmp/overture-probe").write_bytes(b"x")),  # noqa: S108
        "run_program": _succeeds(_run_program),
        "fork": _succeeds(_fork),
        "udp": _succeeds(lambda: _connect(socket.SOCK_DGRAM)),
        "unix_socket": _succeeds(lambda: socket.socket(socket.AF_UNIX).close()),
        "signal_parent": _succeeds(lambda: os.kill(os.getppid(), 0)),
    }
