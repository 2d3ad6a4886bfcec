"""Neighbours of an item in the catalogue, each answer kept for a while: many browsers ask for the same list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.item_table import KINDS
from processors.serving.operations.pictures import has_thumbnail
from processors.serving.operations.recent import Newest
from processors.serving.parts import StatusView
from processors.serving.where import Where

KEPT = 1_000
KEPT_S = 10.0


class SimilarItems:
    """Nearest published items by joint content vector.

    Args:
        catalogue: Searched.
        status: Gives the titles.
        clock: Monotonic clock, seconds.
    """

    def __init__(
        self, catalogue: CatalogueSnapshot, status: StatusView, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalogue = catalogue
        self._status = status
        self._clock = clock
        self._known: Newest[tuple[float, int, list[dict[str, Any]]]] = Newest(KEPT)

    async def of(self, item_id: str, limit: int) -> list[dict[str, Any]]:
        """At most ``limit`` others, nearest first; ``similarity`` is a cosine, -1..1. None of an unpublished item."""
        known = self._known.get(item_id)
        if known is not None and known[1] >= limit and self._clock() - known[0] < KEPT_S:
            return known[2][:limit]
        found = await asyncio.to_thread(self._search, item_id, limit)
        documents = [await self._document(*each) for each in found]
        self._known.set(item_id, (self._clock(), limit, documents))
        return documents

    def _search(self, item_id: str, limit: int) -> Sequence[tuple[str, int, float]]:
        vector = self._catalogue.vector_of(item_id)
        if vector is None:
            return ()
        found = self._catalogue.nearest(vector, limit, Where(exclude=(item_id,)))
        return list(zip(found.ids.tolist(), found.kind.tolist(), found.similarity.tolist(), strict=True))

    async def _document(self, item_id: str, kind: int, similarity: float) -> dict[str, Any]:
        status = await self._status.get(item_id)
        return {
            "media_id": item_id,
            "title": status.title if status else "",
            "kind": KINDS[kind],
            "similarity": round(similarity, 3),
            "thumbnail": status is not None and has_thumbnail(status),
            "sensitive": False,
        }
