"""Who may have killed this process works alone.

A process that dies takes all events in hand with it, and each of them has one start more without an end. To tell the
one that kills from those that only stood beside it, an event that was started before without an end waits until
nothing else is in hand, and nothing else begins until it has ended. If the process dies again, only that one was begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Quarantine:
    """A lock of one event loop: many at a time, or one alone; whoever waits to be alone goes first."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._together = 0
        self._suspects = 0
        self._alone = False

    @asynccontextmanager
    async def among_others(self) -> AsyncIterator[None]:
        """Work beside others, as soon as nobody works alone or waits to."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._suspects)
            self._together += 1
        try:
            yield
        finally:
            self._together -= 1
            await self._tell()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Work while nothing else is in hand."""
        self._suspects += 1
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._together and not self._alone)
                self._alone = True
            try:
                yield
            finally:
                self._alone = False
        finally:
            self._suspects -= 1
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
