"""DSSM two-tower: a user's plays and demographics on one side, items on the other, in one space of unit vectors.

Huang et al. 2013, "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data"; in-batch sampled
softmax with the correction of its sampling bias (logQ): Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling for
Large Corpus Item Recommendations".

The user tower knows no user id: a user is the mean of the item vectors of his plays, their number, and what he told of
himself. In training the play to be predicted is left out of the mean, and of the others a random share is kept, down to
none, so that one network serves new and old users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from models.dataset import GENDERS, Dataset, Users
from models.training import memo
from models.training.backbone import DIM, Backbone, played, validation_recall
from models.training.data.splits import Split
from models.training.histories import Histories, histories
from models.training.layers import MLP, sparse_product
from models.training.loop import Fit, Watch, seed_everything, shuffled, train
from models.training.ranking_metrics import matrix

AGE_BOUNDS = (0, 18, 25, 35, 45, 50, 56)
"""Least age in years of bucket 1, 2, ...; bucket 0 stands for unknown. The groups of MovieLens 1M."""


@dataclass(frozen=True, slots=True)
class Config:
    """Shape and training.

    Attributes:
        dim: Width of the vectors.
        hidden: Width of the user tower's hidden layer.
        told: Width of the embedding of one demographic field.
        dropout: Dropout in the user tower.
        temperature: Divides the scores in the softmax.
        most: Plays in a mean, the last ones; 0: all that are known. Where train and test are a random split of all
            times, as in the warm protocol, the last plays are no nearer to the test than others, and all are better.
        whole: Probability that a user is shown with all his plays in training.
        empty: Probability that he is shown with none; else a share is drawn uniformly.
        hidden_fields: Probability that a demographic field is shown as unknown in training.
        fit: Settings of the loop.
    """

    dim: int = DIM
    hidden: int = 256
    told: int = 8
    dropout: float = 0.2
    temperature: float = 0.2
    most: int = 0
    whole: float = 0.5
    empty: float = 0.05
    hidden_fields: float = 0.1
    fit: Fit = field(
        default_factory=lambda: Fit(
            epochs=40, patience=2, batch=1024, learning_rate=1e-3, weight_decay=1e-2, decay="none", check_every=2
        )
    )

    @staticmethod
    def debug() -> Config:
        """Small enough for a test."""
        fit = Fit(epochs=12, patience=12, batch=128, learning_rate=1e-2, weight_decay=1e-2, decay="none")
        return Config(dim=8, hidden=16, told=2, fit=fit)


class Demographics(NamedTuple):
    """What users told of themselves, int64 [B] each, 0 where unknown."""

    age: Tensor
    gender: Tensor
    occupation: Tensor

    def take(self, users: NDArray[np.int64]) -> Demographics:
        """Those of some users."""
        return Demographics(*(column[torch.from_numpy(users)] for column in self))

    def hidden(self, probability: float, random: np.random.Generator) -> Demographics:
        """The same, each value unknown with a probability."""
        drop = [torch.from_numpy(random.random(len(column)) < probability) for column in self]
        return Demographics(*(column.masked_fill(mask, 0) for column, mask in zip(self, drop, strict=True)))


def demographics(users: Users) -> Demographics:
    """Age bucket, gender and occupation of all users."""
    bucket = (users.age[:, None] >= np.array(AGE_BOUNDS)).sum(axis=1)
    columns = (bucket, users.gender, users.occupation)
    return Demographics(*(torch.from_numpy(column.astype(np.int64)) for column in columns))


class UserTower(nn.Module):
    """The side of the user: what a published bundle holds of it."""

    def __init__(self, config: Config, occupations: int) -> None:
        super().__init__()
        sizes = (len(AGE_BOUNDS) + 1, len(GENDERS), occupations)
        self.fields = nn.ModuleList(nn.Embedding(size, config.told) for size in sizes)
        self.straight = nn.Linear(config.dim, config.dim, bias=False)
        nn.init.eye_(self.straight.weight)
        self.mixed = MLP(config.dim + 1 + 3 * config.told, config.hidden, config.dim, dropout=config.dropout)

    def forward(self, history: Tensor, plays: Tensor, age: Tensor, gender: Tensor, occupation: Tensor) -> Tensor:
        """Unit vectors of users, float32 [B, D].

        Args:
            history: float32 [B, D], mean of the vectors of the items played; zeros without any.
            plays: float32 [B, 1], log1p of their number.
            age: int64 [B], bucket.
            gender: int64 [B], index in GENDERS.
            occupation: int64 [B], index in the data set's occupations.
        """
        told = [table(value) for table, value in zip(self.fields, (age, gender, occupation), strict=True)]
        mixed = self.mixed(torch.cat([history, plays, *told], dim=1))  # [B, D]
        return functional.normalize(self.straight(history) + mixed, dim=1)  # [B, D]


class TwoTower(nn.Module):
    """Both sides.

    Args:
        config: Shape.
        occupations: Number of occupations, the unknown one included.
        items: Number of items.
        start: float32 [I, D]: directions of the item vectors at the start; None: random.
    """

    def __init__(self, config: Config, occupations: int, items: int, start: NDArray[np.float32] | None = None) -> None:
        super().__init__()
        self.config = config
        self.user = UserTower(config, occupations)
        begin = torch.randn(items, config.dim) if start is None else torch.from_numpy(start)
        self.items = nn.Parameter(functional.normalize(begin, dim=1))  # [I, D]

    def item_vectors(self) -> Tensor:
        """Unit vectors of all items, float32 [I, D]."""
        return functional.normalize(self.items, dim=1)

    def user_vector(self, history: Tensor, plays: Tensor, age: Tensor, gender: Tensor, occupation: Tensor) -> Tensor:
        """See `UserTower.forward`."""
        vectors: Tensor = self.user(history, plays, age, gender, occupation)
        return vectors

    def users_by_plays(
        self, items: Tensor, weights: csr_matrix, number: NDArray[np.float32], told: Demographics
    ) -> Tensor:
        """Unit vectors of users, float32 [B, D], of item vectors [I, D] and what `Histories.weights` gives."""
        plays = torch.from_numpy(np.log1p(number))[:, None]  # [B, 1]
        return self.user_vector(sparse_product(weights, items), plays, *told)

    def backbone(self, past: Histories, told: Demographics, most: int | None = None) -> Backbone:
        """Vectors of all users by what they played, and of all items.

        Args:
            past: What is known of them.
            told: Demographics of all of them.
            most: Plays in a mean; None: as configured.
        """
        with torch.no_grad():
            items = self.item_vectors()  # [I, D]
            weights, number = past.weights(np.arange(len(past)), self.config.most if most is None else most)
            return Backbone(self.users_by_plays(items, weights, number, told).numpy(), items.numpy())


def sampled_softmax(users: Tensor, items: Tensor, log_q: Tensor, known: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of each user's own item among the items of the batch: a scalar.

    Args:
        users: float32 [B, D].
        items: float32 [B, D], row for row what the user played.
        log_q: float32 [B], logarithm of each item's probability to be drawn into the batch.
        known: bool [B, B], other items of the batch that the user played, which are no negatives.
        temperature: Divides the scores.
    """
    # the parts without gradient go into the product: each pass over [B, B] costs as much as the product itself
    fixed = (-log_q).repeat(len(users), 1).masked_fill_(known, -torch.inf)  # [B, B]
    fixed.diagonal().copy_(-log_q)
    logits = torch.addmm(fixed, users / temperature, items.T)  # [B, B]
    return functional.cross_entropy(logits, torch.arange(len(users)))


