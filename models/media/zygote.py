"""The fork server: imports every decoder once, then forks one confined child for each item.

It is a fresh program with an empty environment, so no secret of the worker is in its memory. It
reads no untrusted byte itself. Requests are JSON datagrams on a socket with three descriptors
(input, result pipe, status pipe); the exit status of each child goes to its status pipe.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from models.media import sandbox, wire
from models.media.facts import Findings
from models.media.limits import Limits
from models.media.probe import attempts
from models.media.rejection import RejectedMediaError

Work = Callable[[str, int, int, Limits], Findings]

_INPUT, _RESULT = 3, 4
_MAX_REQUEST = 65536


def load_entry(name: str) -> Work:
    """The function ``package.module:function``, imported and warm."""
    module_name, _, function_name = name.partition(":")
    module = importlib.import_module(module_name)
    warm_up = getattr(module, "warm_up", None)
    if warm_up is not None:
        warm_up()
    work: Work = getattr(module, function_name)
    return work


@dataclass
class _Children:
    """Running children: request id -> process id, process id -> status pipe."""

    by_request: dict[int, int] = field(default_factory=dict)
    status: dict[int, int] = field(default_factory=dict)

    def reap(self) -> None:
        while self.status:
            pid, code = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            pipe = self.status.pop(pid)
            self.by_request = {r: p for r, p in self.by_request.items() if p != pid}
            # the parent may have stopped waiting: then nobody reads the pipe
            with contextlib.suppress(BrokenPipeError):
                os.write(pipe, struct.pack("<i", os.waitstatus_to_exitcode(code)))
            os.close(pipe)

    def kill(self, request: int) -> None:
        pid = self.by_request.get(request)
        # not reaped yet, so the number still belongs to this child
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        for request in list(self.by_request):
            self.kill(request)


def serve(control: socket.socket, work: Work) -> None:
    """Fork children until the worker closes its end of ``control``."""
    children = _Children()
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    while True:
        ready = {key.fd for key, _ in selector.select()}
        if wake_read in ready:
            os.read(wake_read, 4096)
            children.reap()
        if control.fileno() not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(control, _MAX_REQUEST, 3)
        if not message:
            children.kill_all()
            return
        request = json.loads(message)
        if "kill" in request:
            children.kill(request["kill"])
            continue
        _start(request, descriptors, children, work)
        children.reap()


def _start(request: dict[str, Any], descriptors: list[int], children: _Children, work: Work) -> None:
    source, result, status = descriptors
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        _child(request, source, result, server, work)
    os.close(source)
    os.close(result)
    children.by_request[request["id"]] = pid
    children.status[pid] = status


def _child(request: dict[str, Any], source: int, result: int, server: int, work: Work) -> NoReturn:
    """Never returns: an exception must not unwind into the fork server's loop."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nowhere, standard)
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in (source, result)]
        os.dup2(high[0], _INPUT)
        os.dup2(high[1], _RESULT)
        os.closerange(5, 65536)
        _answer(request, server, work)
    finally:
        os._exit(0)


def _answer(request: dict[str, Any], server: int, work: Work) -> None:
    findings: Findings | None = None
    try:
        limits = Limits(**request["limits"])
        taken = sandbox.confine(limits, server)
        if request["kind"] == "probe":
            wire.write_message(_RESULT, {"taken": taken, "possible": attempts()})
        else:
            findings = work(request["kind"], _INPUT, request["size"], limits)
    except RejectedMediaError as error:
        wire.write_message(_RESULT, {"rejected": error.code, "message": str(error)})
    except MemoryError:
        wire.write_message(_RESULT, {"rejected": "media-limit", "message": "out of memory"})
    except Exception as error:  # noqa: BLE001 - border of a process: what is left is our mistake
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames]
        wire.write_message(_RESULT, {"bug": f"{type(error).__name__}: {str(error)[:300]}", "where": where[-4:]})
    if findings is not None:
        wire.write_findings(_RESULT, findings)


def main(control_fd: int, entry: str) -> None:
    """Program of the fork server.

    Args:
        control_fd: Inherited descriptor of the worker's socket.
        entry: ``package.module:function`` that analyses one item.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    network = sandbox.isolate_network()
    control = socket.socket(fileno=control_fd)
    work = load_entry(entry)
    sandbox.prepare()
    # objects of the warm interpreter stay out of collections, so their pages stay shared
    gc.collect()
    sandbox.release_freed_memory()
    gc.freeze()
    hello = {"network_namespace": network, "landlock_abi": sandbox.landlock_abi()}
    control.send(json.dumps(hello).encode())
    serve(control, work)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
