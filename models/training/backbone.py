"""What one trainer hands to the next: a vector for each user and each item, in one space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.dataset import DatasetError, Interactions
from models.training.data.splits import Split, by_user, plays_of
from models.training.ranking_metrics import list_metrics, ranked, unknown

DIM = 64
CUT = 20
"""Length of the lists by whose Recall training stops."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """Vectors whose inner product is the score of a pair.

    Attributes:
        users: float32 [U, D], rows as in the data set's users.
        items: float32 [I, D], rows as in the data set's items; items without a training row have no meaning here.
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]

    def scores(self) -> NDArray[np.float32]:
        """Score of every pair, float32 [U, I]."""
        return self.users @ self.items.T


def played(interactions: Interactions, rows: Split, seed: int) -> Split:
    """The rows that were played, with a validation part in any case.

    Args:
        interactions: All of them.
        rows: Their split; without validation rows a tenth of each user's train rows becomes validation.
        seed: Draws that tenth.

    Raises:
        DatasetError: nothing to learn from.
    """
    train, validation, test = (plays_of(interactions, part) for part in (rows.train, rows.validation, rows.test))
    if not len(validation):
        drawn = by_user(interactions, train, np.random.default_rng(seed))
        train, validation = np.concatenate([drawn.train, drawn.test]), drawn.validation
    if not len(train) or not len(validation):
        raise DatasetError(f"{len(train)} plays to learn from and {len(validation)} to judge by: too few")
    return Split(train, validation, test)


def validation_recall(scores: NDArray[np.float32], hidden: csr_matrix, truth: csr_matrix) -> float:
    """Mean Recall@20 of scores [U, I] against ``truth`` [U, I], the ``hidden`` pairs [U, I] left out."""
    cut = min(CUT, scores.shape[1])
    return float(list_metrics(ranked(scores, hidden, None, cut), unknown(truth, hidden), [cut])[f"recall@{cut}"].mean())
