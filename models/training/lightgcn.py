"""LightGCN: vectors of users and items smoothed over the graph of plays.

He et al. 2020, "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", arXiv:2002.02126;
loss: BPR, Rendle et al. 2009, arXiv:1205.2618, with L2 on the vectors of layer 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import bmat, csr_matrix, diags
from torch import Tensor, nn
from torch.nn import functional

from models.dataset import Interactions
from models.training import memo
from models.training.backbone import DIM, Backbone, played, validation_recall
from models.training.data.splits import Split
from models.training.layers import sparse_product
from models.training.loop import Fit, Watch, seed_everything, shuffled, train
from models.training.ranking_metrics import matrix


@dataclass(frozen=True, slots=True)
class Config:
    """Shape and training.

    Attributes:
        layers: Propagations; 0 gives plain matrix factorisation (BPR-MF).
        dim: Width of the vectors.
        l2: Weight of the squared norms of layer 0.
        spread: Standard deviation of the vectors at the start.
        fit: Settings of the loop.
    """

    layers: int = 3
    dim: int = DIM
    l2: float = 1e-3
    spread: float = 0.1
    fit: Fit = field(
        default_factory=lambda: Fit(
            epochs=120, patience=5, batch=4096, learning_rate=1e-2, weight_decay=0.0, decay="none", check_every=3
        )
    )

    @staticmethod
    def debug(layers: int = 2) -> Config:
        """Small enough for a test."""
        return Config(
            layers=layers,
            dim=8,
            fit=Fit(epochs=30, patience=10, batch=256, learning_rate=2e-2, weight_decay=0.0, decay="none"),
        )


def normalised(plays: csr_matrix) -> csr_matrix:
    """Symmetric adjacency D^-1/2 A D^-1/2 of the graph of users and items, float32 [U+I, U+I], of plays [U, I]."""
    graph = bmat([[None, plays], [plays.T, None]], format="csr", dtype=np.float32)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scale = diags(1.0 / np.sqrt(np.maximum(degree, 1.0)))
    return csr_matrix(scale @ graph @ scale, dtype=np.float32)


class LightGCN(nn.Module):
    """Vectors of layer 0 [U+I, D] and their mean over all layers."""

    def __init__(self, config: Config, plays: csr_matrix) -> None:
        super().__init__()
        self.config = config
        self.users, self.items = plays.shape
        self.adjacency = normalised(plays)
        self.base = nn.Parameter(torch.randn(self.users + self.items, config.dim) * config.spread)  # [U+I, D]

    def forward(self) -> Tensor:
        """Final vectors, float32 [U+I, D]."""
        layer = total = self.base  # [U+I, D]
        for _ in range(self.config.layers):
            layer = sparse_product(self.adjacency, layer, symmetric=True)  # [U+I, D]
            total = total + layer
        return total / (self.config.layers + 1)

    def loss(self, triples: Tensor) -> Tensor:
        """BPR of triples (user, played item, other item), int64 [B, 3]: a scalar."""
        rows = triples + torch.tensor([0, self.users, self.users])  # [B, 3]
        user, positive, negative = functional.embedding(rows, self()).unbind(1)  # [B, D] each
        margin = (user * (positive - negative)).sum(1)  # [B]
        times = torch.bincount(rows.flatten(), minlength=len(self.base)).float()  # [U+I]
        norms = times @ self.base.square().sum(1) / 2  # []
        return functional.softplus(-margin).mean() + self.config.l2 * norms / len(rows)

    def backbone(self) -> Backbone:
        """The vectors as they are now."""
        with torch.no_grad():
            vectors = self().numpy()  # [U+I, D]
        return Backbone(vectors[: self.users].copy(), vectors[self.users :].copy())


def negatives(plays: csr_matrix, user: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """For each user [N] an item he did not play, uniformly, int64 [N]; after 20 draws whatever came."""
    count = plays.shape[1]
    keys = np.repeat(np.arange(plays.shape[0], dtype=np.int64), np.diff(plays.indptr)) * count + plays.indices
    keys.sort()
    drawn = random.integers(count, size=len(user))
    asked = np.arange(len(user))
    for _ in range(20):
        wanted = user[asked] * count + drawn[asked]
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        asked = asked[keys[place] == wanted]
        if not len(asked):
            break
        drawn[asked] = random.integers(count, size=len(asked))
    return drawn


def fit_lightgcn(
    interactions: Interactions, rows: Split, shape: tuple[int, int], config: Config, watch: Watch
) -> Backbone:
    """Trains on the played rows, stops by Recall@20 of the validation rows.

    Args:
        interactions: All of them.
        rows: Which to learn from and which to stop by; without validation rows a tenth of the train rows is drawn.
        shape: Users and items.
        config: Settings.
        watch: Called after each checked pass.

    Raises:
        DatasetError: nothing to learn from.
    """
    seed_everything(config.fit.seed)
    rows = played(interactions, rows, config.fit.seed)
    user, item = interactions.user.astype(np.int64), interactions.item.astype(np.int64)
    plays = matrix(user[rows.train], item[rows.train], shape)
    truth = matrix(user[rows.validation], item[rows.validation], shape)
    module = LightGCN(config, plays)

    def batches(order: torch.Generator) -> Iterator[Tensor]:
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=order)))
        other = negatives(plays, user[rows.train], random)
        triples = torch.from_numpy(np.stack([user[rows.train], item[rows.train], other], axis=1))  # [N, 3]
        for some in shuffled(len(triples), config.fit.batch, order):
            yield triples[some]

    def measure() -> float:
        return validation_recall(module.backbone().scores(), plays, truth)

    def learn() -> None:
        train(module, module.loss, batches, measure, "greatest", config.fit, watch)

    memo.once("lightgcn", (interactions, rows, shape, config), module, learn)
    return module.backbone()
