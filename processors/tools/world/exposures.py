"""Items that users were shown beside those they played; made up, since data sets of plays hold none.

With each play come ``count`` items in the same list, drawn by how often they are played in the whole data set (plus
one), and the play takes a place among them by lot. Left out is what the user plays at any time, what was drawn twice
and what is not in the catalogue yet: a list may so be shorter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Exposures:
    """What was shown and not clicked, by the play that it was shown with.

    Attributes:
        items: int32 [N, K], item of each place of each list; -1 where there is none.
        own: int16 [N], place of the played item.
    """

    items: NDArray[np.int32]
    own: NDArray[np.int16]


def unclicked(dataset: Dataset, published_ms: NDArray[np.int64], count: int, seed: int) -> Exposures:
    """Lists of ``count`` items more than the one played; the same seed gives the same lists.

    Args:
        dataset: Users, items, interactions [N].
        published_ms: When each item enters the catalogue, Unix ms [I].
        count: Items beside each play, 0 or more.
        seed: Of the draws.
    """
    rows, random = dataset.interactions, np.random.default_rng([seed, 5])
    popularity = np.bincount(rows.item, minlength=len(dataset.items)) + 1.0
    drawn = random.choice(len(dataset.items), (len(rows), count), p=popularity / popularity.sum()).astype(np.int32)
    own = random.integers(count + 1, size=len(rows)).astype(np.int16)
    pairs = np.unique(_pairs(rows.user, rows.item))
    played = np.isin(_pairs(rows.user[:, None], drawn), pairs)
    twice = np.zeros(drawn.shape, np.bool_)
    for column in range(1, count):
        twice[:, column] = (drawn[:, :column] == drawn[:, column, None]).any(axis=1)
    out = played | twice | (published_ms[drawn] > rows.at_ms[:, None])
    listed = np.full((len(rows), count + 1), -1, np.int32)
    place = np.arange(count)[None, :] + (np.arange(count)[None, :] >= own[:, None])
    np.put_along_axis(listed, place, np.where(out, -1, drawn), axis=1)
    return Exposures(listed, own)


def _pairs(user: NDArray[np.int32], item: NDArray[np.int32]) -> NDArray[np.int64]:
    pairs: NDArray[np.int64] = (user.astype(np.int64) << 32) | item.astype(np.int64)
    return pairs
