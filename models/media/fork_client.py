"""The worker's side of the fork server: start it, hand it a descriptor, wait, kill, start again."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import mmap
import os
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import models
from models.media.limits import Limits
from schemas.errors import UnavailableError

_BOOT = (
    "import sys; sys.path[:0] = sys.argv[3:]; from models.media.zygote import main; main(int(sys.argv[1]), sys.argv[2])"
)
_ENVIRONMENT = {
    "PATH": os.defpath,
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # a child pays for each page that it touches first: huge pages for buffers, and freed ones are used again
    "GLIBC_TUNABLES": ":".join(
        f"glibc.malloc.{name}" for name in ("hugetlb=1", "mmap_threshold=67108864", "trim_threshold=67108864")
    ),
}
_START_S = 60.0
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Outcome:
    """What came back from one child.

    Attributes:
        data: Bytes of the result pipe, writable.
        exit_code: As ``subprocess``: negative for a signal; None when the server itself died.
        timed_out: The wall clock ran out and the child was killed.
        overflowed: The child sent more than ``max_result_bytes`` and was killed.
    """

    data: memoryview
    exit_code: int | None
    timed_out: bool = False
    overflowed: bool = False


class ForkServer:
    """One fork server process, restarted when it dies. Thread-safe.

    Args:
        entry: ``package.module:function`` that the children run.
        search_path: Folders in front of ``sys.path`` of the server, besides the project's own.
    """

    def __init__(self, entry: str, search_path: tuple[Path, ...] = ()) -> None:
        root = Path(next(iter(models.__path__))).parent
        self._entry = entry
        self._path = [str(root), *map(str, search_path)]
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self.hello: dict[str, Any] = {}

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the server, 0 while none runs."""
        return self._process.pid if self._process is not None else 0

    def run(self, kind: str, source: int, size: int, limits: Limits) -> Outcome:
        """Analyse the file behind the descriptor ``source`` in a fresh child.

        Raises:
            UnavailableError: The server cannot be started.
        """
        result, result_child = os.pipe2(os.O_CLOEXEC)
        # a user with very many pipes gets none so large, and a small one will do
        with contextlib.suppress(PermissionError):
            fcntl.fcntl(result, fcntl.F_SETPIPE_SZ, _CHUNK)
        status, status_child = os.pipe2(os.O_CLOEXEC)
        number = next(self._numbers)
        request = {"id": number, "kind": kind, "size": size, "limits": vars(limits)}
        try:
            try:
                self._send(request, [source, result_child, status_child])
            finally:
                os.close(result_child)
                os.close(status_child)
            return self._collect(number, result, status, limits)
        finally:
            os.close(result)
            os.close(status)

    def close(self) -> None:
        """Stop the server and with it every child."""
        with self._lock:
            self._stop()

    def _send(self, request: dict[str, Any], descriptors: list[int]) -> None:
        message = json.dumps(request).encode()
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            try:
                self._send_now(message, descriptors)
            except OSError:  # died since the last item
                self._start()
                self._send_now(message, descriptors)

    def _send_now(self, message: bytes, descriptors: list[int]) -> None:
        if self._control is None:
            raise UnavailableError("the media fork server is closed", code="decoder-away")
        socket.send_fds(self._control, [message], descriptors)

    def _start(self) -> None:
        self._stop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = [sys.executable, "-I", "-c", _BOOT, str(theirs.fileno()), self._entry]
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own code
                [*arguments, *self._path],
                env=_ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._control = ours
        ours.settimeout(_START_S)
        try:
            hello = ours.recv(_CHUNK)
        except TimeoutError:
            hello = b""
        if not hello:
            self._stop()
            raise UnavailableError("the media fork server did not start", code="decoder-away")
        self.hello = json.loads(hello)

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _kill(self, number: int) -> None:
        with self._lock:
            if self._control is not None:
                try:
                    self._control.send(json.dumps({"kill": number}).encode())
                except OSError:  # a dead server has no children left
                    return

    def _collect(self, number: int, result: int, status: int, limits: Limits) -> Outcome:
        deadline = time.monotonic() + limits.wall_s
        room, length, ending = _room(limits.max_result_bytes), 0, b""
        timed_out = overflowed = False
        with selectors.DefaultSelector() as selector:
            selector.register(result, selectors.EVENT_READ)
            selector.register(status, selectors.EVENT_READ)
            while selector.get_map():
                left = deadline - time.monotonic()
                stop = timed_out or overflowed
                ready = selector.select(None if stop else max(0.0, left))
                if not ready and not stop:
                    timed_out = True
                    self._kill(number)
                for key, _ in ready:
                    if key.fd == status:
                        chunk = os.read(status, _CHUNK)
                        ending += chunk
                        count = len(chunk)
                    else:
                        count = os.readv(result, [room[length:]])
                        length += count
                    if not count:
                        selector.unregister(key.fd)
                    elif length == len(room):
                        length, overflowed = 0, True
                        self._kill(number)
        code = struct.unpack("<i", ending)[0] if len(ending) == 4 else None
        return Outcome(room[: 0 if overflowed else length], code, timed_out, overflowed)


def _room(most: int) -> memoryview:
    """Address space for a result of so many bytes and one more; memory is used for what comes only, in huge pages."""
    held = mmap.mmap(-1, most + 1, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # a kernel built without huge pages knows no such advice
    with contextlib.suppress(OSError):
        held.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(held)
