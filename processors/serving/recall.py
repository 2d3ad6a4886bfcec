"""Recall: from all published items to some hundred candidates for one user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import structlog

from features.ports import FeatureReader, FeatureRow, Vector
from features.views import USER_TASTE
from processors.runtime.settings import Recommend
from processors.serving.candidates import Candidates, joined
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.where import Where
from schemas.errors import UnavailableError

FEATURES_TIMEOUT_S = 0.25
"""Longest wait for the user's row; without it the answer is degraded, not late."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class UserContext:
    """What is known of the user of one request.

    Attributes:
        user_id: Who.
        taste: Unit vector [D] in the catalogue's space; None: unknown.
        recent: Items played lately.
        degraded: Parts that did not answer: ``features``.
    """

    user_id: str
    taste: Vector | None = None
    recent: frozenset[str] = frozenset()
    degraded: tuple[str, ...] = ()


class Recaller(Protocol):
    """Finds candidates. The learned recall of a later issue takes this place."""

    async def recall(self, user: UserContext, limit: int, kind: str | None, *, own: bool) -> Candidates:
        """At most ``limit`` published items, each once; ``own``: the user's own uploads may be among them."""
        ...


class UserReader:
    """Reads the user's taste, one key, and says so when it cannot."""

    def __init__(self, features: FeatureReader, catalogue: CatalogueSnapshot) -> None:
        self._features = features
        self._catalogue = catalogue

    async def read(self, user_id: str) -> UserContext:
        """The user; an absent store gives an unknown user marked as degraded."""
        try:
            async with asyncio.timeout(FEATURES_TIMEOUT_S):
                row = (await self._features.read(USER_TASTE.name, [user_id]))[0]
        except (UnavailableError, TimeoutError) as error:
            log.warning("features away", error=str(error) or "timeout")
            return UserContext(user_id, degraded=("features",))
        return UserContext(user_id) if row is None else self._known(user_id, row)

    def _known(self, user_id: str, row: FeatureRow) -> UserContext:
        played = row.values.get("recent_items") or ()
        recent = frozenset(played)
        if row.values.get("vector_version") == self._catalogue.vector_version:
            taste = _unit(np.asarray(row.values.get("vector", ()), np.float32))
            if taste is not None:
                return UserContext(user_id, taste, recent)
        return UserContext(user_id, self._taste_of(played), recent)

    def _taste_of(self, played: Sequence[str]) -> Vector | None:
        """Mean of what was played last; for a taste that was computed before its items had vectors of this version."""
        found = [vector for item in played if (vector := self._catalogue.vector_of(item)) is not None]
        return _unit(np.sum(found, axis=0)) if found else None


def _unit(vector: Vector) -> Vector | None:
    """``vector`` with length 1; None if it has no direction."""
    norm = float(np.linalg.norm(vector))
    return vector / norm if len(vector) and np.isfinite(norm) and norm > 0.0 else None


class PartitionedRecaller:
    """The baseline: warm and cold items searched apart, so that unplayed ones need not compete.

    ``cold_share`` of the candidates are cold, the rest warm; where one partition has too few, the other fills
    up. A user with a taste gets the nearest of each; an unknown one the most played and the freshest. A taste
    that finds too little (few items have vectors of this version) is filled up in the same way.
    """

    def __init__(self, catalogue: CatalogueSnapshot, settings: Recommend, now: Callable[[], datetime]) -> None:
        self._catalogue = catalogue
        self._cold_share = settings.cold_share
        self._now = now

    async def recall(self, user: UserContext, limit: int, kind: str | None, *, own: bool) -> Candidates:
        """See ``Recaller``."""
        uploader = None if own else user.user_id
        cold_wanted = quota(limit, self._cold_share)
        of_cold, of_warm = (Where(kind, cold, user.recent, uploader) for cold in (True, False))
        # A search costs what it fetches: each is asked for its places only, and again where the other has too few.
        warm = self._search(user, limit - cold_wanted, of_warm)
        cold = self._search(user, limit - len(warm), of_cold)
        if len(warm) == limit - cold_wanted and len(cold) < cold_wanted:
            warm = self._search(user, limit - len(cold), of_warm)
        return joined([warm, cold])

    def _search(self, user: UserContext, limit: int, where: Where) -> Candidates:
        if user.taste is None:
            return self._general(limit, where)
        near = self._catalogue.nearest(user.taste, limit, where).because("taste")
        return near if len(near) == limit else _filled(near, self._general(limit, where), limit)

    def _general(self, limit: int, where: Where) -> Candidates:
        now_ms = int(self._now().timestamp() * 1000)
        if where.cold:
            return self._catalogue.freshest(limit, where, now_ms).because("fresh")
        return self._catalogue.popular(limit, where, now_ms).because("popular")


def quota(limit: int, share: float) -> int:
    """Places of ``limit`` that cold items get: the rounded share, at least one where there are two places."""
    if share <= 0.0:
        return 0
    return min(limit, max(1 if limit > 1 else 0, round(limit * share)))


def _filled(first: Candidates, second: Candidates, limit: int) -> Candidates:
    together = joined([first, second])
    return together.take(np.arange(min(limit, len(together))))
