"""Keeps the snapshot's approximate index up with its rows, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading

import structlog

from processors.serving.catalogue import CatalogueSnapshot

BATCH = 64
IDLE_S = 0.5
STOP_S = 5.0

log = structlog.get_logger(__name__)


class IndexKeeper:
    """Until a row is indexed it is compared exactly, so answers are right however far this lags."""

    def __init__(self, catalogue: CatalogueSnapshot) -> None:
        self._catalogue = catalogue
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index-keeper", daemon=True)

    async def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, STOP_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                indexed = self._catalogue.index_stale(BATCH)
            # The border of this thread: without the index answers are slower, not wrong.
            except Exception:
                log.exception("index not updated")
                indexed = 0
            if not indexed:
                self._stop.wait(IDLE_S)
