"""Interest-boundary tower: the score from which a cold item is worth showing to a user.

After the multimodal DSSM of a large music service, which adds to user and item tower a third one and shows a new song
only where score(user, item) > boundary(user): recall is relative, some item always comes first; the boundary is an
absolute judgement for each user.

Calibration: binary cross-entropy of scale * (score - boundary) over plays that the towers were NOT trained on (scores
of plays seen in training are too high) against items drawn uniformly from those the user is not known to have played.
With n negatives a play, the boundary lies where a held-out play is n times as likely as a random item: larger n,
stricter boundary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from models.dataset import Dataset, Interactions
from models.training.backbone import DIM
from models.training.data.splits import Rows, plays_of
from models.training.histories import Histories, histories
from models.training.layers import MLP, sparse_product
from models.training.lightgcn import negatives
from models.training.loop import Fit, TrainingError, Watch, seed_everything, shuffled, train
from models.training.onnx_file import write_onnx
from models.training.ranking_metrics import matrix, ranked
from models.training.two_tower import Demographics, TwoTower, demographics, shares


@dataclass(frozen=True, slots=True)
class Config:
    """Shape and training.

    Attributes:
        dim: Width of a user's vector.
        hidden: Width of the hidden layer.
        dropout: Dropout in it.
        negatives: Random items a play; see the module.
        judged: Share of the users by whose loss training stops.
        fit: Settings of the loop.
    """

    dim: int = DIM
    hidden: int = 32
    dropout: float = 0.1
    negatives: int = 2
    judged: float = 0.2
    fit: Fit = field(
        default_factory=lambda: Fit(
            epochs=40, patience=4, batch=1024, learning_rate=3e-3, weight_decay=1e-2, decay="none", check_every=2
        )
    )

    @staticmethod
    def debug() -> Config:
        """Small enough for a test."""
        fit = Fit(epochs=10, patience=10, batch=64, learning_rate=3e-2, decay="none")
        return Config(dim=8, hidden=8, negatives=1, fit=fit)


class InterestBoundary(nn.Module):
    """A user's vector and number of plays to his boundary.

    The vector has the same norm for everybody, so it alone does not tell a surmise after two plays from a settled
    taste, whose scores lie further apart.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.mixed = MLP(config.dim + 1, config.hidden, 1, dropout=config.dropout)
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, vector: Tensor, plays: Tensor) -> Tensor:
        """Boundaries float32 [B] of user vectors float32 [B, D] and log1p of their plays, float32 [B, 1]."""
        boundary: Tensor = self.mixed(torch.cat([vector, plays], dim=1)).squeeze(1)  # [B]
        return boundary

    def logits(self, vector: Tensor, plays: Tensor, scores: Tensor) -> Tensor:
        """How much scores [B, N] are above the boundary, in units in which the sigmoid is a probability, [B, N]."""
        return self.log_scale.exp() * (scores - self(vector, plays)[:, None])


def fit_boundary(
    tower: TwoTower, dataset: Dataset, known: Rows, unseen: Rows, config: Config, watch: Watch,
    user: nn.Module | None = None, most: int | None = None,
) -> InterestBoundary:  # fmt: skip
    """Trains the boundary beside frozen towers.

    Args:
        tower: Towers in evaluation mode.
        dataset: Users, items, interactions.
        known: Rows of the plays that users are described by.
        unseen: Rows of plays that the towers were not trained on.
        config: Settings.
        watch: Called after each checked pass.
        user: What makes the vectors that the boundary will be asked with, see `PublishedUser`, in evaluation mode;
            None: the tower's own side of the user.
        most: Plays in a mean, the last ones; None: as the tower is configured.

    Raises:
        TrainingError: no play among the unseen rows of either part of the users.
    """
    seed_everything(config.fit.seed)
    interactions, shape = dataset.interactions, (len(dataset.users), len(dataset.items))
    past, told = histories(interactions, known, shape), demographics(dataset.users)
    known = plays_of(interactions, known)
    trained = np.unique(interactions.item[known])
    unseen = _unseen_pairs(interactions, known, unseen, trained)
    both = np.concatenate([known, unseen])
    plays = matrix(interactions.user[both], interactions.item[both], shape)[:, trained].tocsr()
    random = np.random.default_rng(config.fit.seed)
    is_judged = random.random(shape[0]) < config.judged
    judged = is_judged[interactions.user[unseen]]
    if judged.all() or not judged.any():
        raise TrainingError(f"{len(unseen)} unseen plays are too few for an interest boundary")
    module = InterestBoundary(config)
    user_side, kept = user or tower.user, tower.config.most if most is None else most

    def examples(rows: Rows, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors [B, D] and plays [B, 1] of users with a share of theirs; scores [B, 1 + n], the play's first."""
        user, item = interactions.user[rows].astype(np.int64), interactions.item[rows].astype(np.int64)
        others = trained[negatives(plays, np.repeat(user, config.negatives), random)].reshape(-1, config.negatives)
        share = shares(len(user), tower.config, random)
        with torch.no_grad():
            inputs = inputs_of(tower, past, told, user, kept, share, random)
            users = user_side(*inputs.values())  # [B, D]
            shown = torch.from_numpy(np.column_stack([item, others]))  # [B, 1 + n]
            return users, inputs["plays"], (users[:, None] * functional.embedding(shown, tower.item_vectors())).sum(2)

    def loss(batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        logits = module.logits(*batch)  # [B, 1 + n]
        labels = torch.zeros_like(logits)  # [B, 1 + n]
        labels[:, 0] = 1.0
        return functional.binary_cross_entropy_with_logits(logits, labels)

    def batches(order: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=order)))
        learnt = unseen[~judged]
        for some in shuffled(len(learnt), config.fit.batch, order):
            yield examples(learnt[some.numpy()], random)

    fixed = examples(unseen[judged], random)
    train(module, loss, batches, lambda: float(loss(fixed)), "least", config.fit, watch)
    return module


