"""Which items users like who are told by age, gender and occupation alone: one vector a cell of the three.

A cell's distribution over items is the mean of what warm users went on to play, weighted by their likeness to the cell
(kernel regression: Nadaraya 1964, "On Estimating Regression"; Watson 1964, "Smooth Regression Analysis"), so a cell of
nobody borrows from its neighbours and an unknown field from everybody. Its vector is the one whose softmax over all
items is nearest to that distribution: a convex fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from torch import Tensor

from models.dataset import GENDERS, Users
from models.training.two_tower import AGE_BOUNDS, Demographics

AGES = len(AGE_BOUNDS) + 1


@dataclass(frozen=True, slots=True)
class Config:
    """Settings, chosen by warm users who were left out.

    Attributes:
        years: Spread of the likeness in age.
        floor: Likeness of the farthest ages against the same age.
        gender: Times that a user of the same gender counts.
        occupation: Times that a user of the same occupation counts.
        activity: A user counts in the mean by his number of later plays to this power; see `user_cold.Config`.
        sharpened: Power of the distribution that is fitted: a space of few dimensions cannot hold it whole, and what
            is seen of it is the items at its head.
        l2: Weight of the vectors' mean squared norm, in units of the mean item norm.
        steps: Steps of the fit at most.
    """

    years: float = 8.0
    floor: float = 0.1
    gender: float = 4.0
    occupation: float = 2.0
    activity: float = 0.1
    sharpened: float = 3.0
    l2: float = 1e-4
    steps: int = 40


def cell_of(age: Tensor, gender: Tensor, occupation: Tensor, occupations: int) -> Tensor:
    """Row of users' cells, int64 [B], of ``AGES * len(GENDERS) * occupations``."""
    return (age * len(GENDERS) + gender) * occupations + occupation


def likeness(users: Users, told: Demographics, warm: NDArray[np.int64], config: Config) -> NDArray[np.float32]:
    """How much each warm user counts for each cell, float32 [C, W].

    Args:
        users: All of them.
        told: The same as a tower sees them.
        warm: int64 [W], rows of those who count.
        config: Settings.
    """
    years = users.age[warm].astype(np.float64)  # [W]
    known, bucket = years >= 0, told.age.numpy()[warm]
    by_age = np.ones((AGES, len(warm)))
    for each in np.unique(bucket[bucket > 0]):
        away = (years - years[bucket == each].mean()) / config.years  # [W]
        by_age[each] = config.floor + np.where(known, np.exp(-0.5 * away**2), 0.0)
    by_gender = _same(users.gender[warm], len(GENDERS), config.gender)  # [G, W]
    by_occupation = _same(users.occupation[warm], len(users.occupations), config.occupation)  # [O, W]
    product = by_age[:, None, None] * by_gender[None, :, None] * by_occupation[None, None]  # [A, G, O, W]
    return product.reshape(-1, len(warm)).astype(np.float32)


def _same(values: NDArray[np.integer], count: int, times: float) -> NDArray[np.float64]:
    """``times`` where a value is that of the row and known, float64 [count, W]; 1 elsewhere."""
    rows = np.arange(count)[:, None]
    return np.where((values[None] == rows) & (rows > 0), times, 1.0)


def expected(alike: NDArray[np.float32], later: csr_matrix, activity: float) -> NDArray[np.float32]:
    """Distribution over items by cell, float32 [C, I], rows summing to 1.

    Args:
        alike: float32 [C, W].
        later: Binary [W, I]: what they played later; somebody played something.
        activity: See `Config`.
    """
    number = np.maximum(np.asarray(later.sum(axis=1)).ravel(), 1.0)  # [W]
    plays = np.asarray(alike @ (diags(number ** (activity - 1.0)) @ later), np.float32)  # [C, I]
    return np.asarray(plays / plays.sum(axis=1, keepdims=True), np.float32)


def fit_vectors(wanted: NDArray[np.float32], items: NDArray[np.float32], config: Config) -> NDArray[np.float32]:
    """Vectors whose softmax over all items is nearest to the sharpened distribution, float32 [C, D].

    Args:
        wanted: float32 [C, I], rows summing to 1.
        items: float32 [I, D]; their mean norm is the unit of the vectors, ``vector . item / unit`` is a logit.
        config: Settings.
    """
    sharp = torch.from_numpy(wanted) ** config.sharpened
    sharp = sharp / sharp.sum(1, keepdim=True)  # [C, I]
    scaled = torch.from_numpy(items / np.linalg.norm(items, axis=1).mean())  # [I, D]
    vectors = torch.zeros(len(wanted), items.shape[1], requires_grad=True)  # [C, D]
    search = torch.optim.LBFGS([vectors], max_iter=config.steps, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        likely = (sharp * (vectors @ scaled.T).log_softmax(1)).sum(1)  # [C]
        value = (config.l2 * vectors.square().sum(1) - likely).sum()  # summed, or more cells would stop it earlier
        value.backward()  # type: ignore[no-untyped-call]
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    return vectors.detach().numpy()
