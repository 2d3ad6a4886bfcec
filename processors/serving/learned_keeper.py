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
BACKOFF_S = (0.5, 2.0, 10.0, 30.0)

log = structlog.get_logger(__name__)


class LearnedKeeper:
    """Until an item is mapped, recall finds it by the baseline's means.

    Args:
        catalogue: The items.
        active: The bundle to use now; None: none was published yet.
        caught_up: Whether the catalogue holds all that was published before the start.
    """

    def __init__(
        self,
        catalogue: CatalogueSnapshot,
        active: Callable[[], Recommender | None],
        caught_up: Callable[[], bool] = lambda: True,
    ) -> None:
        self._catalogue = catalogue
        self._active = active
        self._caught_up = caught_up
        self._filling: LearnedSpace | None = None
        self._up_to_date = threading.Event()
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
            UnavailableError: the items of the start are not mapped yet, or the thread has ended.
        """
        if not self._thread.is_alive():
            raise UnavailableError("items are not mapped any more", code="keeper-stopped")
        if not self._up_to_date.is_set():
            raise UnavailableError("items are being mapped", code="keeper-behind")

    def step(self) -> None:
        """Bring the space in use up to date; fill and use another where another version is active."""
        recommender, space = self._active(), self._catalogue.learned
        if recommender is not None and (space is None or space.version != recommender.version):
            if self._filling is None or self._filling.version != recommender.version:
                self._filling = LearnedSpace(recommender)
                self._catalogue.keep_learned(self._filling)
            self._fill(self._filling, beside=space)
            if not self._stop.is_set():
                self._catalogue.use_learned(self._filling)
                log.info("recommender in use", version=self._filling.version)
        elif space is not None:
            self._fill(space)

    def _fill(self, space: LearnedSpace, beside: LearnedSpace | None = None) -> None:
        """Until it holds every item; ``beside``, the space in use, gets its turn after each batch."""
        while not self._stop.is_set() and self._one_batch(space):
            if beside is not None:
                self._one_batch(beside)

    def _one_batch(self, space: LearnedSpace) -> bool:
        waiting = self._catalogue.unmapped(space, BATCH)
        if not len(waiting):
            return False
        self._catalogue.take_mapped(space, waiting, space.recommender.map(waiting.content))
        return True

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            self._catalogue.changed.clear()
            try:
                self.step()
            # The border of this thread: without it new items are found by the baseline's means only.
            except Exception:
                log.exception("items not mapped")
                self._stop.wait(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
            else:
                failures = 0
                if self._caught_up():
                    self._up_to_date.set()
            self._catalogue.changed.wait(IDLE_S)
