"""CB2CF: from what an item contains to its vector in the space of behaviour, before anybody has played it.

Barkan et al. 2019, "CB2CF: A Neural Multiview Content-to-Collaborative Filtering Model for Completely Cold Item
Recommendations", arXiv:1611.00384. Modalities are weighted by squeeze and excitation (Hu et al. 2018, arXiv:1709.01507;
over fields: FiBiNET, Huang et al. 2019, arXiv:1905.09433) and left out at random (ModDrop, Neverova et al. 2015,
arXiv:1501.00102). The loss is the error against the frozen item vectors, BPR (Rendle et al. 2009, arXiv:1205.2618)
through the frozen user vectors, and the distance of the ratings' distribution from the backbone's (ALDI, Huang et al.
2023, "Aligning Distillation For Cold-Start Item Recommendation").

Some thousand items are few for a network alone. So each member of the ensemble starts as ridge regression from the
content to the item vectors, on a linear path beside the perceptron. While it learns, the path answers for an item by
weights that were solved without that item (cross-fitting, as in stacking, Wolpert 1992): gates and perceptron see the
errors that it makes on new items, and a field of noise shows as the harm that it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge
from torch import Tensor, nn
from torch.nn import functional

from models.dataset import DatasetError
from models.training.alignment import without_some
from models.training.backbone import Backbone
from models.training.content import WIDTH, Content
from models.training.layers import MLP
from models.training.lightgcn import negatives
from models.training.loop import Fit, Watch, seed_everything, train
from models.training.onnx_file import write_onnx
from models.training.ranking_metrics import list_metrics, ranked

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Linear = tuple[Tensor, Tensor]
"""Weights [M * 64, D] and offset [D]."""
CUT = 20


@dataclass(frozen=True, slots=True)
class Config:
    """Shape and training.

    Attributes:
        members: Networks whose answers are averaged.
        hidden: Width of the perceptron.
        squeezed: Width of the excitation's hidden layer.
        dropout: Share of values left out in training.
        left_out: Probability that a modality is left out of an item in training.
        ridge: L2 of the linear path; the parts have a mean squared norm of 1.
        popularity: An item weighs (plays + 1) ** popularity in the linear path and in the error.
        folds: Parts of the warm items for cross-fitting.
        error: Weight of the squared error against the item vectors.
        pairs: Weight of BPR.
        ratings: Weight of the distribution of ratings.
        gates: Weight of the mean gate, which pulls down what is of no use.
        sharpness: Factor of a pair's margin in BPR, in units of the backbone's mean margin.
        fit: Loop; ``batch`` counts plays.
    """

    members: int = 3
    hidden: int = 64
    squeezed: int = 8
    dropout: float = 0.6
    left_out: float = 0.3
    ridge: float = 20.0
    popularity: float = 0.25
    folds: int = 8
    error: float = 1.0
    pairs: float = 1.0
    ratings: float = 0.2
    gates: float = 0.01
    sharpness: float = 2.0
    fit: Fit = field(
        default_factory=lambda: Fit(epochs=20, patience=20, batch=16384, learning_rate=3e-3, weight_decay=1e-4)
    )

    @staticmethod
    def debug() -> Config:
        """Small enough for a test."""
        fit = Fit(epochs=12, patience=12, batch=2048, learning_rate=3e-3)
        return Config(members=2, hidden=16, squeezed=4, ridge=3.0, folds=4, fit=fit)


@dataclass(frozen=True, slots=True)
class Judged:
    """Items that the network is stopped by.

    Attributes:
        items: Cold validation items, rows.
        plays: Their plays, [U, I].
    """

    items: Rows
    plays: csr_matrix


class SENetGate(nn.Module):
    """Weight of each modality, 0..2, from all of them; 0 where absent. At the start all are 1."""

    def __init__(self, modalities: int, squeezed: int) -> None:
        super().__init__()
        self.excite = nn.Sequential(nn.Linear(modalities, squeezed), nn.GELU(), nn.Linear(squeezed, modalities))
        nn.init.zeros_(self.excite[2].weight)
        nn.init.zeros_(self.excite[2].bias)

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        """Gates [B, M] of parts [B, M, 64] with presence [B, M]."""
        squeezed = (parts.square().sum(2) + 1e-12).sqrt() * present  # [B, M]
        return 2.0 * torch.sigmoid(self.excite(squeezed)) * present  # [B, M]


class Member(nn.Module):
    """Gate and perceptron beside a linear path whose weights are given."""

    def __init__(self, config: Config, modalities: int, dim: int) -> None:
        super().__init__()
        self.gate = SENetGate(modalities, config.squeezed)
        self.mlp = MLP(modalities * WIDTH, config.hidden, dim, dropout=config.dropout)
        nn.init.zeros_(self.mlp[-1].weight)
        nn.init.zeros_(self.mlp[-1].bias)

    def forward(self, parts: Tensor, present: Tensor, paths: list[Linear]) -> tuple[Tensor, Tensor]:
        """Vectors [B, D] and gates [B, M] of parts [B, M, 64] with presence [B, M]; paths for equal pieces of B."""
        gates = self.gate(parts, present)  # [B, M]
        gated = (parts * gates[:, :, None]).flatten(1)  # [B, M * 64]
        straight = [piece @ weight + offset for piece, (weight, offset) in zip(split(gated, paths), paths, strict=True)]
        return torch.cat(straight) + self.mlp(gated), gates  # [B, D], [B, M]


class CB2CF(nn.Module):
    """Mean of some members: parts [B, M, 64] with presence [B, M] -> vectors [B, D] and gates [B, M].

    An item without any modality gets the offset of the linear path, the mean of the warm vectors.
    """

    middle: Tensor
    scale: Tensor
    weight: Tensor
    offset: Tensor

    def __init__(self, config: Config, modalities: int, dim: int) -> None:
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(Member(config, modalities, dim) for _ in range(config.members))
        self.register_buffer("middle", torch.zeros(modalities, WIDTH))
        self.register_buffer("scale", torch.ones(modalities))
        self.register_buffer("weight", torch.zeros(modalities * WIDTH, dim))
        self.register_buffer("offset", torch.zeros(dim))

    def standard(self, parts: Tensor, present: Tensor) -> Tensor:
        """Parts [B, M, 64] with mean 0 and mean squared norm 1 over the warm items; zeros where absent."""
        return (parts - self.middle) * (self.scale[:, None] * present[:, :, None])  # [B, M, 64]

    def forward(self, parts: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [B, D], and gates [B, M] in 0..2, 0 where absent."""
        parts = self.standard(parts, present)  # [B, M, 64]
        found = [member(parts, present, [(self.weight, self.offset)]) for member in self.members]
        vectors = torch.stack([vector for vector, _ in found]).mean(0)  # [B, D]
        gates = torch.stack([gates for _, gates in found]).mean(0)  # [B, M]
        some = present.amax(1, keepdim=True)  # [B, 1]
        return vectors * some + self.offset * (1.0 - some), gates


