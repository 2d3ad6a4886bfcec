"""Ranking by the recommender in use: a cheap order of all candidates, then its ranker over the best of them."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from processors.serving.candidates import Candidates
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.learned_user import person
from processors.serving.ranking import Ranker
from processors.serving.search_space import top
from processors.serving.user_reader import UserContext


class LearnedRanker:
    """Scores the best ``ranked`` candidates of a cheap order; the others follow them in that order.

    The cheap order is the baseline's with the recommender's own score in the place of the likeness of contents:
    ``1.0 * cosine of user and item + 0.3 * popularity + ...``.

    Args:
        catalogue: The items, with the space in use.
        baseline: The cheap order.
        ranked: Most candidates that the recommender's ranker scores.
    """

    def __init__(self, catalogue: CatalogueSnapshot, baseline: Ranker, ranked: int) -> None:
        self._catalogue = catalogue
        self._baseline = baseline
        self._ranked = ranked

    async def rank(self, user: UserContext, candidates: Candidates, now: datetime) -> NDArray[np.float32]:
        """See ``Ranker``."""
        space = self._catalogue.learned
        if space is None or not len(candidates):
            return await self._baseline.rank(user, candidates, now)
        known = person(self._catalogue, space, user, now)
        now_ms = int(now.timestamp() * 1000)
        places = np.arange(len(candidates))
        scores: NDArray[np.float32] = np.full(len(candidates), -np.inf, np.float32)
        if len(candidates) > self._ranked:
            cheap = await self._baseline.rank(user, candidates, now)
            places = top(cheap, self._ranked)
            scores = cheap
        published, items = self._catalogue.columns_of(space, candidates.ids[places].tolist(), now_ms)
        ranked = places[published]
        found = space.recommender.rank(known, items)
        # the others below all that was ranked, in their own order
        others = np.setdiff1d(np.arange(len(candidates)), ranked, assume_unique=True)
        order = others[np.argsort(-scores[others], kind="stable")]
        answer = np.empty(len(candidates), np.float32)
        answer[ranked] = found
        answer[order] = found.min(initial=0.0) - 1.0 - np.arange(len(order), dtype=np.float32) / len(candidates)
        return answer
