"""How long a worker may take its partitions for its own.

A process that was stopped for a while and wakes does not know what it missed: another worker may have taken its
partitions over. What it writes then to a state topic would replace newer state. So it writes only for a short while
after the group's coordinator has heard from it: what it sends in that while arrives, or has expired, before the session
timeout lets anybody else in (C. Gray and D. Cheriton: Leases, SOSP 1989).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LOOK_S = 0.05


def now() -> float:
    """Seconds of a clock that goes on while the machine sleeps, where the system has one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lease:
    """Renewed by the consumer's thread, asked by the worker's.

    Args:
        span_s: How long it lasts, seconds; with the time that a message may take less than the session timeout.
        clock: A clock that goes on while the process is stopped, seconds.
    """

    def __init__(self, span_s: float, clock: Callable[[], float] = now) -> None:
        self._span_s = span_s
        self._clock = clock
        self._until = float("-inf")

    @property
    def held(self) -> bool:
        """Whether the partitions are surely ours still."""
        return self._clock() < self._until

    def renew(self, asked_at: float) -> None:
        """The coordinator answered that it knows us.

        Args:
            asked_at: When the request was sent, seconds of ``clock``; its session begins anew after that.
        """
        self._until = asked_at + self._span_s

    async def wait(self) -> None:
        """Until it is held; whoever loses its partitions meanwhile is cancelled by the handover."""
        while not self.held:  # noqa: ASYNC110 - renewed by a thread that knows nothing of this event loop
            await asyncio.sleep(LOOK_S)
