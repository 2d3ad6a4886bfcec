"""Recall: from all published items to some hundred candidates for one user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from processors.serving.candidates import Candidates, joined
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.user_reader import UserContext
from processors.serving.where import Where


@dataclass(frozen=True)
class Wanted:
    """What recall is to find.

    Attributes:
        limit: Most candidates.
        cold_share: Share of them kept for cold items, 0..1.
        kinds: Only these kinds; empty: any.
        own: Whether the user's own uploads may be among them.
        places: Only posts that stand in these places; empty: any item.
        least: Candidates from which on those that a recommender advises against are left out.
    """

    limit: int
    cold_share: float
    kinds: tuple[str, ...] = ()
    own: bool = False
    places: tuple[str, ...] = ()
    least: int = 1

    def where(self, user: UserContext, *, cold: bool) -> Where:
        """The filter of one partition for a user: nothing that he has heard."""
        return Where(None, cold, user.heard, None if self.own else user.user_id, self.kinds, self.places)


class Recaller(Protocol):
    """Finds candidates."""

    async def recall(self, user: UserContext, wanted: Wanted) -> Candidates:
        """At most ``wanted.limit`` published items, each once."""
        ...


class PartitionedRecaller:
    """The baseline: warm and cold items searched apart, so that unplayed ones need not compete.

    ``cold_share`` of the candidates are cold, the rest warm; where one partition has too few, the other fills
    up. A user with a taste gets the nearest of each; an unknown one the most played and the freshest. A taste
    that finds too little (few items have vectors of this version) is filled up in the same way.
    """

    def __init__(self, catalogue: CatalogueSnapshot, now: Callable[[], datetime]) -> None:
        self._catalogue = catalogue
        self._now = now

    async def recall(self, user: UserContext, wanted: Wanted) -> Candidates:
        """See ``Recaller``."""
        limit, cold_wanted = wanted.limit, quota(wanted.limit, wanted.cold_share)
        of_cold, of_warm = (wanted.where(user, cold=cold) for cold in (True, False))
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
        return near if len(near) == limit else filled(near, self._general(limit, where), limit)

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


def filled(first: Candidates, second: Candidates, limit: int) -> Candidates:
    """``first``, then those of ``second`` that are not in it, ``limit`` in all."""
    together = joined([first, second])
    return together.take(np.arange(min(limit, len(together))))
