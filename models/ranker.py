"""The gated ranker as it runs online: features, network, one score from its four answers.

Network and papers: ``models/training/ranker.py``; features: ``models/ranking_features.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.ranking_features import TASKS, ItemColumns, RankingLayout, RankingRows, UserColumns, ranking_rows

Floats = NDArray[np.float32]


class Network(Protocol):
    """What answers; `models.recommender_bundle.Bundle` does."""

    def rank(self, fields: NDArray[np.int64], dense: Floats, group: NDArray[np.int64]) -> Floats:
        """Logits float32 [B, 4] in the order of `TASKS`.

        Raises:
            ValueError: another shape, a value that is not finite, or a number out of range.
        """
        ...


@dataclass(frozen=True, slots=True)
class RankingWeights:
    """What a shown item is worth: ``click * (played + like * P(like) + finish * P(finish) + time * share)``.

    Liking, finishing and the share played are known of clicked items only, so the network tells them given a click.

    Attributes:
        played: Worth of a click alone.
        like: Worth of a like.
        finish: Worth of a play to the end.
        time: Worth of the whole length played; a half counts half.
    """

    played: float = 0.2
    like: float = 1.0
    finish: float = 0.5
    time: float = 0.5


class GatedRanker:
    """Scores items for one user. May be used by several threads at once.

    Args:
        network: One version's network.
        layout: The layout of the same version.
        weights: How the answers become one score.
    """

    def __init__(self, network: Network, layout: RankingLayout, weights: RankingWeights) -> None:
        self._network, self._layout, self._weights = network, layout, weights

    def score(self, rows: RankingRows) -> Floats:
        """Probabilities of click, like and finish, and the share played, float32 [B, 4], 0..1, order of `TASKS`.

        Raises:
            ValueError: see `Network.rank`.
        """
        logits = self._network.rank(rows.fields, rows.dense, rows.group)
        found: Floats = (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
        return found

    def rank(self, user: UserColumns, items: ItemColumns) -> Floats:
        """What showing each item to the user is worth, float32 [n], see `RankingWeights`; larger is better.

        Args:
            user: One user.
            items: Items, [n], n >= 0.

        Raises:
            RankingInputError: columns that make no features.
        """
        if not len(items):
            return np.zeros(0, np.float32)
        return combined(self.score(ranking_rows(self._layout, user, items)), self._weights)


def combined(answers: Floats, weights: RankingWeights) -> Floats:
    """One score, float32 [B], of answers [B, 4]; see `RankingWeights`."""
    click, like, finish, share = (answers[:, TASKS.index(name)] for name in TASKS)
    worth: Floats = click * (weights.played + weights.like * like + weights.finish * finish + weights.time * share)
    return worth.astype(np.float32)
