"""From a user to a list: recall, ranking, the places of cold items, diversity, and the note of what was offered.

Who finds and who orders, how many places cold items get and how they are drawn is decided for each request by the
settings, the surface it is for, and the arms of the experiments that the user is in, in this order.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.runtime.experiment_settings import ArmParameters
from processors.runtime.settings import Recommend, Surface
from processors.serving.candidates import REASONS, Candidates
from processors.serving.diversity import maximal_marginal_relevance
from processors.serving.experiments.exploration import explore
from processors.serving.experiments.split import Assignment, TrafficSplit
from processors.serving.explanation import explain
from processors.serving.learned_ranking import LearnedRanker
from processors.serving.learned_recall import LearnedRecaller
from processors.serving.learned_user import LearnedUsers
from processors.serving.parts import ServiceParts
from processors.serving.ranking import BaselineRanker, Ranker, choose
from processors.serving.recall import PartitionedRecaller, Recaller, Wanted
from processors.serving.user_reader import Profile, UserContext, UserReader
from schemas.ids import stable_id
from schemas.recommendation import ListedItem, ListServed

EVERYWHERE = Surface()
NOTHING_TOLD = Profile()


@dataclass(frozen=True)
class Asked:
    """One request for a list.

    Attributes:
        user_id: For whom.
        limit: Most items.
        surface: Place in the app; empty: none in particular.
        kinds: Only these kinds; empty: those of the surface.
        own: Whether the user's own uploads may be in it.
        seeds: Items that the list is to continue, the newest last; empty: the user's plays are followed.
        places: Only posts that stand in these places; empty: any item.
    """

    user_id: str
    limit: int
    surface: str = ""
    kinds: tuple[str, ...] = ()
    own: bool = False
    seeds: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """One list.

    Attributes:
        request_id: What the app sends back with what the user does.
        items: In order.
        model_version: Version of the recommender in use; empty: none.
        degraded: Parts that did not answer.
    """

    request_id: str
    items: Candidates
    model_version: str
    degraded: tuple[str, ...]


@dataclass(frozen=True)
class Mechanism:
    """What decides about one request."""

    recaller: str
    ranker: str
    cold_share: float
    mmr_lambda: float
    explore: float | None

    @classmethod
    def of(cls, settings: Recommend, surface: Surface, arm: ArmParameters) -> Mechanism:
        """Settings, then what the surface says otherwise, then what the arms do."""
        cold_share = settings.cold_share if surface.cold_share is None else surface.cold_share
        mmr_lambda = settings.mmr_lambda if surface.mmr_lambda is None else surface.mmr_lambda
        return cls(
            arm.recaller or settings.recaller,
            arm.ranker or settings.ranker,
            cold_share if arm.cold_share is None else arm.cold_share,
            mmr_lambda if arm.mmr_lambda is None else arm.mmr_lambda,
            arm.explore,
        )


class Pipeline:
    """Answers requests for lists."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self._settings = parts.settings.recommend
        self._catalogue = parts.catalogue
        self._split = TrafficSplit(parts.settings.experiments, parts.now)
        self._users = UserReader(parts.features, parts.catalogue)
        self._fallbacks = parts.metrics.fallbacks
        baseline = PartitionedRecaller(parts.catalogue, parts.now)
        placed = LearnedUsers(parts.catalogue)
        self._learned = LearnedRecaller(parts.catalogue, baseline, placed, parts.now)
        self.recallers: Mapping[str, Recaller] = {"content": baseline, "learned": self._learned}
        plain = BaselineRanker(self._settings.taste_half_life_h)
        learned = LearnedRanker(parts.catalogue, plain, placed, self._settings.ranked)
        self.rankers: Mapping[str, Ranker] = {"baseline": plain, "learned": learned}

    async def user(self, user_id: str) -> UserContext:
        """What is known of a user; what is not is counted."""
        user = await self._users.read(user_id)
        if not user.degraded:
            if not user.played:
                self._fallbacks.labels("history-empty").inc()
            if user.profile == NOTHING_TOLD:
                self._fallbacks.labels("profile-empty").inc()
            if user.space is not None and user.profile.occupation not in ("", *user.space.recommender.occupations):
                self._fallbacks.labels("profile-word-unknown").inc()
        return user

    async def recommend(self, asked: Asked) -> Answer:
        """The list, noted for the experiments."""
        assignment = self._split.assign(asked.user_id)
        surface = self._settings.surfaces[asked.surface] if asked.surface else EVERYWHERE
        mechanism = Mechanism.of(self._settings, surface, assignment.parameters)
        user = await self.user(asked.user_id)
        if asked.seeds:
            self.count_unknown(asked.seeds, self._catalogue.pick(list(asked.seeds), None))
            user = self._users.following(user, asked.seeds)
        wanted = Wanted(
            max(asked.limit, self._settings.candidates),
            mechanism.cold_share,
            asked.kinds or surface.kinds,
            asked.own,
            asked.places,
            asked.limit,
        )
        found = await self.recallers[mechanism.recaller].recall(user, wanted)
        ranked = found.scored(await self.rankers[mechanism.ranker].rank(user, found, self._parts.now()))
        order = self._order(user, ranked, asked.limit, mechanism.mmr_lambda)
        chosen = choose(ranked, asked.limit, mechanism.cold_share, order, _of_quota(ranked))
        request_id = str(uuid.uuid4())
        propensity: NDArray[np.float64] = np.ones(len(chosen))
        if mechanism.explore is not None:
            chosen, propensity = explore(chosen, ranked, mechanism.explore, request_id)
        answer = Answer(request_id, chosen, version_of(user), user.degraded)
        self._note(asked, answer, assignment, propensity)
        return answer

    async def explain(self, user_id: str, item_id: str) -> dict[str, Any] | None:
        """Why an item would be offered to a user; None without a recommender, or where it does not hold the item."""
        user = await self.user(user_id)
        self.count_unknown([item_id], self._catalogue.pick([item_id], None))
        if user.space is None:
            return None
        return explain(self._catalogue, user.space, item_id, self._learned.place(user.space, user), user.played)

    def count_unknown(self, asked: Sequence[str], found: Candidates) -> list[str]:
        """Those of the items asked for that were not found published, each once and in order; they are counted."""
        published = set(found.ids)
        unknown = [item for item in dict.fromkeys(asked) if item not in published]
        self._fallbacks.labels("item-unknown").inc(len(unknown))
        return unknown

    def _order(self, user: UserContext, ranked: Candidates, limit: int, mmr_lambda: float) -> NDArray[np.int64] | None:
        """Places by marginal relevance; None where the score alone decides."""
        if mmr_lambda >= 1.0:
            return None
        best = np.argsort(-ranked.score, kind="stable")
        pool, rest = np.split(best, [max(self._settings.diversify, limit)])
        vectors = self._catalogue.vectors_of(user.space, ranked.ids[pool].tolist())
        chosen = maximal_marginal_relevance(ranked.score[pool], vectors, mmr_lambda, len(pool))
        return np.concatenate([pool[chosen], rest])

    def _note(self, asked: Asked, answer: Answer, assignment: Assignment, propensity: NDArray[np.float64]) -> None:
        found = answer.items
        columns = (found.ids, found.score.tolist(), found.cold.tolist(), found.reason.tolist(), propensity.tolist())
        self._parts.served(
            ListServed(
                event_id=stable_id("served", answer.request_id),
                occurred_at=self._parts.now(),
                request_id=answer.request_id,
                user_id=asked.user_id,
                surface=asked.surface,
                model_version=answer.model_version,
                arms=assignment.arms,
                items=tuple(
                    ListedItem(item_id=item, score=score, cold=cold, reason=REASONS[reason], propensity=chance)
                    for item, score, cold, reason, chance in zip(*columns, strict=True)
                ),
                degraded=answer.degraded,
            )
        )


def version_of(user: UserContext) -> str:
    """Version of the recommender that a request is answered with; empty: none."""
    return "" if user.space is None else user.space.version


def _of_quota(ranked: Candidates) -> NDArray[np.bool_]:
    """Cold candidates that places are kept for: those that the recommender let pass, where it found any.

    The others are cold ones that it refused, or does not know, and that only fill up.
    """
    placed = np.isin(ranked.reason, [Candidates.code("learned"), Candidates.code("mapped")])
    passed: NDArray[np.bool_] = ranked.cold & placed
    return passed if placed.any() else ranked.cold
