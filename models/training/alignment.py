"""Alignment of content vectors to the space of behaviour: what users play together comes to lie together.

After QARM (Luo et al. 2024, arXiv:2411.11739), in two stages. Stage 1 learns mapping layers by a contrastive loss
(InfoNCE, van den Oord et al. 2018, arXiv:1807.03748) on pairs of items that the same users play, the other items of the
batch as negatives. Stage 2 goes on with a smaller step and an auxiliary network, which must predict the frozen vector
of the item's ID from the aligned one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from torch import Tensor, nn
from torch.nn import functional

from models.dataset import DatasetError
from models.training.content import WIDTH, Content
from models.training.layers import MLP
from models.training.loop import Fit, Watch, seed_everything, train

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
_NOT_A_NEGATIVE = -1e4


@dataclass(frozen=True, slots=True)
class Config:
    """Shape and training.

    Attributes:
        hidden: Width of the mapping's hidden layer.
        dropout: Share of values left out in training.
        temperature: Of the contrastive loss.
        neighbours: Partners of each item that count as pairs.
        auxiliary: Weight of the auxiliary loss in stage 2.
        left_out: Probability that a modality is left out of an item in training.
        contrastive: Loop of stage 1.
        fine_tuning: Loop of stage 2.
    """

    hidden: int = 128
    dropout: float = 0.3
    temperature: float = 0.1
    neighbours: int = 20
    auxiliary: float = 1.0
    left_out: float = 0.1
    contrastive: Fit = field(
        default_factory=lambda: Fit(epochs=60, patience=6, batch=256, learning_rate=2e-3, check_every=3)
    )
    fine_tuning: Fit = field(
        default_factory=lambda: Fit(epochs=30, patience=5, batch=256, learning_rate=5e-4, check_every=2)
    )

    @staticmethod
    def debug() -> Config:
        """Small enough for a test."""
        few = Fit(epochs=12, patience=12, batch=64, learning_rate=5e-3)
        return Config(hidden=32, neighbours=5, dropout=0.1, contrastive=few, fine_tuning=few)


class AlignmentNet(nn.Module):
    """Parts [B, M, 64] with presence [B, M] -> unit vectors [B, 64]."""

    def __init__(self, config: Config, modalities: int) -> None:
        super().__init__()
        self.config = config
        self.mapping = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(modalities))
        self.mix = MLP(WIDTH, config.hidden, WIDTH, dropout=config.dropout)
        self.auxiliary = MLP(WIDTH, config.hidden, WIDTH, dropout=config.dropout)

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        """Aligned vectors, float32 [B, 64], norm 1."""
        mapped = torch.stack([layer(part) for layer, part in zip(self.mapping, parts.unbind(1), strict=True)], dim=1)
        mapped = mapped * present[:, :, None]  # [B, M, 64]
        pooled = mapped.sum(1) / present.sum(1, keepdim=True).clamp(min=1.0)  # [B, 64]
        return functional.normalize(pooled + self.mix(pooled), dim=1)

    def contrastive_loss(self, left: Tensor, right: Tensor, allowed: Tensor) -> Tensor:
        """InfoNCE both ways: a scalar.

        Args:
            left: Aligned vectors [B, 64].
            right: Their partners' [B, 64].
            allowed: bool [B, B]: whether right j may serve as a negative of left i.
        """
        logits = left @ right.T / self.config.temperature  # [B, B]
        own = torch.eye(len(left), dtype=torch.bool)  # [B, B]
        logits = logits.masked_fill(~(allowed | own), _NOT_A_NEGATIVE)  # [B, B]
        target = torch.arange(len(left))  # [B]
        return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2

    def auxiliary_loss(self, aligned: Tensor, frozen: Tensor) -> Tensor:
        """1 - cosine of the predicted and the frozen vectors of the IDs [B, 64]: a scalar."""
        return 1.0 - functional.cosine_similarity(self.auxiliary(aligned), frozen, dim=1).mean()


@dataclass(frozen=True, slots=True)
class Aligned:
    """Vectors of all items before and after each stage, float32 [I, 64 * M] and [I, 64].

    Attributes:
        before: Content side by side.
        contrastive: After stage 1.
        tuned: After stage 2.
    """

    before: Vectors
    contrastive: Vectors
    tuned: Vectors


def neighbours_by_plays(plays: csr_matrix, count: int, among: NDArray[np.bool_]) -> Rows:
    """Items that the same users play: the nearest by cosine, int64 [I, count], best first, never the item itself.

    Args:
        plays: [U, I].
        count: How many.
        among: bool [I]: which may be neighbours.

    Raises:
        DatasetError: fewer candidates than ``count``.
    """
    if among.sum() <= count:
        raise DatasetError(f"{int(among.sum())} items, more than {count} needed for {count} neighbours")
    norm = np.sqrt(np.asarray(plays.sum(axis=0), np.float64).ravel())  # [I]
    unit = plays @ diags(1.0 / np.maximum(norm, 1.0))
    return _nearest(np.asarray((unit.T @ unit).todense(), np.float32), count, among)


def nearest(vectors: Vectors, count: int, among: NDArray[np.bool_]) -> Rows:
    """The same by the cosine of vectors [I, D]."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return _nearest(unit @ unit.T, count, among)


