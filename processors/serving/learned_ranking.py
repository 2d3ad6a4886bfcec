"""Ranking by the recommender in use: a cheap order of all candidates, then its ranker over the best of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from processors.serving.candidates import Candidates
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.learned_user import LearnedUsers
from processors.serving.ranking import Ranker
from processors.serving.search_space import top
from processors.serving.user_reader import UserContext


class LearnedRanker:
    """Scores the best ``ranked`` candidates of a cheap order; the others follow them in that order.

    The cheap order is the baseline's, with the cosine of user and item in the recommender's space for that of contents.

    Args:
        catalogue: The items, with the space in use.
        baseline: The cheap order.
        users: Users as the recommender knows them.
        ranked: Most candidates that the recommender's ranker scores.
    """

    def __init__(self, catalogue: CatalogueSnapshot, baseline: Ranker, users: LearnedUsers, ranked: int) -> None:
        self._catalogue = catalogue
        self._users = users
        self._baseline = baseline
        self._ranked = ranked

    async def rank(self, user: UserContext, candidates: Candidates, now: datetime) -> NDArray[np.float32]:
        """See ``Ranker``."""
        space = user.space
        if space is None or not len(candidates):
            return await self._baseline.rank(user, candidates, now)
        known = self._users.person(space, user, now)
        now_ms = int(now.timestamp() * 1000)
        places = np.arange(len(candidates))
        scores: NDArray[np.float32] = np.full(len(candidates), -np.inf, np.float32)
        if len(candidates) > self._ranked:
            vector = self._users.place(space, user, now).vector
            cosine = _cosines(self._catalogue.vectors_of(space, candidates.ids.tolist()), vector)
            scores = await self._baseline.rank(user, replace(candidates, similarity=cosine), now)
            places = top(scores, self._ranked)
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


def _cosines(vectors: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine of each of vectors [n, D] with a vector [D]; 0 for a vector of zeros."""
    lengths = np.linalg.norm(vectors, axis=1) * float(np.linalg.norm(vector))
    cosines: NDArray[np.float32] = np.zeros(len(vectors), np.float32)
    np.divide(vectors @ vector, lengths, out=cosines, where=lengths > 0)
    return cosines
