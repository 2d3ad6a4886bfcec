"""What each user played, in order of time, and the means over it that a user tower is fed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.dataset import Interactions


@dataclass(frozen=True, slots=True)
class Histories:
    """Plays of each user, oldest first.

    Attributes:
        start: int64 [U+1]: where each user's plays begin in ``items``.
        items: int64 [P]: rows of items.
        count: Number of items, I.
    """

    start: NDArray[np.int64]
    items: NDArray[np.int64]
    count: int

    def __len__(self) -> int:
        return len(self.start) - 1

    def weights(
        self,
        users: NDArray[np.int64],
        most: int,
        left_out: NDArray[np.int64] | None = None,
        share: NDArray[np.float64] | None = None,
        random: np.random.Generator | None = None,
    ) -> tuple[csr_matrix, NDArray[np.float32]]:
        """Weights that turn vectors of items into the mean over each user's last plays.

        Args:
            users: int64 [B].
            most: Plays that count, from the last; 0: all.
            left_out: int64 [B]: an item that does not count, for training: the one to be predicted.
            share: float64 [B], 0..1: probability with which each play is kept.
            random: Draws these.

        Returns:
            float32 [B, I] with rows that sum to 1 (or are empty), and the number of plays in each, float32 [B].
        """
        begin, size = self.start[users], self.start[users + 1] - self.start[users]
        row = np.repeat(np.arange(len(users)), size)
        offset = np.cumsum(size) - size
        items = self.items[np.arange(len(row)) - np.repeat(offset - begin, size)]
        kept = np.ones(len(row), np.bool_) if left_out is None else items != left_out[row]
        if share is not None and random is not None:
            kept &= random.random(len(row)) < share[row]
        row, items = row[kept], items[kept]
        number = np.bincount(row, minlength=len(users))
        if most:
            place = np.arange(len(row)) - (np.cumsum(number) - number)[row]
            last = place >= number[row] - most
            row, items, number = row[last], items[last], np.minimum(number, most)
        weight = (1.0 / np.maximum(number, 1))[row].astype(np.float32)
        bounds = np.concatenate([[0], np.cumsum(number)])
        return csr_matrix((weight, items, bounds), shape=(len(users), self.count)), number.astype(np.float32)


def histories(interactions: Interactions, rows: NDArray[np.int64], shape: tuple[int, int]) -> Histories:
    """Plays among ``rows``, by user and time.

    Args:
        interactions: All of them.
        rows: Those that are known.
        shape: Users and items.
    """
    rows = rows[interactions.clicked[rows]]
    user = interactions.user[rows]
    order = np.lexsort((rows, interactions.at_ms[rows], user))
    start = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=shape[0]))])
    return Histories(start, interactions.item[rows][order].astype(np.int64), shape[1])
