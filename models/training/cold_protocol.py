"""The cold-user protocol: users of whom k plays are known, judged by all plays after the first ten.

The test is the same for every k. Given are the k plays right before it, the last k of the first ten, as research did;
other readings (the first k) are one field away. The k plays given are left out of the lists, whoever makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from models.dataset import Interactions
from models.training.data.splits import FOLD_IN, ColdUsers
from models.training.histories import Histories, histories
from models.training.ranking_metrics import Scores, list_metrics, ranked
from models.training.two_tower import Demographics

CUT = 20
GIVEN = (0, 1, 3, 5, 10)
"""Numbers of plays at which a cold start is judged."""


class Shown(NamedTuple):
    """Users as a tower sees them."""

    history: Tensor  # float32 [B, D]
    plays: Tensor  # float32 [B, 1]
    age: Tensor  # int64 [B]
    gender: Tensor  # int64 [B]
    occupation: Tensor  # int64 [B]


def known_plays(
    past: Histories, users: NDArray[np.int64], given: int, latest: bool = True, among: int = FOLD_IN
) -> csr_matrix:
    """What is known of users when ``given`` plays are, binary float32 [B, I].

    Args:
        past: All plays.
        users: int64 [B].
        given: How many, or all there are.
        latest: Whether these are the last of the first ``among`` plays, or the first.
        among: Plays that may be given.
    """
    begin = past.start[users]
    there = np.minimum(past.start[users + 1] - begin, among)  # [B]
    size = np.minimum(there, given)
    if latest:
        begin = begin + there - size
    bounds = np.concatenate([[0], np.cumsum(size)])
    items = past.items[np.arange(bounds[-1]) + np.repeat(begin - bounds[:-1], size)]
    found = csr_matrix((np.ones(len(items), np.float32), items, bounds), shape=(len(users), past.count))
    found.sum_duplicates()
    found.data[:] = 1.0
    return found


def later_plays(past: Histories, users: NDArray[np.int64]) -> csr_matrix:
    """What users played after their first ten plays and not among these, binary float32 [B, I]."""
    many = len(past.items)
    first = known_plays(past, users, FOLD_IN)
    # 1 - 0: only later; 1 - 2: among the first
    rest = csr_matrix(known_plays(past, users, many, among=many) - 2 * first)
    rest.data = np.maximum(rest.data, 0)
    rest.eliminate_zeros()
    return rest


def shown(known: csr_matrix, told: Demographics, items: NDArray[np.float32]) -> Shown:
    """Inputs for users of whom these plays are known.

    Args:
        known: Binary [B, I].
        told: Of these users.
        items: float32 [I, D].
    """
    number = np.asarray(known.sum(axis=1), np.float32).reshape(-1, 1)  # [B, 1]
    history = np.asarray(known @ items, np.float32) / np.maximum(number, 1)
    return Shown(torch.from_numpy(history), torch.from_numpy(np.log1p(number)), *told)


@dataclass(frozen=True, slots=True)
class ColdGroup:
    """Cold users with what is given and what is tested.

    Attributes:
        users: int64 [V], rows.
        past: Their plays, all of them.
        rest: Binary [V, I]: the test.
        latest: See `known_plays`.
    """

    users: NDArray[np.int64]
    past: Histories
    rest: csr_matrix
    latest: bool = True

    @staticmethod
    def of(interactions: Interactions, split: ColdUsers, users: NDArray[np.int64], shape: tuple[int, int]) -> ColdGroup:
        """Those users of a split, of ``shape`` users and items in all."""
        none = [np.empty(0, np.int64)]
        rows = np.concatenate(none + [each[int(user)] for user in users for each in (split.first, split.rest)])
        past = histories(interactions, rows, shape)
        return ColdGroup(users, past, later_plays(past, users))

    def known(self, given: int) -> csr_matrix:
        """The plays given, binary [V, I]."""
        return known_plays(self.past, self.users, given, self.latest)

    def lists(self, scores: Scores, given: int) -> NDArray[np.int64]:
        """Best 20 items by scores [V, I], the given ones left out, int64 [V, 20]."""
        return ranked(scores, self.known(given), None, min(CUT, scores.shape[1]))

    def metrics(self, lists: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Recall@20 and NDCG@20 of each user that has a test, float64 [n] each."""
        cut = lists.shape[1]
        found = list_metrics(lists, self.rest, [cut])
        return found[f"recall@{cut}"], found[f"ndcg@{cut}"]