class Lesson:
    """Everything that the loss is made of; warm items in the order of the folds."""

    def __init__(self, module: CB2CF, content: Content, plays: csr_matrix, backbone: Backbone, warm: Rows) -> None:
        config = module.config
        order = np.random.default_rng(config.fit.seed).permutation(warm)
        self.module, self.plays = module, csr_matrix(plays[:, order])
        raw, self.present = torch.from_numpy(content.parts[order]), torch.from_numpy(content.present[order]).float()
        module.middle.copy_(_mean_of_present(raw, self.present))
        spread = _mean_of_present((raw - module.middle).square().sum(2, keepdim=True), self.present)  # [M, 1]
        module.scale.copy_(spread[:, 0].clamp(min=1e-12).rsqrt())
        self.parts = module.standard(raw, self.present)  # [W, M, 64]
        self.users, self.items = torch.from_numpy(backbone.users), torch.from_numpy(backbone.items[order])
        weight = (np.asarray(self.plays.sum(axis=0), np.float64).ravel() + 1.0) ** config.popularity
        weight /= weight.mean()
        flat, vectors = self.parts.flatten(1).numpy(), backbone.items[order]
        fold = np.concatenate([np.full(len(piece), n) for n, piece in enumerate(np.array_split(order, config.folds))])
        others = [fold != n for n in range(config.folds)]
        self.paths = [_solved(flat[rows], vectors[rows], weight[rows], config.ridge) for rows in others]
        for buffer, solved in zip(
            (module.weight, module.offset), _solved(flat, vectors, weight, config.ridge), strict=True
        ):
            buffer.copy_(solved)
        self.weight = torch.from_numpy(weight.astype(np.float32))  # [W]
        self.size = self.items.square().mean()  # []
        user = np.repeat(np.arange(plays.shape[0]), np.diff(self.plays.indptr))
        self.user, self.item = user.astype(np.int64), self.plays.indices.astype(np.int64)
        sample = torch.from_numpy(self.triples(np.arange(len(user)), np.random.default_rng(0)))
        positive, negative = self.ratings(self.items, sample)
        self.margin = (positive - negative).abs().mean()  # []

    def triples(self, rows: Rows, random: np.random.Generator) -> Rows:
        """User, item played, item not played of some plays, int64 [B, 3]."""
        other = negatives(self.plays, self.user[rows], random)
        return np.stack([self.user[rows], self.item[rows], other], axis=1)

    def ratings(self, items: Tensor, triples: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [B] of the played and of the other item by vectors [W, D]."""
        user = self.users[triples[:, 0]]  # [B, D]
        played = functional.embedding(triples[:, 1], items)  # [B, D]
        other = functional.embedding(triples[:, 2], items)  # [B, D]
        return (user * played).sum(1), (user * other).sum(1)

    def loss(self, triples: Tensor) -> Tensor:
        """Mean loss of the members: a scalar."""
        return torch.stack([self._of_member(member, triples) for member in self.module.members]).mean()

    def _of_member(self, member: nn.Module, triples: Tensor) -> Tensor:
        config = self.module.config
        parts, present = without_some(self.parts, self.present, config.left_out)  # [W, M, 64], [W, M]
        vectors, gates = member(parts, present, self.paths)  # [W, D], [W, M]
        error = ((vectors - self.items).square().mean(1) * self.weight).mean() / self.size  # []
        positive, negative = self.ratings(vectors, triples)  # [B], [B]
        told_positive, told_negative = self.ratings(self.items, triples)  # [B], [B]
        pairs = functional.softplus(-config.sharpness * (positive - negative) / self.margin).mean()  # []
        apart = (positive - told_positive).abs() + (negative - told_negative).abs()  # [B]
        ratings = apart.mean() / self.margin  # []
        mean_gate = gates.sum() / present.sum()  # []
        return config.error * error + config.pairs * pairs + config.ratings * ratings + config.gates * mean_gate


def fit_cb2cf(
    content: Content,
    plays: csr_matrix,
    backbone: Backbone,
    warm: Rows,
    judged: Judged,
    config: Config,
    watch: Watch,
) -> CB2CF:
    """Trains on the warm items; stops by Recall@20 among the cold validation items.

    Args:
        content: Content of all items.
        plays: Train plays, binary [U, I]; those of warm items count.
        backbone: Frozen vectors.
        warm: Items to learn from, rows.
        judged: Cold items to stop by.
        config: Settings.
        watch: Called after each checked pass.

    Raises:
        DatasetError: vectors or content that are not finite, an item without modality among the warm ones, no plays.
    """
    _check(content, plays, backbone, warm)
    seed_everything(config.fit.seed)
    module = CB2CF(config, len(content.names), backbone.items.shape[1])
    lesson = Lesson(module, content, plays, backbone, warm)

    def batches(order: torch.Generator) -> Iterator[Tensor]:
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=order)))
        rows = random.permutation(len(lesson.user))
        for some in np.array_split(rows, -(-len(rows) // config.fit.batch)):
            yield torch.from_numpy(lesson.triples(some, random))

    def measure() -> float:
        vectors, _ = mapped(module, content, judged.items)
        return cold_recall(backbone.users, vectors, judged)

    train(module, lesson.loss, batches, measure, "greatest", config.fit, watch)
    return module


def mapped(module: CB2CF, content: Content, items: Rows) -> tuple[Vectors, Vectors]:
    """Vectors float32 [N, D] and gates float32 [N, M] of some items."""
    parts, present = torch.from_numpy(content.parts[items]), torch.from_numpy(content.present[items]).float()
    module.eval()
    with torch.no_grad():
        vectors, gates = module(parts, present)
    return vectors.numpy(), gates.numpy()


def linear_path(module: CB2CF, content: Content) -> Vectors:
    """What the linear path alone answers, with all gates at 1, float32 [I, D]: the network before training."""
    parts = module.standard(torch.from_numpy(content.parts), torch.from_numpy(content.present).float())
    return (parts.flatten(1) @ module.weight + module.offset).numpy()


def cold_recall(users: Vectors, vectors: Vectors, judged: Judged) -> float:
    """Mean Recall@20 with the items as the only candidates, their vectors [N, D]."""
    cut = min(CUT, len(judged.items))
    lists = ranked(users @ vectors.T, None, None, cut)
    return float(list_metrics(lists, csr_matrix(judged.plays[:, judged.items]), [cut])[f"recall@{cut}"].mean())


def export(module: CB2CF, content: Content, path: Path) -> float:
    """Writes ``cb2cf.onnx``: parts [B, M, 64], present [B, M] -> vector [B, D], gates [B, M].

    Returns:
        Greatest difference between torch and ONNX.

    Raises:
        ValueError: they differ by more than `onnx_file.PARITY`.
    """
    parts, present = torch.from_numpy(content.parts[:64]), torch.from_numpy(content.present[:64]).float()
    return write_onnx(module.eval(), {"parts": parts, "present": present}, ("vector", "gates"), path)


def split(gated: Tensor, paths: list[Linear]) -> tuple[Tensor, ...]:
    """Rows [B, X] in as many equal pieces as there are paths."""
    return gated.tensor_split(len(paths)) if len(paths) > 1 else (gated,)


def _solved(content: Vectors, vectors: Vectors, weight: NDArray[np.float64], ridge: float) -> Linear:
    """Weighted ridge regression with a free offset: weights [X, D] and offset [D]."""
    model = Ridge(alpha=ridge).fit(content, vectors, sample_weight=weight)
    return torch.from_numpy(model.coef_.T.astype(np.float32)), torch.from_numpy(model.intercept_.astype(np.float32))


def _mean_of_present(values: Tensor, present: Tensor) -> Tensor:
    """Mean [M, X] of values [B, M, X] over the items that have the part [B, M]."""
    return (values * present[:, :, None]).sum(0) / present.sum(0).clamp(min=1.0)[:, None]


def _check(content: Content, plays: csr_matrix, backbone: Backbone, warm: Rows) -> None:
    for name, values in (("content", content.parts), ("users", backbone.users), ("warm items", backbone.items[warm])):
        if not np.isfinite(values).all():
            raise DatasetError(f"{name}: row {int(np.argwhere(~np.isfinite(values))[0][0])} is not finite")
    bare = warm[~content.present[warm].any(axis=1)]
    if len(bare):
        raise DatasetError(f"item in row {int(bare[0])} has no modality: there is nothing to learn from it")
    if not plays[:, warm].nnz:
        raise DatasetError("no plays of warm items to learn from")
