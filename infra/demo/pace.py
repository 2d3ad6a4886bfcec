"""How long the steps of the demo may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How long things may take, seconds.

    Attributes:
        between_uploads: Pause after each upload.
        between_polls: Pause between two questions of the same kind.
        ready: Until the service says it is ready.
        uploads: From the last upload until every item has ended and is recallable.
        labels: Until the published items have their labels.
        taste: From the plays until recommendations follow them.
        withdrawal: From the withdrawal until the item is gone.
        avatars: From the first avatar until the last has ended.
        ring: From the last avatar until the ring is a case of review.
    """

    between_uploads: float = 0.3
    between_polls: float = 0.15
    ready: float = 20.0
    uploads: float = 120.0
    labels: float = 15.0
    taste: float = 30.0
    withdrawal: float = 30.0
    avatars: float = 60.0
    ring: float = 20.0

    async def polls(self, limit_s: float) -> AsyncIterator[None]:
        """One turn now, then one after each pause until the time is up."""
        deadline = time.monotonic() + limit_s
        while True:
            yield
            if time.monotonic() >= deadline:
                return
            await asyncio.sleep(self.between_polls)
