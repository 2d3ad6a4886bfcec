"""What learned towers must beat: popularity, item neighbours, EASE and BPR-MF; each gives a score for every pair.

All are functions of binary plays [U, I] and answer float32 [U, I], larger is better; plays that are already known are
not left out, that is for whoever ranks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix, diags

from models.dataset import Interactions
from models.training import lightgcn
from models.training.data.splits import Split
from models.training.loop import Fit, Watch

Scores = NDArray[np.float32]

BPR = lightgcn.Config(
    layers=0,
    l2=1e-2,
    fit=Fit(epochs=120, patience=5, batch=4096, learning_rate=5e-3, weight_decay=0.0, decay="none", check_every=3),
)


def popularity(plays: csr_matrix) -> Scores:
    """Number of users that played the item, the same for everybody."""
    count = np.asarray(plays.sum(axis=0), np.float32)  # [1, I]
    return np.repeat(count, plays.shape[0], axis=0)


def item_knn(plays: csr_matrix, neighbours: int = 200) -> Scores:
    """Sum of cosines to what the user played, over each item's nearest items.

    Sarwar et al. 2001, "Item-Based Collaborative Filtering Recommendation Algorithms"; Deshpande & Karypis 2004.

    Args:
        plays: [U, I].
        neighbours: Nearest items kept for each item.
    """
    norm = np.sqrt(np.asarray(plays.sum(axis=0), np.float32).ravel())  # [I]
    unit = plays @ diags(1.0 / np.maximum(norm, 1.0))
    cosine = np.asarray((unit.T @ unit).todense(), np.float32)  # [I, I]
    np.fill_diagonal(cosine, 0.0)
    if neighbours < len(cosine):
        bound = np.partition(cosine, -neighbours, axis=1)[:, -neighbours, None]  # [I, 1]
        cosine[cosine < bound] = 0.0
    return np.asarray(plays @ cosine.T, np.float32)


def ease_weights(plays: csr_matrix, l2: float = 250.0) -> NDArray[np.float32]:
    """Item-to-item weights [I, I] with zero diagonal; see `ease`."""
    gram = np.asarray((plays.T @ plays).todense(), np.float64)  # [I, I]
    gram[np.diag_indices_from(gram)] += l2
    inverse = cho_solve(cho_factor(gram, overwrite_a=True), np.eye(len(gram)))  # [I, I]
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights.astype(np.float32)


def ease(plays: csr_matrix, l2: float = 250.0) -> Scores:
    """Closed-form linear autoencoder over items, each item predicted from the others.

    Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", arXiv:1905.03375.

    Args:
        plays: [U, I].
        l2: Weight of the squared weights.
    """
    return np.asarray(plays @ ease_weights(plays, l2), np.float32)


def bpr_mf(
    interactions: Interactions, rows: Split, shape: tuple[int, int], watch: Watch, config: lightgcn.Config = BPR
) -> Scores:
    """Matrix factorisation under BPR (Rendle et al. 2009, arXiv:1205.2618): LightGCN without a layer."""
    return lightgcn.fit_lightgcn(interactions, rows, shape, config, watch).scores()
