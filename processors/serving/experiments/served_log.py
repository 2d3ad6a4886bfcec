"""The exposure log: every answered list becomes an event, without a read waiting for the broker."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from itertools import islice

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from processors.runtime.processor import Emit, Publisher
from schemas.errors import BugError, UnavailableError
from schemas.recommendation import ListServed
from schemas.topics import LIST_SERVED

BATCH = 50
"""Lists encoded at a time: some milliseconds of the event loop that serves the reads."""
PAUSE_S = 0.05
"""Lists of so long a time are written together."""
RETRY_S = (0.2, 0.5, 1.0, 2.0)
STOP_S = 5.0
"""Longest wait for the broker when the service stops."""

log = structlog.get_logger(__name__)


class ServedMetrics:
    """Metrics of the log; one a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lists = Counter(
            "overture_served_lists_total",
            "Answered lists for the exposure log: written, or dropped because too many waited (full), because the "
            "service stopped before the broker took them (stopped), or because they can never be written (refused).",
            ("outcome",),
            registry=registry,
        )
        self.waiting = Gauge(
            "overture_served_lists_waiting", "Answered lists not yet in the exposure log.", registry=registry
        )


class ServedLog:
    """A bounded queue and one task that writes it to ``LIST_SERVED``. A ``Background``.

    While the broker is away lists wait; what the queue cannot hold is dropped and counted, and so is what is left
    when the service stops. A list may be written twice; its ``event_id`` stays the same.

    Args:
        publisher: To the broker.
        metrics: Where lists are counted.
        capacity: Most lists that wait.
    """

    def __init__(self, publisher: Publisher, metrics: ServedMetrics, capacity: int) -> None:
        self._publisher = publisher
        self._capacity = capacity
        self._waiting: deque[ListServed] = deque()
        self._task: asyncio.Task[None] | None = None
        self._arrived, self._stopping = asyncio.Event(), asyncio.Event()
        self._counts = {name: metrics.lists.labels(name) for name in ("written", "full", "stopped", "refused")}
        metrics.waiting.set_function(lambda: len(self._waiting))

    def note(self, served: ListServed) -> None:
        """Take a list; never waits. Call it on the event loop."""
        if len(self._waiting) >= self._capacity:
            self._counts["full"].inc()
            return
        self._waiting.append(served)
        self._arrived.set()

    async def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what waits, for at most ``STOP_S``, and count what is left as dropped."""
        self._stopping.set()
        self._arrived.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=STOP_S)
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._waiting:
            log.warning("exposure log incomplete", dropped=len(self._waiting))
            self._counts["stopped"].inc(len(self._waiting))
            self._waiting.clear()

    async def _run(self) -> None:
        last = False
        while not last:
            await self._arrived.wait()
            self._arrived.clear()
            await self._pause(PAUSE_S)
            last = self._stopping.is_set()
            await self._write_all()

    async def _write_all(self) -> None:
        """Until nothing waits, or the broker is away and the service stops."""
        size, tries = BATCH, 0
        while self._waiting:
            batch = list(islice(self._waiting, size))
            try:
                await self._publisher.publish([Emit(LIST_SERVED, each.user_id, each) for each in batch])
            except UnavailableError as error:
                if self._stopping.is_set():
                    return
                if tries == 0:
                    log.warning("exposure log waits", error=str(error), waiting=len(self._waiting))
                await self._pause(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
                continue
            except (BugError, ValueError, TypeError) as error:
                # one that does not fit its contract must not keep the others from the log
                if size > 1:
                    size = 1
                    continue
                log.exception("list refused by the exposure log", request_id=batch[0].request_id, error=str(error))
                self._taken(batch, "refused")
            else:
                tries = 0
                self._taken(batch, "written")

    def _taken(self, batch: list[ListServed], outcome: str) -> None:
        for _ in batch:
            self._waiting.popleft()
        self._counts[outcome].inc(len(batch))

    async def _pause(self, seconds: float) -> None:
        """Wait, but not when the service stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