def shares(count: int, config: Config, random: np.random.Generator) -> NDArray[np.float64]:
    """Share of his plays that each of ``count`` users is shown with in training, 0..1."""
    share = random.random(count)
    draw = random.random(count)
    share[draw < config.empty + config.whole] = 1.0
    share[draw < config.empty] = 0.0
    return share


def fit_two_tower(
    dataset: Dataset, rows: Split, config: Config, watch: Watch, start: NDArray[np.float32] | None = None
) -> TwoTower:
    """Trains on the played rows, stops by Recall@20 of the validation rows.

    Args:
        dataset: Users, items, interactions.
        rows: Which to learn from and which to stop by; without validation rows a tenth of the train rows is drawn.
        config: Settings.
        watch: Called after each checked pass.
        start: float32 [I, D]: item vectors to begin with, as LightGCN's; None: random.

    Raises:
        DatasetError: nothing to learn from.
    """
    seed_everything(config.fit.seed)
    interactions, shape = dataset.interactions, (len(dataset.users), len(dataset.items))
    rows = played(interactions, rows, config.fit.seed)
    user, item = interactions.user[rows.train].astype(np.int64), interactions.item[rows.train].astype(np.int64)
    plays = matrix(user, item, shape)
    has_played = plays.astype(np.bool_)  # [U, I]
    truth = matrix(interactions.user[rows.validation], interactions.item[rows.validation], shape)
    past, told = histories(interactions, rows.train, shape), demographics(dataset.users)
    frequency = np.maximum(np.bincount(item, minlength=shape[1]), 1) / len(item)
    log_q = torch.from_numpy(np.log(frequency).astype(np.float32))  # [I]
    module = TwoTower(config, len(dataset.users.occupations), shape[1], start)

    def batches(order: torch.Generator) -> Iterator[tuple[NDArray[np.int64], np.random.Generator]]:
        for some in shuffled(len(user), config.fit.batch, order):
            yield some.numpy(), np.random.default_rng(int(torch.randint(2**62, (), generator=order)))

    def loss(batch: tuple[NDArray[np.int64], np.random.Generator]) -> Tensor:
        some, random = batch
        of_user, target = user[some], torch.from_numpy(item[some])  # [B]
        share = shares(len(some), config, random)
        weights, number = past.weights(of_user, config.most, item[some], share, random)
        items = module.item_vectors()  # [I, D]
        told_now = told.take(of_user).hidden(config.hidden_fields, random)
        users = module.users_by_plays(items, weights, number, told_now)  # [B, D]
        known = torch.from_numpy(has_played[of_user].toarray()[:, item[some]])  # [B, B]
        own = functional.embedding(target, items)  # [B, D]
        return sampled_softmax(users, own, log_q[target], known, config.temperature)

    def measure() -> float:
        return validation_recall(module.backbone(past, told).scores(), plays, truth)

    def learn() -> None:
        train(module, loss, batches, measure, "greatest", config.fit, watch)

    memo.once("two-tower", (dataset.version, rows, config, start), module, learn)
    return module
