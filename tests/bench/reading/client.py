"""A small HTTP load generator: a closed loop for the most that is served, an open one for the time an answer takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence


def request(path: str, body: bytes = b"") -> bytes:
    """A GET, or the POST of a JSON body."""
    if not body:
        return f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n".encode()
    kind = f"content-type: application/json\r\ncontent-length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\nhost: bench\r\n{kind}\r\n\r\n".encode() + body


class Connection:
    """One kept-alive connection that asks one thing after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to 127.0.0.1."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> bytes:
        """Body of the answer.

        Raises:
            RuntimeError: the answer is not 200.
        """
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        start = head.index(b"content-length:") + len(b"content-length:")
        body = await self._reader.readexactly(int(head[start : head.index(b"\r\n", start)]))
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"{request[:80]!r}: {head[:40]!r} {body[:200]!r}")
        return body

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def closed_loop(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> float:
    """Answers a second with every connection always waiting for one."""
    opened = [await Connection.open(port) for _ in range(connections)]
    ends = time.perf_counter() + seconds

    async def ask(number: int, connection: Connection) -> int:
        done = 0
        while time.perf_counter() < ends:
            await connection.ask(requests[(number * 7919 + done) % len(requests)])
            done += 1
        return done

    started = time.perf_counter()
    total = sum(await asyncio.gather(*[ask(n, c) for n, c in enumerate(opened)]))
    took = time.perf_counter() - started
    for each in opened:
        each.close()
    return total / took


async def open_loop(
    port: int, requests: Sequence[bytes], rate: float, seconds: float, connections: int = 64
) -> list[float]:
    """Seconds from when each request was due, at a steady rate, to its answer; waiting for a connection counts."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await Connection.open(port))
    took: list[float] = []

    async def ask(asked: bytes, due: float) -> None:
        connection = await free.get()
        await connection.ask(asked)
        took.append(time.perf_counter() - due)
        free.put_nowait(connection)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = started + number / rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            group.create_task(ask(requests[number % len(requests)], due))
    while not free.empty():
        free.get_nowait().close()
    return took
