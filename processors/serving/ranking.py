"""Ranking: the order of the candidates, and the places kept for cold ones."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from processors.serving.candidates import Candidates
from processors.serving.popularity import HOUR_MS
from processors.serving.recall import quota
from processors.serving.user_reader import UserContext


class Ranker(Protocol):
    """Scores candidates."""

    async def rank(self, user: UserContext, candidates: Candidates, now: datetime) -> NDArray[np.float32]:
        """Scores [n], larger is better, comparable within one request only."""
        ...


class BaselineRanker:
    """A documented score without learning.

    ``score = 1.0 * cos + 0.3 * pop + 0.2 * fresh + 0.1 * (quality - 0.5)`` with

    - ``cos``: cosine of the user's taste and the item's content vector, 0 where either is unknown;
    - ``pop``: ``log(1 + d) / log(1 + 1000)``, at most 1, d = decayed plays now: the logarithm of the prior
      probability of a play, scaled so that a thousand plays within a half-life give 1;
    - ``fresh``: ``2^(-age / 72 h)``, age since the upload;
    - ``quality``: completions per play, smoothed with 5 plays at one half.

    The weights are chosen, not fitted: taste can outweigh any popularity (cosines of related items differ by
    more than 0.3), and a new item of equal taste beats an old unplayed one.
    """

    TASTE, POPULARITY, FRESHNESS, QUALITY = 1.0, 0.3, 0.2, 0.1
    REFERENCE_PLAYS = 1000.0
    FRESH_HALF_LIFE_H = 72.0
    PRIOR_PLAYS = 5.0

    def __init__(self, half_life_h: float) -> None:
        self._half_life_ms = half_life_h * HOUR_MS

    async def rank(self, _user: UserContext, candidates: Candidates, now: datetime) -> NDArray[np.float32]:
        """See ``Ranker``; the taste is in the candidates' similarity already."""
        now_ms = int(now.timestamp() * 1000)
        decayed = candidates.decayed * np.exp2(-np.maximum(0, now_ms - candidates.played_ms) / self._half_life_ms)
        popularity = np.minimum(1.0, np.log1p(decayed) / np.log1p(self.REFERENCE_PLAYS))
        age_h = np.maximum(0, now_ms - candidates.published_ms) / HOUR_MS
        rate = (candidates.completions + 0.5 * self.PRIOR_PLAYS) / (candidates.plays + self.PRIOR_PLAYS)
        scores: NDArray[np.float64] = (
            self.TASTE * candidates.similarity
            + self.POPULARITY * popularity
            + self.FRESHNESS * np.exp2(-age_h / self.FRESH_HALF_LIFE_H)
            + self.QUALITY * (rate - 0.5)
        )
        return scores.astype(np.float32)


def choose(
    candidates: Candidates,
    limit: int,
    cold_share: float,
    order: NDArray[np.int64] | None = None,
    entitled: NDArray[np.bool_] | None = None,
) -> Candidates:
    """The first ``limit`` in an order, with at least the quota of cold ones among them.

    As many cold items as the quota says (or as there are) take part even where warm ones come first; the answer is
    in that order.

    Args:
        candidates: Scored.
        limit: Most items.
        cold_share: Share of the places that cold items get at least.
        order: Candidates by place, best first; None: by score.
        entitled: Cold ones that places are kept for, bool [n]; None: all.
    """
    if order is None:
        order = np.argsort(-candidates.score, kind="stable")
    is_cold = (candidates.cold if entitled is None else entitled)[order]
    of_quota = is_cold & (np.cumsum(is_cold) <= quota(limit, cold_share))
    others = np.cumsum(~of_quota) <= max(0, limit - int(of_quota.sum()))
    return candidates.take(order[of_quota | others])