def neighbour_recall(vectors: Vectors, truth: Rows, items: Rows, among: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of the true neighbours [I, k] among the k nearest, float64 [len(items)]; by chance k / candidates."""
    found = nearest(vectors, truth.shape[1], among)
    return np.array([len(np.intersect1d(found[item], truth[item])) / truth.shape[1] for item in items])


def fit_alignment(
    content: Content, plays: csr_matrix, frozen: Vectors, train_on: Rows, validation: Rows, config: Config, watch: Watch
) -> Aligned:
    """Trains both stages; each stops by the neighbours of the validation items.

    Args:
        content: Content of all items.
        plays: Train plays of the warm items and plays of the validation items, [U, I].
        frozen: Vectors of the IDs, float32 [I, 64]; only those of ``train_on`` are looked at.
        train_on: Warm items, rows.
        validation: Items left out of training, rows; their neighbours among the warm ones are what is judged.
        config: Settings.
        watch: Called after each checked pass.

    Raises:
        DatasetError: too few items, or vectors that are not finite.
    """
    if not (np.isfinite(content.parts).all() and np.isfinite(frozen[train_on]).all()):
        raise DatasetError("content or vectors of items are not finite")
    seed_everything(config.contrastive.seed)
    warm = np.zeros(len(frozen), np.bool_)
    warm[train_on] = True
    partners = neighbours_by_plays(plays, config.neighbours, warm)  # [I, k]
    known = np.zeros((len(frozen), len(frozen)), np.bool_)
    known[np.arange(len(frozen))[:, None], partners] = True
    known |= known.T | np.eye(len(frozen), dtype=np.bool_)
    parts, present = torch.from_numpy(content.parts), torch.from_numpy(content.present.astype(np.float32))
    ids = torch.from_numpy(frozen)
    module = AlignmentNet(config, len(content.names))

    def batches(order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=order)))
        for some in np.array_split(random.permutation(train_on), -(-len(train_on) // config.contrastive.batch)):
            drawn = partners[some, random.integers(config.neighbours, size=len(some))]
            yield torch.from_numpy(some), torch.from_numpy(drawn)

    def aligned(rows: Tensor) -> Tensor:
        return module(*without_some(parts[rows], present[rows], config.left_out))  # [B, 64]

    def contrastive(pair: tuple[Tensor, Tensor]) -> Tensor:
        left, right = pair  # [B], [B]
        allowed = torch.from_numpy(~known[left.numpy()[:, None], right.numpy()])  # [B, B]
        return module.contrastive_loss(aligned(left), aligned(right), allowed)

    def with_auxiliary(pair: tuple[Tensor, Tensor]) -> Tensor:
        return contrastive(pair) + config.auxiliary * module.auxiliary_loss(aligned(pair[0]), ids[pair[0]])

    def vectors() -> Vectors:
        module.eval()
        with torch.no_grad():
            return module(parts, present).numpy()

    def measure() -> float:
        return float(neighbour_recall(vectors(), partners, validation, warm).mean())

    train(module, contrastive, batches, measure, "greatest", config.contrastive, watch)
    first = vectors()
    train(module, with_auxiliary, batches, measure, "greatest", config.fine_tuning, watch)
    return Aligned(content.flat(), first, vectors())


def without_some(parts: Tensor, present: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    """Parts [B, M, D] and presence [B, M] with whole modalities left out at random, never all of an item.

    ModDrop, Neverova et al. 2015, arXiv:1501.00102.
    """
    kept = present * (torch.rand(present.shape) >= probability)  # [B, M]
    kept = torch.where(kept.any(1, keepdim=True), kept, present)  # [B, M]
    return parts * kept[:, :, None], kept


def _nearest(similarity: NDArray[np.float32], count: int, among: NDArray[np.bool_]) -> Rows:
    masked = similarity.copy()
    masked[:, ~among] = -np.inf
    np.fill_diagonal(masked, -np.inf)
    best = np.argpartition(-masked, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(masked, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)
