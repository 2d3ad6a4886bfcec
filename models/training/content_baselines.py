"""What a map from content to vectors must beat on cold items, and a backbone that suits such maps.

All score pairs of users and items float32 [U, I] from the same content; none sees a play of a cold item.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge
from sklearn.utils.extmath import randomized_svd

from models.training.backbone import DIM, Backbone

Scores = NDArray[np.float32]
Rows = NDArray[np.int64]


def ridge(flat: Scores, plays: csr_matrix, warm: Rows, l2: float) -> Scores:
    """Ridge regression from an item's content to who plays it, in its dual form.

    Args:
        flat: Content side by side, float32 [I, X].
        plays: [U, I].
        warm: Items to learn from, rows.
        l2: Weight of the squared coefficients.
    """
    middle = flat[warm].mean(axis=0)
    known, targets = flat[warm] - middle, np.asarray(plays[:, warm].todense(), np.float32).T  # [W, X], [W, U]
    mean = targets.mean(axis=0)  # [U]
    dual = np.linalg.solve(known @ known.T + l2 * np.eye(len(warm), dtype=np.float32), targets - mean)  # [W, U]
    scores: Scores = ((flat - middle) @ (known.T @ dual) + mean).T
    return scores


def content_knn(flat: Scores, plays: csr_matrix, warm: Rows, neighbours: int) -> Scores:
    """Sum of content cosines between an item and what the user played among its nearest warm items."""
    unit = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit[warm].T  # [I, W]
    bound = np.partition(cosine, -neighbours, axis=1)[:, -neighbours, None]  # [I, 1]
    near = np.where((cosine >= bound) & (cosine > 0), cosine, 0.0).astype(np.float32)
    return np.asarray(plays[:, warm] @ near.T, np.float32)


def content_popularity(flat: Scores, plays: csr_matrix, warm: Rows, l2: float) -> Scores:
    """How often an item will be played, by its content, the same for everybody."""
    count = np.log1p(np.asarray(plays[:, warm].sum(axis=0), np.float64).ravel())
    guessed = Ridge(alpha=l2).fit(flat[warm], count).predict(flat).astype(np.float32)  # [I]
    return np.repeat(guessed[None], plays.shape[0], axis=0)


def blended(backbone: Backbone, plays: csr_matrix, warm: Rows, share: float = 1.0) -> Backbone:
    """A backbone and the plays themselves in one space: the best approximation of rank 64 of both together.

    Eckart & Young 1936, "The approximation of one matrix by another of lower rank", of the scores divided by their norm
    plus ``share`` times the plays divided by theirs. Plays keep what a learned backbone has smoothed away.

    Args:
        backbone: Vectors.
        plays: Train plays, [U, I].
        warm: Items with train plays, rows; the others' vectors become zero.
        share: Weight of the plays.
    """
    dense = np.asarray(plays[:, warm].todense(), np.float32)  # [U, W]
    scores = backbone.users @ backbone.items[warm].T  # [U, W]
    both = scores / np.linalg.norm(scores) + share * dense / np.linalg.norm(dense)
    left, size, right = randomized_svd(both, min(DIM, *both.shape), random_state=0)
    size *= np.sqrt(both.size)  # scores of mean square 1 or so, whatever the counts
    users, items = np.zeros((len(left), DIM), np.float32), np.zeros((plays.shape[1], DIM), np.float32)
    users[:, : len(size)], items[warm, : len(size)] = left * np.sqrt(size), right.T * np.sqrt(size)
    return Backbone(users, items)
