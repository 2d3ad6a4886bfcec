"""Splits of the protocols that the figures are stated by.

Warm, cold item and cold user follow ColdRec (github.com/YuanchenBei/ColdRec) and RecBole's quick start (8:1:1 a user,
all interactions, full ranking) and hold plays alone; ranking is a random 8:1:1 of all rows, so also of what was shown
and not played. The same seed gives the same split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset import Interactions

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of the interactions; each row is in one part at most.

    Attributes:
        train: What is learnt from.
        validation: What epochs and settings are chosen by.
        test: What is reported.
    """

    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True, slots=True)
class ColdItems:
    """Strict cold start: no interaction of a cold item is learnt from.

    Attributes:
        warm: 8:1:1 of the warm items' interactions.
        validation: Interactions of the cold items that settings are chosen by.
        test: Interactions of the cold items that are reported.
        validation_items: Those items, rows.
        test_items: Those items, rows.
    """

    warm: Split
    validation: Rows
    test: Rows
    validation_items: Rows
    test_items: Rows

    def is_warm(self, items: int) -> NDArray[np.bool_]:
        """Which of the items are warm, bool [items]."""
        mask = np.ones(items, np.bool_)
        mask[self.validation_items] = False
        mask[self.test_items] = False
        return mask


@dataclass(frozen=True, slots=True)
class ColdUsers:
    """Users whose interactions are not learnt from, half for validation, half for test.

    Attributes:
        train: Plays of the other users.
        validation_users: Rows of users.
        test_users: Rows of users.
        first: By cold user the rows of his first ten plays, in time order; `fold_in` takes from these.
        rest: By cold user the rows of all plays after these.
    """

    train: Rows
    validation_users: Rows
    test_users: Rows
    first: dict[int, Rows]
    rest: dict[int, Rows]


FOLD_IN = 10
"""Plays of a cold user that may be given; what comes after them is the test, for every number given."""


def by_user(interactions: Interactions, rows: Rows, random: np.random.Generator) -> Split:
    """8:1:1 of each user's rows at random; what does not divide goes to train (RecBole's rule).

    A user of n rows gives floor(n / 10) to validation and to test each.
    """
    shuffled = random.permutation(rows)
    order = shuffled[np.argsort(interactions.user[shuffled], kind="stable")]
    users, start, counts = np.unique(interactions.user[order], return_index=True, return_counts=True)
    del users
    place = np.arange(len(order)) - np.repeat(start, counts)
    tenth = np.repeat(counts // 10, counts)
    size = np.repeat(counts, counts)
    test, validation = place >= size - tenth, (place >= size - 2 * tenth) & (place < size - tenth)
    return Split(order[~test & ~validation], order[validation], order[test])


def plays_of(interactions: Interactions, rows: Rows) -> Rows:
    """Those of the rows that are plays."""
    return rows[interactions.clicked[rows]]


def signals(interactions: Interactions, seed: int) -> Split:
    """8:1:1 of each user's rows, plays and what he was shown and did not play."""
    return by_user(interactions, np.arange(len(interactions)), np.random.default_rng(seed))


def warm(interactions: Interactions, seed: int) -> Split:
    """8:1:1 of each user's plays."""
    return by_user(interactions, np.flatnonzero(interactions.clicked), np.random.default_rng(seed))


def cold_items(interactions: Interactions, items: int, seed: int) -> ColdItems:
    """A fifth of the items cold, half of them for validation, half for test; the warm ones 8:1:1."""
    random = np.random.default_rng(seed)
    order = random.permutation(items)
    cold = order[: items // 5]
    for_validation, for_test = np.sort(cold[: len(cold) // 2]), np.sort(cold[len(cold) // 2 :])
    side = np.zeros(items, np.int8)
    side[for_validation], side[for_test] = 1, 2
    of_row = np.where(interactions.clicked, side[interactions.item], -1)
    return ColdItems(
        by_user(interactions, np.flatnonzero(of_row == 0), random),
        np.flatnonzero(of_row == 1),
        np.flatnonzero(of_row == 2),
        for_validation,
        for_test,
    )


def cold_users(interactions: Interactions, users: int, seed: int) -> ColdUsers:
    """A fifth of the users cold, half of them for validation, half for test."""
    order = np.random.default_rng(seed).permutation(users)
    cold = order[: users // 5]
    is_cold = np.zeros(users, np.bool_)
    is_cold[cold] = True
    every = plays_of(interactions, np.argsort(interactions.at_ms, kind="stable"))
    rows = every[is_cold[interactions.user[every]]]
    of_user = {int(user): rows[interactions.user[rows] == user] for user in cold}
    return ColdUsers(
        np.sort(every[~is_cold[interactions.user[every]]]),
        np.sort(cold[: len(cold) // 2]),
        np.sort(cold[len(cold) // 2 :]),
        {user: each[:FOLD_IN] for user, each in of_user.items()},
        {user: each[FOLD_IN:] for user, each in of_user.items()},
    )


def ranking(interactions: Interactions, seed: int) -> Split:
    """A random 8:1:1 of all rows."""
    order = np.random.default_rng(seed).permutation(len(interactions))
    tenth = len(order) // 10
    return Split(order[: -2 * tenth], order[-2 * tenth : -tenth], order[-tenth:])
