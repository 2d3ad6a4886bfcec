"""CB2CF: from what an item contains to its vector in the space of behaviour, before anybody has played it.

Barkan et al. 2019, "CB2CF: A Neural Multiview Content-to-Collaborative Filtering Model for Completely Cold Item
Recommendations", arXiv:1611.00384. Modalities are weighted by squeeze and excitation (Hu et al. 2018, arXiv:1709.01507;
over fields: FiBiNET, Huang et al. 2019, arXiv:1905.09433) and left out at random (ModDrop, Neverova et al. 2015,
arXiv:1501.00102). The loss is the error against the frozen item vectors, BPR (Rendle et al. 2009, arXiv:1205.2618)
through the frozen user vectors, and the distance of the ratings' distribution from the backbone's (ALDI, Huang et al.
2023, "Aligning Distillation For Cold-Start Item Recommendation").

Some thousand items are few for a network alone. So it starts as kernel regression from the content to the item vectors
(`models.training.content_kernel`), on a path beside the perceptrons; the gates begin as the weights that the kernel has
learnt for the modalities, noise near 0. While the network learns, the path answers for each item as if it had been
solved without that item (as in stacking, Wolpert 1992): gates and perceptrons see its errors on new items.
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

from models.dataset import DatasetError
from models.training import content_kernel, memo
from models.training.alignment import without_some
from models.training.backbone import Backbone
from models.training.content import WIDTH, Content
from models.training.content_kernel import ContentKernel
from models.training.layers import MLP
from models.training.lightgcn import negatives
from models.training.loop import Fit, Watch, seed_everything, train
from models.training.onnx_file import write_onnx
from models.training.ranking_metrics import list_metrics, ranked

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
CUT = 20
TOLD = 1e-12
"""Variance below which a part tells nothing."""


@dataclass(frozen=True, slots=True)
class Config:
    """Shape and training.

    Attributes:
        members: Perceptrons whose answers are averaged.
        hidden: Width of a perceptron.
        squeezed: Width of the excitation's hidden layer.
        dropout: Share of values left out in training.
        left_out: Probability that a modality is left out of an item in training.
        kernel: Closed form.
        popularity: An item weighs (plays + 1) ** popularity in the closed form and in the error.
        error: Weight of the squared error against the item vectors.
        pairs: Weight of BPR.
        ratings: Weight of the distribution of ratings.
        sharpness: Factor of a pair's margin in BPR, in units of the backbone's mean margin.
        fit: Loop; ``batch`` counts plays.
    """

    members: int = 4
    hidden: int = 64
    squeezed: int = 8
    dropout: float = 0.5
    left_out: float = 0.2
    kernel: content_kernel.Config = field(default_factory=content_kernel.Config)
    popularity: float = 0.25
    error: float = 1.0
    pairs: float = 1.0
    ratings: float = 0.2
    sharpness: float = 2.0
    fit: Fit = field(
        default_factory=lambda: Fit(epochs=8, patience=8, batch=16384, learning_rate=2e-3, weight_decay=1e-4)
    )

    @staticmethod
    def debug() -> Config:
        """Small enough for a test."""
        fit = Fit(epochs=12, patience=12, batch=2048, learning_rate=3e-3)
        kernel = content_kernel.Config(landmarks=400, relevance_items=120, relevance_steps=60)
        return Config(members=2, hidden=16, squeezed=4, kernel=kernel, fit=fit)


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
    """Weight of each modality, 0 to twice its weight in the kernel, from all of them; 0 where absent."""

    def __init__(self, modalities: int, squeezed: int) -> None:
        super().__init__()
        self.excite = nn.Sequential(nn.Linear(modalities, squeezed), nn.GELU(), nn.Linear(squeezed, modalities))
        nn.init.zeros_(self.excite[2].weight)
        nn.init.zeros_(self.excite[2].bias)

    def forward(self, parts: Tensor, present: Tensor, weight: Tensor) -> Tensor:
        """Gates [B, M] of parts [B, M, 64] with presence [B, M] and weights [M], which they are at the start."""
        squeezed = (parts.square().sum(2) + 1e-12).sqrt() * present  # [B, M]
        return 2.0 * torch.sigmoid(self.excite(squeezed)) * weight * present  # [B, M]


class CB2CF(nn.Module):
    """Parts [B, M, 64] with presence [B, M] -> vectors [B, D] and gates [B, M]; the perceptrons' answers are averaged.

    An item without any modality gets the offset of the kernel path, the mean of the warm vectors.
    """

    middle: Tensor
    scale: Tensor

    def __init__(self, config: Config, landmarks: int, modalities: int, dim: int) -> None:
        super().__init__()
        self.config = config
        self.path = ContentKernel(landmarks, modalities, WIDTH, dim)
        self.gate = SENetGate(modalities, config.squeezed)
        widths = modalities * WIDTH, config.hidden, dim
        self.members = nn.ModuleList(MLP(*widths, dropout=config.dropout) for _ in range(config.members))
        for member in self.members:
            nn.init.zeros_(member[-1].weight)
            nn.init.zeros_(member[-1].bias)
        self.register_buffer("middle", torch.zeros(modalities, WIDTH))
        self.register_buffer("scale", torch.ones(modalities))

    def standard(self, parts: Tensor, present: Tensor) -> Tensor:
        """Parts [B, M, 64] with mean 0 and mean squared norm 1 over the warm items; zeros where absent."""
        return (parts - self.middle) * (self.scale[:, None] * present[:, :, None])  # [B, M, 64]

    def beside(self, parts: Tensor, gates: Tensor) -> list[Tensor]:
        """What each perceptron adds to the path, [B, D], by standardised parts and gates."""
        gated = (parts * gates[:, :, None]).flatten(1)  # [B, M * 64]
        return [member(gated) for member in self.members]

    def forward(self, parts: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [B, D], and gates [B, M], 0 where absent."""
        parts = self.standard(parts, present)  # [B, M, 64]
        gates = self.gate(parts, present, self.path.weight)  # [B, M]
        vectors = self.path(parts, gates) + torch.stack(self.beside(parts, gates)).mean(0)  # [B, D]
        some = present.amax(1, keepdim=True)  # [B, 1]
        return vectors * some + self.path.offset * (1.0 - some), gates


