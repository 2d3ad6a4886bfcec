"""What a child does here instead of decoding: the bytes of its input say it."""

import ctypes
import os
import resource
import socket
import time
from pathlib import Path

import numpy as np

from models.media.limits import Limits
from models.media.rejection import RejectedMediaError


def _say(text: str) -> None:
    raise RejectedMediaError("media-unreadable", text)


def _connect(port: int, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.connect(("127.0.0.1", port))
        probe.send(b"hello")


def act(kind: str, source: int, size: int, limits: Limits) -> None:
    command, _, argument = os.read(source, size).decode().partition(" ")
    match command:
        case "crash":
            ctypes.string_at(0)
        case "spin":
            while True:
                pass
        case "sleep":
            time.sleep(600)
        case "eat":
            kept = []
            try:
                while True:
                    kept.append(np.ones(8 * 2**20, np.uint8))
            except MemoryError:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                kept.clear()
                _say(f"{peak * 1024}")
        case "eat-all":
            np.ones(4 * 2**30, np.uint8)
        case "raise":
            raise RuntimeError("our own mistake")
        case "flood":
            block = bytes(2**20)
            while True:
                os.write(4, block)
        case "lie":
            os.write(4, argument.encode())
            os._exit(0)
        case "read":
            try:
                _say(Path(argument).read_text())
            except OSError as error:
                _say(type(error).__name__)
        case "tcp" | "udp":
            kind_of = socket.SOCK_STREAM if command == "tcp" else socket.SOCK_DGRAM
            try:
                _connect(int(argument), kind_of)
            except OSError as error:
                _say(type(error).__name__)
        case "write-input":
            try:
                os.write(source, b"x")
            except OSError as error:
                _say(type(error).__name__)
        case "descriptors":
            _say(" ".join(str(fd) for fd in range(200) if _is_open(fd)))
    _say("done")


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
