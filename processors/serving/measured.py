"""The parts of the service that are measured where they are used: feature reads, and what the service depends on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from features.ports import FeatureReader, FeatureRow
from processors.serving.metrics import ServiceMetrics
from processors.serving.parts import Probe
from schemas.errors import AppError, UnavailableError

PROBE_EVERY_S = 15.0
PROBE_LIMIT_S = 5.0
log = structlog.get_logger(__name__)


class MeasuredFeatures:
    """``FeatureReader`` that counts what it finds and how old that is.

    Args:
        features: The reader.
        metrics: Where it is counted.
        now: Clock, UTC.
    """

    def __init__(self, features: FeatureReader, metrics: ServiceMetrics, now: Callable[[], datetime]) -> None:
        self._features = features
        self._metrics = metrics
        self._now = now

    async def read(self, view: str, entity_ids: Sequence[str]) -> list[FeatureRow | None]:
        """As ``FeatureReader.read``."""
        reads = self._metrics.feature_reads
        try:
            rows = await self._features.read(view, entity_ids)
        except (UnavailableError, asyncio.CancelledError):
            # a caller that waits no longer has got nothing either
            reads.labels(view, "unavailable").inc(len(entity_ids))
            raise
        found = [row for row in rows if row is not None]
        reads.labels(view, "found").inc(len(found))
        reads.labels(view, "missing").inc(len(rows) - len(found))
        now, age = self._now(), self._metrics.feature_age.labels(view)
        for row in found:
            age.observe(max(0.0, (now - row.at).total_seconds()))
        return rows


class Dependencies:
    """Asks what the service depends on every few seconds, so that an outage shows while nobody needs it.

    Unlike readiness it takes nothing out of service.

    Args:
        probes: Name to probe.
        metrics: Where the answers are shown.
    """

    def __init__(self, probes: Mapping[str, Probe], metrics: ServiceMetrics) -> None:
        self._probes = probes
        self._up = metrics.dependency_up
        self._task: asyncio.Task[None] | None = None
        self._asked: dict[str, asyncio.Future[None]] = {}

    async def start(self) -> None:
        """Begin asking."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop asking."""
        running = [self._task, *self._asked.values()] if self._task is not None else []
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def look(self) -> None:
        """Ask each once, all at a time."""
        await asyncio.gather(*[self._ask(name, probe) for name, probe in self._probes.items()])

    async def _run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(PROBE_EVERY_S)

    async def _ask(self, name: str, probe: Probe) -> None:
        asked = self._asked.get(name)
        if asked is None or asked.done():
            asked = self._asked[name] = asyncio.ensure_future(probe())
        # one that never answers is not asked a second time: it may hold a thread
        await asyncio.wait([asked], timeout=PROBE_LIMIT_S)
        trouble = "no answer"
        if asked.done():
            try:
                asked.result()
            except AppError as error:
                trouble = str(error)
            else:
                trouble = ""
        if trouble:
            log.warning("dependency is away", dependency=name, error=trouble)
        self._up.labels(name).set(0 if trouble else 1)
