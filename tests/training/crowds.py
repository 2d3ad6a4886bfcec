"""A data set with planted tastes: each crowd of users plays from its own items, and every user a few at random."""

from __future__ import annotations

import numpy as np

from models.dataset import Dataset, Interactions, Items, Users


def crowds(users: int = 90, items: int = 60, crowd: int = 3, plays: int = 12, seed: int = 1) -> Dataset:
    """Users and items of crowd ``row % crowd``; five of six plays within it; gender tells the crowd."""
    random = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), plays)
    own = np.concatenate([random.permutation(items // crowd)[:plays] for _ in range(users)]) * crowd + user % crowd
    item = np.where(random.random(len(user)) < 5 / 6, own, random.integers(items, size=len(user)))
    user, item = (a.astype(np.int32) for a in np.unique(np.stack([user, item]), axis=1))
    count = len(user)
    return Dataset(
        "crowds",
        "made for tests",
        Users(
            tuple(f"u{row}" for row in range(users)),
            np.full(users, -1, np.int16),
            (np.arange(users) % crowd).astype(np.int8),
            np.zeros(users, np.int16),
            ("",),
        ),
        Items(
            tuple(f"i{row}" for row in range(items)),
            tuple(f"i{row}" for row in range(items)),
            np.zeros(items, np.int16),
            ("tag",),
            np.zeros((items, 1), np.bool_),
            {},
            {},
        ),
        Interactions(
            user,
            item,
            random.permutation(count).astype(np.int64),
            np.ones(count, np.bool_),
            np.ones(count, np.bool_),
            np.ones(count, np.float32),
            np.ones(count, np.int32),
            np.full(count, -1, np.int16),
        ),
    )
