"""The cold-item protocol: a fifth of the items without any play to learn from, half of them to judge, half to report.

Three reports, after ColdRec: cold (only cold items are candidates), warm (only warm ones), overall (nothing masked).
Serving shows cold items on places of their own: their scores and those of trained items do not compare, see `quota`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.dataset import Dataset
from models.training.data.splits import ColdItems
from models.training.ranking_metrics import list_metrics, matrix, ranked, unknown

CUT = 20
MOST_PLACES = 12
"""Most places of a list of 20 that cold items may get."""

Scores = NDArray[np.float32]
Values = NDArray[np.float64]
"""One value a user [U]; NaN where he has nothing relevant, so that users pair up over methods and splits."""
Rows = NDArray[np.int64]
Side = Literal["validation", "test"]


@dataclass(frozen=True, slots=True)
class World:
    """A split with its plays as matrices [U, I].

    Attributes:
        split: The split.
        warm: Warm items, rows.
        train: Train plays of the warm items.
        warm_validation: Validation plays of the warm items.
        warm_test: Test plays of the warm items.
        cold_validation: Plays of the cold validation items.
        cold_test: Plays of the cold test items.
    """

    split: ColdItems
    warm: Rows
    train: csr_matrix
    warm_validation: csr_matrix
    warm_test: csr_matrix
    cold_validation: csr_matrix
    cold_test: csr_matrix

    @property
    def items(self) -> int:
        """How many there are."""
        return int(self.train.shape[1])

    def cold(self, scores: Scores, side: Side, measure: str = "recall@20") -> Values:
        """Candidates are the cold items of one side."""
        own = self.split.validation_items if side == "validation" else self.split.test_items
        truth = self.cold_validation if side == "validation" else self.cold_test
        return self._measured(scores, None, self._only(own), truth, measure)

    def among_all_cold(self, scores: Scores, side: Side = "test") -> Values:
        """Recall@20 with the cold items of both sides as candidates."""
        both = np.concatenate([self.split.validation_items, self.split.test_items])
        truth = self.cold_validation if side == "validation" else self.cold_test
        return self._measured(scores, None, self._only(both), truth, "recall@20")

    def warm_only(self, scores: Scores) -> Values:
        """Recall@20 of the warm test plays among the warm items."""
        hidden = self.train + self.warm_validation
        return self._measured(scores, hidden, self._only(self.warm), unknown(self.warm_test, hidden), "recall@20")

    def overall(self, backbone: Scores, cold: Scores, places: int, side: Side = "test") -> Values:
        """Recall@20 of warm and cold plays together, nothing masked but what the user is known to have played.

        Args:
            backbone: Scores of which those of warm items are used.
            cold: Scores of which those of cold items are used.
            places: Places of the list for cold items, the best of both sides; 0: the backbone alone.
            side: With ``validation`` the lists are judged by the validation plays.
        """
        hidden = self.train if side == "validation" else self.train + self.warm_validation + self.cold_validation
        warm_truth, cold_truth = (
            (self.warm_validation, self.cold_validation) if side == "validation" else (self.warm_test, self.cold_test)
        )
        is_warm = self._only(self.warm)
        lists = ranked(backbone, hidden, is_warm, CUT - places)
        if places:
            lists = np.concatenate([lists, ranked(cold, hidden, ~is_warm, places)], axis=1)
        return _by_user(lists, unknown(csr_matrix(warm_truth + cold_truth), hidden), "recall@20")

    def quota(self, backbone: Scores, cold: Scores) -> int:
        """Places for cold items with the best overall recall of the validation plays."""
        most = min(MOST_PLACES, self.items - len(self.warm))
        means = [np.nanmean(self.overall(backbone, cold, places, "validation")) for places in range(most + 1)]
        return int(np.argmax(means))

    def _only(self, rows: Rows) -> NDArray[np.bool_]:
        mask = np.zeros(self.items, np.bool_)
        mask[rows] = True
        return mask

    @staticmethod
    def _measured(
        scores: Scores, hidden: csr_matrix | None, allowed: NDArray[np.bool_], truth: csr_matrix, measure: str
    ) -> Values:
        return _by_user(ranked(scores, hidden, allowed, CUT), truth, measure)


def world(dataset: Dataset, split: ColdItems) -> World:
    """Matrices of a split."""
    played, shape = dataset.interactions, (len(dataset.users), len(dataset.items))

    def plays(rows: Rows) -> csr_matrix:
        return matrix(played.user[rows], played.item[rows], shape)

    return World(
        split,
        np.flatnonzero(split.is_warm(shape[1])),
        plays(split.warm.train),
        plays(split.warm.validation),
        plays(split.warm.test),
        plays(split.validation),
        plays(split.test),
    )


def _by_user(lists: Rows, truth: csr_matrix, measure: str) -> Values:
    values = np.full(truth.shape[0], np.nan)
    values[np.diff(truth.indptr) > 0] = list_metrics(lists, truth, [CUT])[measure]
    return values
