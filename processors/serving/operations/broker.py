"""The broker's figures: how much lies in each topic, how far each consumer group is, who works.

One reading serves everybody: it is made when somebody asks and the last one is older than ``FRESH_S``, one at a
time. Nobody looks, nothing is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog

from schemas.errors import UnavailableError

FRESH_S = 2.0
PATIENCE_S = 1.5
"""How long a request waits for a reading before it is given the last one."""
WINDOW_S = 20.0
"""Rates are averages over at most so long."""
Place = tuple[str, int]
"""Topic and partition."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Reading:
    """What the broker said at one time.

    Attributes:
        at: When, by a monotonic clock, seconds.
        begins: Oldest offset that is still there.
        ends: Offset of the next record.
        committed: Group -> place -> committed offset; places without a commit are left out.
        members: Group -> number of members.
        steady: Groups that are not just dividing their partitions anew.
    """

    at: float
    begins: Mapping[Place, int]
    ends: Mapping[Place, int]
    committed: Mapping[str, Mapping[Place, int]]
    members: Mapping[str, int]
    steady: frozenset[str]

    def lag(self, group: str, topics: Sequence[str]) -> int:
        """Records of ``topics`` that ``group`` has not finished."""
        done = self.committed.get(group, {})
        return sum(
            max(0, end - max(done.get(place, 0), self.begins.get(place, 0)))
            for place, end in self.ends.items()
            if place[0] in topics
        )

    def finished(self, group: str) -> int:
        """Sum of the committed offsets; only differences mean something."""
        return sum(self.committed.get(group, {}).values())

    def held(self, topic: str) -> int:
        """Offsets between oldest and newest record; of a compacted topic fewer records are really there."""
        return sum(end - self.begins.get(place, end) for place, end in self.ends.items() if place[0] == topic)

    def written(self, topic: str) -> int:
        """Sum of the end offsets."""
        return sum(end for place, end in self.ends.items() if place[0] == topic)


class BrokerReader(Protocol):
    """Asks the broker."""

    async def read(self) -> Reading:
        """Figures of now.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...

    async def close(self) -> None:
        """Give up its connections."""
        ...


@dataclass(frozen=True)
class Figures:
    """The last reading with what earlier ones add.

    Attributes:
        reading: The last one that succeeded.
        read_at: When that was, UTC.
        before: An earlier reading, at most ``WINDOW_S`` older; None if there is none.
        standing_s: Group -> seconds for which it has had lag and finished nothing.
    """

    reading: Reading
    read_at: datetime
    before: Reading | None = None
    standing_s: Mapping[str, float] = field(default_factory=dict)

    def written_per_s(self, topic: str) -> float | None:
        """Records written to ``topic`` each second."""
        return self._rate(lambda reading: reading.written(topic))

    def finished_per_s(self, group: str) -> float | None:
        """Records that ``group`` finished each second."""
        return self._rate(lambda reading: reading.finished(group))

    def _rate(self, total: Callable[[Reading], int]) -> float | None:
        if self.before is None:
            return None
        seconds = self.reading.at - self.before.at
        return max(0.0, (total(self.reading) - total(self.before)) / seconds) if seconds > 0 else None


class BrokerWatch:
    """Readings on demand, at most one at a time and at most one each ``FRESH_S``.

    Args:
        reader: Asks the broker.
        groups: Source topics by consumer group, to see which stands still.
        now: Clock, UTC.
        clock: Monotonic clock, seconds; the one of ``Reading.at``.
    """

    def __init__(
        self,
        reader: BrokerReader,
        groups: Mapping[str, Sequence[str]],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._groups = groups
        self._now = now
        self._clock = clock
        self._readings: deque[Reading] = deque()
        self._figures: Figures | None = None
        self._tried_at = float("-inf")
        self._error = ""
        self._standing: dict[str, tuple[int, float]] = {}
        self._running: asyncio.Task[None] | None = None

    @property
    def error(self) -> str:
        """Code of what the last reading failed with; empty if it did not."""
        return self._error

    async def start(self) -> None:
        """Nothing runs before somebody asks."""

    async def stop(self) -> None:
        """Give up a reading under way, and the connections."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        await self._reader.close()

    async def figures(self) -> Figures | None:
        """The newest figures that are to be had within ``PATIENCE_S``; None before the first reading."""
        if self._running is None and self._clock() - self._tried_at >= FRESH_S:
            self._tried_at = self._clock()
            self._running = asyncio.create_task(self._read())
        if self._running is not None:
            await asyncio.wait([self._running], timeout=PATIENCE_S)
        return self._figures

    async def _read(self) -> None:
        try:
            reading = await self._reader.read()
        except UnavailableError as error:
            if not self._error:
                log.warning("no figures of the broker", error=str(error))
            self._error = error.code
        else:
            self._error = ""
            self._take(reading)
        finally:
            self._running = None

    def _take(self, reading: Reading) -> None:
        self._readings.append(reading)
        while reading.at - self._readings[0].at > WINDOW_S:
            self._readings.popleft()
        for group, topics in self._groups.items():
            finished = reading.finished(group)
            known = self._standing.get(group)
            if reading.lag(group, topics) == 0:
                self._standing.pop(group, None)
            elif known is None or known[0] != finished:
                self._standing[group] = finished, reading.at
        self._figures = Figures(
            reading,
            self._now(),
            before=self._readings[0] if len(self._readings) > 1 else None,
            standing_s={group: reading.at - since for group, (_, since) in self._standing.items()},
        )
