"""Recall in the recommender's space: warm and cold items apart, cold ones only where the user's boundary lets them.

The interest boundary decides whether a cold item is worth showing to this user at all; scores of the two partitions
are made comparable by a calibration that the bundle brings (probability of a play by score and boundary).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.recommender import Recommender
from processors.serving.candidates import Candidates, joined
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.learned_space import LearnedSpace
from processors.serving.learned_user import LearnedUser, LearnedUsers
from processors.serving.recall import PartitionedRecaller, Wanted, filled, quota
from processors.serving.user_reader import UserContext

SPARE = 2
"""Cold items are searched for so many times their places: the boundary takes some of them away."""


class LearnedRecaller:
    """Finds candidates by the recommender in use, and what it cannot find by the baseline's means.

    A cold item that the boundary refuses is in no answer, unless there is less than ``Wanted.least`` beside it.

    Args:
        catalogue: The items, with the space in use.
        baseline: Fills up; answers alone while no recommender was published.
        users: Users as the recommender knows them.
        now: Clock, UTC.
    """

    def __init__(
        self,
        catalogue: CatalogueSnapshot,
        baseline: PartitionedRecaller,
        users: LearnedUsers,
        now: Callable[[], datetime],
    ) -> None:
        self._catalogue = catalogue
        self._baseline = baseline
        self._users = users
        self._now = now

    async def recall(self, user: UserContext, wanted: Wanted) -> Candidates:
        """See ``Recaller``."""
        space = user.space
        if space is None:
            return await self._baseline.recall(user, wanted)
        known = self.place(space, user)
        found = self._near(space, known, user, wanted)
        if len(found) == wanted.limit:
            return found
        others = await self._baseline.recall(user, wanted)
        refused = self._refused(space, known, others)
        found = filled(found, others.take(~refused), wanted.limit)
        # a list that is too short serves nobody: what the boundary refused is better than nothing
        least = wanted.least if len(found) else wanted.limit
        return found if len(found) >= least else filled(found, others.take(refused), least)

    def _refused(self, space: LearnedSpace, known: LearnedUser, found: Candidates) -> NDArray[np.bool_]:
        """Cold candidates whose score is not above the boundary, bool [n]; what the space does not hold has none."""
        vectors = self._catalogue.vectors_of(space, found.ids.tolist())
        refused: NDArray[np.bool_] = found.cold & vectors.any(axis=1) & (vectors @ known.vector <= known.boundary)
        return refused

    def place(self, space: LearnedSpace, user: UserContext) -> LearnedUser:
        """The user in the space."""
        return self._users.place(space, user, self._now())

    def _near(self, space: LearnedSpace, known: LearnedUser, user: UserContext, wanted: Wanted) -> Candidates:
        places = quota(wanted.limit, wanted.cold_share)
        of_cold, of_warm = (wanted.where(user, cold=cold) for cold in (True, False))
        asked = [(wanted.limit, of_warm), (places * SPARE, of_cold)]
        warm, cold = self._catalogue.nearest_learned(space, known.vector, asked, compare=user.taste)
        cold = cold.take(cold.score > known.boundary)
        cold = cold.take(np.arange(min(len(cold), places)))
        warm = warm.take(np.arange(min(len(warm), wanted.limit - len(cold))))
        found = joined([_likely(warm, space.recommender, known), _likely(cold, space.recommender, known)])
        return found.take(np.argsort(-found.score, kind="stable"))


def _likely(found: Candidates, recommender: Recommender, user: LearnedUser) -> Candidates:
    mapped = found.reason == Candidates.code("mapped")
    return found.scored(recommender.likelihood(found.score, user.boundary, mapped))
