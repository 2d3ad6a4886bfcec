"""User cold start: a vector for a user of no plays or a few, from what he told of himself and what he played.

A prior by demographics (`models.training.demographic_prior`), and the mean of the item vectors of his plays blended in
as they come: the weight k / (k + k0) is that of a mean of k observations against a prior worth k0 (empirical Bayes,
Efron & Morris 1975). The network sees the warm users with their histories cut short, as DropoutNet does (Volkovs et al.
2017, "DropoutNet: Addressing Cold Start in Recommender Systems"), and learns how to hear the plays: it foretells what
they play later by the multinomial likelihood over all items (Liang et al. 2018, "Variational Autoencoders for
Collaborative Filtering", arXiv:1802.05814), distilled with the ranking that their warm vector gives. The item vectors
stay as they are, so score(u, i) = user . item as ever.

The content profile of a user is in the mean as well: an item without plays has the vector that its content was mapped
to, in the same space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from models.dataset import Dataset, DatasetError
from models.training import demographic_prior, memo
from models.training.backbone import Backbone
from models.training.cold_protocol import ColdGroup, later_plays, shown
from models.training.data.splits import FOLD_IN, ColdUsers
from models.training.histories import Histories, histories
from models.training.loop import Fit, Watch, seed_everything, shuffled, train
from models.training.two_tower import Demographics, demographics

IMPOSSIBLE = -1e9
"""Logit of what is not asked for: finite, since 0 * inf would be no number."""


@dataclass(frozen=True, slots=True)
class Config:
    """Shape and training.

    Attributes:
        prior: Settings of the prior, all that decides without plays.
        shown: Numbers of plays that users are shown with in training and validation; ten at most.
        worth: Plays that the prior is worth at the start, k0; learned from there.
        activity: Weight of a user in the loss by his number of later plays to this power: 0 serves the mean Recall,
            in which all users count alike, 1 the NDCG, which those of many plays decide.
        distilled: Weight of the ranking by the warm vector against that of the later plays, 0..1.
        distilled_sharpness: Spread of the warm vector's scores in that ranking.
        sharpness: Multiplies the scores in the softmax at the start; learned from there.
        fit: Settings of the loop.
    """

    prior: demographic_prior.Config = field(default_factory=demographic_prior.Config)
    shown: tuple[int, ...] = (1, 2, 3, 5, 10)
    worth: float = 5.0
    activity: float = 0.15
    distilled: float = 0.15
    distilled_sharpness: float = 1.5
    sharpness: float = 8.0
    fit: Fit = field(
        default_factory=lambda: Fit(
            epochs=40, patience=6, batch=192, learning_rate=1e-2, weight_decay=0.0, decay="none", check_every=1
        )
    )

    @staticmethod
    def debug() -> Config:
        """Small enough for a test."""
        fit = Fit(epochs=12, patience=12, batch=64, learning_rate=2e-2, weight_decay=0.0, decay="none")
        return Config(shown=(1, 3, 10), fit=fit)


class UserCold(nn.Module):
    """The prior and the blend.

    Args:
        config: Shape.
        prior: float32 [C, D], vector of each demographic cell in units of the mean item norm.
        occupations: Number of occupations, the unknown one included.
        backbone: Its item vectors are the space; the norm of its user vectors is that of the answers.
    """

    def __init__(self, config: Config, prior: Tensor, occupations: int, backbone: Backbone) -> None:
        super().__init__()
        dim = backbone.items.shape[1]
        self.occupations = occupations
        self.prior: Tensor
        self.register_buffer("prior", prior)  # [C, D]
        self.heard = nn.Linear(dim, dim)
        nn.init.eye_(self.heard.weight)
        nn.init.zeros_(self.heard.bias)
        self.log_gain = nn.Parameter(-torch.tensor(config.prior.sharpened * config.sharpness).log())
        self.log_worth = nn.Parameter(torch.tensor(config.worth).log())
        self.log_sharpness = nn.Parameter(torch.tensor(config.sharpness).log())
        self.scale: Tensor
        self.norm: Tensor
        self.register_buffer("scale", torch.tensor(float(np.linalg.norm(backbone.items, axis=1).mean())))
        self.register_buffer("norm", torch.tensor(float(np.linalg.norm(backbone.users, axis=1).mean())))

    def blended(self, history: Tensor, plays: Tensor, age: Tensor, gender: Tensor, occupation: Tensor) -> Tensor:
        """Prior and plays before they get their norm, float32 [B, D], in units of the mean item norm."""
        cell = demographic_prior.cell_of(age, gender, occupation, self.occupations)  # [B]
        prior = functional.embedding(cell, self.prior) * self.log_gain.exp()  # [B, D]
        number = plays.expm1()  # [B, 1]
        weight = number / (number + self.log_worth.exp())  # [B, 1]
        return prior + weight * self.heard(history / self.scale)  # [B, D]

    def forward(self, history: Tensor, plays: Tensor, age: Tensor, gender: Tensor, occupation: Tensor) -> Tensor:
        """Vectors of users, float32 [B, D], all of the mean norm of the warm users' vectors.

        Args:
            history: float32 [B, D], mean of the vectors of the items played; zeros without any.
            plays: float32 [B, 1], log1p of their number.
            age: int64 [B], bucket, 0 unknown.
            gender: int64 [B], index in GENDERS.
            occupation: int64 [B], index in the data set's occupations.
        """
        vector = self.blended(history, plays, age, gender, occupation)
        return functional.normalize(vector, dim=1) * self.norm  # [B, D]

    def logits(
        self, history: Tensor, plays: Tensor, age: Tensor, gender: Tensor, occupation: Tensor, items: Tensor
    ) -> Tensor:
        """Logits of all items [I, D], float32 [B, I], for the likelihood."""
        blended = self.blended(history, plays, age, gender, occupation)  # [B, D]
        return blended @ items.T * (self.log_sharpness.exp() / self.scale)


class UserTowers(nn.Module):
    """One tower of two: the cold one for few plays, smoothly the warm one as they grow.

    Args:
        cold: For few plays.
        warm: Same inputs and output; the same space and the same norm.
        turn: Plays at which both count alike.
        steepness: How fast it turns, per doubling of the plays.
    """

    def __init__(self, cold: UserCold, warm: nn.Module, turn: float = 20.0, steepness: float = 3.0) -> None:
        super().__init__()
        self.cold, self.warm = cold, warm
        self.turn, self.steepness = float(np.log1p(turn)), steepness / float(np.log(2))

    def forward(self, history: Tensor, plays: Tensor, age: Tensor, gender: Tensor, occupation: Tensor) -> Tensor:
        """See `UserCold.forward`."""
        warmth = torch.sigmoid((plays - self.turn) * self.steepness)  # [B, 1]
        cold = self.cold(history, plays, age, gender, occupation)  # [B, D]
        blend = cold.lerp(self.warm(history, plays, age, gender, occupation), warmth)  # [B, D]
        return functional.normalize(blend, dim=1) * self.cold.norm  # [B, D]


def fit_user_cold(dataset: Dataset, split: ColdUsers, backbone: Backbone, config: Config, watch: Watch) -> UserCold:
    """Trains on warm users whose histories are cut short; stops by the cold users for validation.

    Judged by what is won over popularity: the mean of the ratios of Recall@20 and of NDCG@20 over all ``shown``.

    Args:
        dataset: Users, items, interactions.
        split: Which users are cold.
        backbone: Vectors learned without the cold users' plays.
        config: Settings.
        watch: Called after each pass.

    Raises:
        DatasetError: No warm user, or no user for validation, has more than ten plays.
    """
    seed_everything(config.fit.seed)
    interactions, shape = dataset.interactions, (len(dataset.users), len(dataset.items))
    past, told = histories(interactions, split.train, shape), demographics(dataset.users)
    warm = np.flatnonzero(np.diff(past.start) > FOLD_IN)
    group = ColdGroup.of(interactions, split, split.validation_users, shape)
    later = later_plays(past, warm)  # [W, I]
    if not later.nnz or not group.rest.nnz:
        raise DatasetError(f"{dataset.name}: too few users of more than {FOLD_IN} plays to learn a cold start from")
    target, weight = _targets(later, backbone, warm, config)
    items = torch.from_numpy(backbone.items)  # [I, D]
    first = torch.from_numpy(past.items[past.start[warm][:, None] + np.arange(FOLD_IN)])  # [W, 10]
    fields = told.take(warm)
    alike = demographic_prior.likeness(dataset.users, told, warm, config.prior)  # [C, W]
    likes = demographic_prior.expected(alike, later, config.prior.activity)  # [C, I]
    prior = torch.from_numpy(demographic_prior.fit_vectors(likes, backbone.items, config.prior))  # [C, D]
    module = UserCold(config, prior, len(dataset.users.occupations), backbone)

    def batches(order: torch.Generator) -> Iterator[tuple[int, Tensor]]:
        for place in torch.randperm(len(config.shown), generator=order).tolist():
            for rows in shuffled(len(warm), config.fit.batch, order):
                yield config.shown[place], rows

    def loss(batch: tuple[int, Tensor]) -> Tensor:
        given, rows = batch  # [B]
        known = first[rows, FOLD_IN - given :]  # [B, k]
        history = items[known].sum(1) / max(given, 1)  # [B, D]
        plays = torch.full((len(rows), 1), float(np.log1p(given)))  # [B, 1]
        logits = module.logits(history, plays, *(column[rows] for column in fields), items)  # [B, I]
        masked = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, known, True)  # [B, I]
        likely = logits.masked_fill(masked, IMPOSSIBLE).log_softmax(1)  # [B, I]
        wanted = (target[rows].masked_fill(masked, 0.0) * likely).sum(1)  # [B]
        return -(weight[rows] * wanted).mean()

    def learn() -> None:
        train(module, loss, batches, _gain(module, group, past, told, backbone, config), "greatest", config.fit, watch)

    memo.once("user-cold", (dataset.version, split, backbone, config), module, learn)
    return module


def _targets(later: csr_matrix, backbone: Backbone, warm: NDArray[np.int64], config: Config) -> tuple[Tensor, Tensor]:
    """Distribution over items to be foretold, float32 [W, I], and weight of each user, float32 [W]."""
    number = torch.from_numpy(np.asarray(later.sum(axis=1), np.float32).ravel())  # [W]
    played = torch.from_numpy(later.toarray()) / number.clamp(min=1)[:, None]  # [W, I]
    teacher = torch.from_numpy(backbone.users[warm] @ backbone.items.T)  # [W, I]
    # the scores of a unit space are too even for a softmax; a spread of 1 makes all spaces alike
    spread = teacher.std(1, keepdim=True).clamp(min=1e-9)  # [W, 1]
    sharp = (config.distilled_sharpness * teacher / spread).softmax(1)  # [W, I]
    weight = number**config.activity  # [W]
    return played.lerp(sharp, config.distilled), weight / weight.mean()


def _gain(
    module: UserCold, group: ColdGroup, past: Histories, told: Demographics, backbone: Backbone, config: Config
) -> Callable[[], float]:
    """What validation is judged by."""
    popular = np.bincount(past.items, minlength=past.count).astype(np.float32)  # [I]
    everybody = np.tile(popular, (len(group.users), 1))  # [V, I]
    inputs = {k: shown(group.known(k), told.take(group.users), backbone.items) for k in config.shown}

    def means(scores: NDArray[np.float32], given: int) -> NDArray[np.float64]:
        return np.array([each.mean() for each in group.metrics(group.lists(scores, given))])

    base = {given: means(everybody, given) for given in config.shown}  # [2] each

    def gain() -> float:
        scores = {given: module(*each).numpy() @ backbone.items.T for given, each in inputs.items()}
        ratios = [means(each, given) / np.maximum(base[given], 1e-9) for given, each in scores.items()]
        return float(np.mean(ratios))

    return gain