def _unseen_pairs(interactions: Interactions, known: Rows, unseen: Rows, trained: NDArray[np.int32]) -> Rows:
    """Plays of trained items by users who had not played them before."""
    unseen = plays_of(interactions, unseen)
    pair = interactions.user.astype(np.int64) * (int(interactions.item.max()) + 1) + interactions.item
    # vectors of items that nobody played mean nothing
    return unseen[np.isin(interactions.item[unseen], trained) & ~np.isin(pair[unseen], pair[known])]


class PublishedUser(nn.Module):
    """What a bundle's ``user_tower.onnx`` computes.

    Args:
        user: Takes history, plays, age, gender, occupation and gives vectors [B, D]: the user tower, or a network that
            blends it with a prior for users of few plays.
        boundary: The boundary.
    """

    def __init__(self, user: nn.Module, boundary: InterestBoundary) -> None:
        super().__init__()
        self.user, self.boundary = user, boundary

    def forward(
        self, history: Tensor, plays: Tensor, age: Tensor, gender: Tensor, occupation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Vectors [B, D] and boundaries [B]."""
        vector = self.user(history, plays, age, gender, occupation)  # [B, D]
        return vector, self.boundary(vector, plays)


def export_user_tower(user: nn.Module, boundary: InterestBoundary, inputs: dict[str, Tensor], path: Path) -> float:
    """Writes ``user_tower.onnx``.

    Args:
        user: See `PublishedUser`.
        boundary: The boundary.
        inputs: Real examples: history, plays, age, gender, occupation, in this order.
        path: File.

    Returns:
        Greatest difference between torch and ONNX on the examples.

    Raises:
        ValueError: it is more than 1e-4.
    """
    return write_onnx(PublishedUser(user, boundary).eval(), inputs, ("vector", "boundary"), path)


def inputs_of(
    tower: TwoTower, past: Histories, told: Demographics, users: NDArray[np.int64], most: int,
    share: NDArray[np.float64] | None = None, random: np.random.Generator | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """What the user tower is given for some users, by name, in order; the other arguments as of `Histories.weights`."""
    weights, number = past.weights(users, most, None, share, random)
    with torch.no_grad():
        history = sparse_product(weights, tower.item_vectors())  # [B, D]
    plays = torch.from_numpy(np.log1p(number))[:, None]  # [B, 1]
    return {"history": history, "plays": plays, **told.take(users)._asdict()}


@dataclass(frozen=True, slots=True)
class Filtered:
    """What the boundary does to lists of cold items.

    Attributes:
        shown: Share of the places whose item is above the boundary.
        precision: Share of these that the user played.
        precision_of_rest: Share of the others that he played.
    """

    shown: float
    precision: float
    precision_of_rest: float


def filtered(
    scores: NDArray[np.float32],
    boundary: NDArray[np.float32],
    truth: csr_matrix,
    candidates: NDArray[np.bool_],
    cut: int = 20,
) -> Filtered:
    """Effect on each user's best cold items.

    Args:
        scores: float32 [U, I].
        boundary: float32 [U].
        truth: What was played, [U, I].
        candidates: bool [I]: the cold items.
        cut: Length of the lists.
    """
    lists = ranked(scores, None, candidates, cut)  # [U, K]
    above = np.take_along_axis(scores, lists, axis=1) > boundary[:, None]  # [U, K]
    hit = np.asarray(truth[np.arange(len(lists))[:, None], lists].todense()) > 0  # [U, K]
    return Filtered(float(above.mean()), *(float(hit[each].mean()) if each.any() else 0.0 for each in (above, ~above)))