class Lesson:
    """Everything that the loss is made of; warm items in an order of chance."""

    def __init__(self, module: CB2CF, content: Content, plays: csr_matrix, backbone: Backbone, warm: Rows) -> None:
        config = module.config
        order = np.random.default_rng(config.fit.seed).permutation(warm)
        self.module, self.plays = module, csr_matrix(plays[:, order])
        raw, self.present = torch.from_numpy(content.parts[order]), torch.from_numpy(content.present[order]).float()
        module.middle.copy_(_mean_of_present(raw, self.present))
        spread = _mean_of_present((raw - module.middle).square().sum(2, keepdim=True), self.present)  # [M, 1]
        # a part that no item has, or that all have alike, says nothing about items to come
        told = spread[:, 0] > TOLD
        module.scale.copy_(torch.where(told, spread[:, 0].clamp(min=TOLD).rsqrt(), torch.zeros(())))
        self.parts = module.standard(raw, self.present)  # [W, M, 64]
        self.users, self.items = torch.from_numpy(backbone.users), torch.from_numpy(backbone.items[order])
        weight = (np.asarray(self.plays.sum(axis=0), np.float64).ravel() + 1.0) ** config.popularity
        self.weight = torch.from_numpy((weight / weight.mean()).astype(np.float32))  # [W]
        energy = self.users.square().sum(0)  # [D]
        self.solved = content_kernel.solve(
            self.parts, self.present, self.items, self.weight, energy, config.kernel, module.path
        )
        self.near = module.path.near(self.parts)  # [M, W, L]
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
        """Mean loss of the perceptrons: a scalar."""
        parts, present = without_some(self.parts, self.present, self.module.config.left_out)  # [W, M, 64], [W, M]
        gates = self.module.gate(parts, present, self.module.path.weight)  # [W, M]
        path = self.solved.unseen(self.near, gates)  # [W, D]
        told = self.ratings(self.items, triples)  # [B], [B]
        return torch.stack([self._of(path + each, triples, told) for each in self.module.beside(parts, gates)]).mean()

    def _of(self, vectors: Tensor, triples: Tensor, told: tuple[Tensor, Tensor]) -> Tensor:
        config = self.module.config
        error = ((vectors - self.items).square().mean(1) * self.weight).mean() / self.size  # []
        positive, negative = self.ratings(vectors, triples)  # [B], [B]
        pairs = functional.softplus(-config.sharpness * (positive - negative) / self.margin).mean()  # []
        apart = (positive - told[0]).abs() + (negative - told[1]).abs()  # [B]
        ratings = apart.mean() / self.margin  # []
        return config.error * error + config.pairs * pairs + config.ratings * ratings


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
    landmarks = min(len(warm), config.kernel.landmarks)
    module = CB2CF(config, landmarks, len(content.names), backbone.items.shape[1])
    lesson = Lesson(module, content, plays, backbone, warm)

    def batches(order: torch.Generator) -> Iterator[Tensor]:
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=order)))
        rows = random.permutation(len(lesson.user))
        for some in np.array_split(rows, -(-len(rows) // config.fit.batch)):
            yield torch.from_numpy(lesson.triples(some, random))

    def measure() -> float:
        vectors, _ = mapped(module, content, judged.items)
        return cold_recall(backbone.users, vectors, judged)

    def learn() -> None:
        train(module, lesson.loss, batches, measure, "greatest", config.fit, watch)

    memo.once("cb2cf", (content, plays, backbone, warm, judged, config), module, learn)
    return module


def mapped(module: CB2CF, content: Content, items: Rows) -> tuple[Vectors, Vectors]:
    """Vectors float32 [N, D] and gates float32 [N, M] of some items."""
    parts, present = torch.from_numpy(content.parts[items]), torch.from_numpy(content.present[items]).float()
    module.eval()
    with torch.no_grad():
        vectors, gates = module(parts, present)
    return vectors.numpy(), gates.numpy()


def kernel_path(module: CB2CF, content: Content) -> Vectors:
    """What the kernel path alone answers, by the weights it was solved with, float32 [I, D]: before training."""
    present = torch.from_numpy(content.present).float()
    parts = module.standard(torch.from_numpy(content.parts), present)
    return module.path(parts, module.path.weight * present).numpy()


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
