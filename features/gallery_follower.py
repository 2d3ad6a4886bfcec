"""The version of the gallery that workers search in, held in memory and followed through its alias in Milvus."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from features import face_gallery
from features.face_gallery import GalleryError, GalleryRow
from features.milvus_index import MilvusConfig
from features.ports import Vector
from schemas.errors import UnavailableError

T_co = TypeVar("T_co", covariant=True)
log = logging.getLogger(__name__)


class Make(Protocol[T_co]):
    """Makes of a version what readers search in."""

    def __call__(
        self, version: str, threshold: float, embedder: str, rows: Sequence[GalleryRow], vectors: Vector
    ) -> T_co: ...


class GalleryFollower(Generic[T_co]):
    """Holds the version in use in memory. May be used by several threads at once.

    Args:
        config: The server.
        make: What is held of a version.
        none: What there is before any was built.
        embedder: Version of the embedder whose faces are compared.
        refresh_s: Seconds after which it is looked whether another version is in use.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        config: MilvusConfig,
        make: Make[T_co],
        none: T_co,
        *,
        embedder: str,
        refresh_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._make, self._none = config, make, none
        self._embedder, self._refresh_s, self._clock = embedder, refresh_s, clock
        self._lock = threading.Lock()
        self._held: tuple[str, T_co] | None = None
        self._looked_at = 0.0

    def snapshot(self) -> T_co:
        """The version in use, as it was known ``refresh_s`` ago at most; blocks while one is loaded.

        While Milvus is away, or the version in use is of another embedder, the one that is held stays.

        Raises:
            UnavailableError: none is held yet, and Milvus does not answer or the version in use is of another embedder
                (code ``gallery-embedder``).
        """
        held = self._held
        if held is None:
            with self._lock:
                return self._refreshed()
        # whoever holds a version need not wait for the one who looks
        if self._fresh() or not self._lock.acquire(blocking=False):
            return held[1]
        try:
            return self._refreshed()
        finally:
            self._lock.release()

    def _fresh(self) -> bool:
        return self._clock() - self._looked_at < self._refresh_s

    def _refreshed(self) -> T_co:
        held = self._held
        if held is not None and self._fresh():
            return held[1]
        try:
            version = face_gallery.in_use(self._config)
            if held is None or held[0] != version:
                held = version, self._load(version) if version else self._none
                log.info("gallery of public figures: version %s", version or "none")
        except UnavailableError as error:
            if held is None:
                raise
            log.warning("gallery of public figures: version %s stays: %s", held[0] or "none", error)
        self._held, self._looked_at = held, self._clock()
        return held[1]

    def _load(self, version: str) -> T_co:
        try:
            gallery = face_gallery.read(self._config, version)
        except GalleryError as error:
            raise UnavailableError(f"gallery {version} was dropped meanwhile", code="gallery-moved") from error
        if gallery.facts.embedder != self._embedder:
            raise UnavailableError(
                f"gallery {version} is of {gallery.facts.embedder}, faces are embedded by {self._embedder}: "
                "build it anew with `overture gallery build`",
                code="gallery-embedder",
            )
        return self._make(version, gallery.facts.threshold, gallery.facts.embedder, gallery.rows, gallery.vectors)
