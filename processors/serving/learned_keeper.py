"""Keeps the published items in the space of the recommender in use, in a thread of its own.

A new version is filled beside the one in use, and takes its place when every published item was mapped.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import structlog

from models.recommender import Recommender
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.learned_space import LearnedSpace
from schemas.errors import UnavailableError

BATCH = 64
IDLE_S = 0.5
"""A change of an item wakes the thread at once; a new version is seen after so long."""
STOP_S = 5.0

log = structlog.get_logger(__name__)


class LearnedKeeper:
    """Until an item is mapped, recall finds it by the baseline's means.

    Args:
        catalogue: The items.
        active: The bundle to use now; None: none was published yet.
    """

    def __init__(self, catalogue: CatalogueSnapshot, active: Callable[[], Recommender | None]) -> None:
        self._catalogue = catalogue
        self._active = active
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="learned-keeper", daemon=True)

    async def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        self._catalogue.changed.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, STOP_S)

    async def probe(self) -> None:
        """Readiness.

        Raises:
            UnavailableError: a recommender is active and none is in use yet, or the thread has ended.
        """
        recommender, space = self._active(), self._catalogue.learned
        if not self._thread.is_alive():
            raise UnavailableError("items are not mapped any more", code="keeper-stopped")
        if recommender is not None and space is None:
            raise UnavailableError(f"items are being mapped by {recommender.version}", code="keeper-behind")

    def step(self) -> None:
        """Bring the space in use up to date; fill and use another where another version is active."""
        recommender, space = self._active(), self._catalogue.learned
        if recommender is not None and (space is None or space.version != recommender.version):
            space = LearnedSpace(recommender)
            self._catalogue.add_learned(space)
            self._fill(space)
            self._catalogue.use_learned(space)
            log.info("recommender in use", version=space.version)
        elif space is not None:
            self._fill(space)

    def _fill(self, space: LearnedSpace) -> None:
        while not self._stop.is_set() and len(waiting := self._catalogue.unmapped(space, BATCH)):
            self._catalogue.take_mapped(space, waiting, space.recommender.map(waiting.content))

    def _run(self) -> None:
        while not self._stop.is_set():
            self._catalogue.changed.clear()
            try:
                self.step()
            # The border of this thread: without it new items are found by the baseline's means only.
            except Exception:
                log.exception("items not mapped")
                self._stop.wait(IDLE_S)
            self._catalogue.changed.wait(IDLE_S)
