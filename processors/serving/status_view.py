"""Progress of uploads, materialised from the topic ``media.status``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

from processors.serving.decoding import Decoder
from schemas.media import MediaStatus


class FollowedStatus:
    """``StatusView`` fed by a ``Follower``: the newest encoded status of every upload, in this process.

    Its limit: about 1.5 kB an upload (measured shape: the joint vector is most of it), all uploads since the
    beginning, in each worker. Good for some hundred thousand; beyond that another implementation of the port
    (for example over Redis) belongs here. ``apply`` runs in the follower's thread, the rest on event loops.

    Args:
        decoder: Decodes the topic.
        on_change: Told each new status, and None for a forgotten upload; in the follower's thread.
    """

    def __init__(
        self, decoder: Decoder, on_change: Callable[[str, MediaStatus | None], None] = lambda _media_id, _status: None
    ) -> None:
        self._decoder = decoder
        self._on_change = on_change
        self._lock = threading.Lock()
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._watchers: dict[str, set[_Watcher]] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._newest)

    def apply(self, _topic: str, key: str, value: bytes | None) -> None:
        """Take one record; None forgets the upload, a lower ``seq`` than seen is ignored.

        Raises:
            BadEventError: the record does not decode.
            UnavailableError: its schema cannot be fetched at the moment.
        """
        if value is None:
            with self._lock:
                self._newest.pop(key, None)
            self._on_change(key, None)
            return
        status = self._decoder.decode(value, MediaStatus)
        seq = status.seq
        with self._lock:
            known = self._newest.get(key)
            if known is not None and seq < known[0]:
                return
            self._newest[key] = (seq, value)
            watchers = tuple(self._watchers.get(key, ()))
        self._on_change(key, status)
        for watcher in watchers:
            watcher.wake()

    async def get(self, media_id: str) -> MediaStatus | None:
        """Newest status; None if there is none."""
        known = self._newest.get(media_id)
        return None if known is None else self._decoder.decode(known[1], MediaStatus)

    async def watch(self, media_id: str) -> AsyncIterator[MediaStatus]:
        """The status now, if there is one, and then each newer one, until ``close``.

        A slow reader misses states in between, never the newest.
        """
        watcher = _Watcher()
        with self._lock:
            self._watchers.setdefault(media_id, set()).add(watcher)
        last = -1
        try:
            while not self._closed:
                status = await self.get(media_id)
                if status is not None and status.seq > last:
                    last = status.seq
                    yield status
                await watcher.wait()
        finally:
            self._forget(media_id, watcher)

    def close(self) -> None:
        """End every watch."""
        self._closed = True
        with self._lock:
            watchers = [watcher for group in self._watchers.values() for watcher in group]
        for watcher in watchers:
            watcher.wake()

    def _forget(self, media_id: str, watcher: _Watcher) -> None:
        with self._lock:
            group = self._watchers[media_id]
            group.discard(watcher)
            if not group:
                del self._watchers[media_id]


class _Watcher:
    """Wakes a coroutine from another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)

    async def wait(self) -> None:
        await self._changed.wait()
        self._changed.clear()
