"""The ranker: factorisation machine and experts over gated embeddings, four answers for each pair.

DeepFM: Guo et al. 2017, arXiv:1703.04247. MMoE: Ma et al. 2018, "Modeling Task Relationships in Multi-task Learning
with Multi-gate Mixture-of-Experts", KDD. Gates by group: GateNU of PEPNet, Chang et al. 2023, arXiv:2302.01115: twice a
sigmoid, so 1 at the start, its view of the embeddings without gradient. What a group is made of (`PRIOR_FIELDS`,
`PRIOR_DENSE`) acts through the gates alone; without gates it is a feature like any other. Pairwise loss: BPR, Rendle
et al. 2009, arXiv:1205.2618, within a user's rows. Weights of the tasks by uncertainty: Kendall et al. 2018,
arXiv:1705.07115.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.ranking_features import DENSE, GROUPS, TASKS, RankingLayout, RankingRows
from models.training.loop import Fit, History, Watch, seed_everything, shuffled, train
from models.training.onnx_file import write_onnx
from models.training.ranking_metrics import auc
from models.training.ranking_rows import Labelled, RankingData, check_classes

LIKE, SHARE = TASKS.index("like"), TASKS.index("play_time")
PRIOR_FIELDS = ("gender", "activity")
PRIOR_DENSE = ("user_plays", "interest_shift")


@dataclass(frozen=True, slots=True)
class Config:
    """Shape and training.

    Attributes:
        embedding: Width of a field's embedding.
        factors: Whether products of pairs of fields count (the FM part); without it and without experts: LR.
        experts: Networks that the tasks share; 1: plain DeepFM, 0: no deep part.
        expert: Width of an expert.
        tower: Width of each task's own layer.
        gate: Whether groups gate embeddings and experts.
        gate_width: Hidden width of the embedding gate.
        dropout: Share of an expert's inputs left out in training.
        pairwise: Weight of the BPR loss of likes within a user's rows of a batch; 0: none.
        uncertainty: Whether the tasks' weights are learnt.
        fit: Settings of the loop.
    """

    embedding: int = 8
    factors: bool = True
    experts: int = 3
    expert: int = 32
    tower: int = 16
    gate: bool = True
    gate_width: int = 16
    dropout: float = 0.4
    pairwise: float = 0.0
    uncertainty: bool = False
    fit: Fit = field(
        default_factory=lambda: Fit(epochs=5, patience=2, batch=2048, learning_rate=2e-3, weight_decay=1.0)
    )

    @staticmethod
    def debug(gate: bool = True) -> Config:
        """Small enough for a test."""
        fit = Fit(epochs=12, patience=12, batch=256, learning_rate=1e-2, weight_decay=0.0)
        return Config(embedding=4, experts=2, expert=8, tower=4, gate=gate, gate_width=8, dropout=0.0, fit=fit)


class GateNU(nn.Module):
    """Factors 0..2, [B, G], from what is known beforehand [B, P] and values [B, V]; all 1 before training."""

    def __init__(self, prior: int, values: int, gates: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(prior + values, width)
        self.out = nn.Linear(width, gates)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, prior: Tensor, values: Tensor) -> Tensor:
        seen = torch.cat([prior, values.detach()], dim=1)  # [B, P+V]
        return 2.0 * torch.sigmoid(self.out(functional.relu(self.hidden(seen))))  # [B, G]


class MMoE(nn.Module):
    """Experts shared by the tasks, mixed for each task by its own gate: values [B, V], group [B, K] -> [B, T, E]."""

    def __init__(self, inputs: int, config: Config) -> None:
        super().__init__()
        self.shape = (config.experts, config.expert)
        self.experts = nn.Linear(inputs, config.experts * config.expert)
        self.gates = nn.Linear(inputs, len(TASKS) * config.experts)
        self.drop = nn.Dropout(config.dropout)
        self.group = nn.Linear(config.embedding, len(TASKS) * config.experts, bias=False)
        nn.init.zeros_(self.group.weight)

    def forward(self, values: Tensor, group: Tensor | None) -> Tensor:
        experts = functional.relu(self.experts(self.drop(values))).unflatten(1, self.shape)  # [B, X, E]
        scores = self.gates(values)  # [B, T*X]
        if group is not None:
            scores = scores + self.group(group)  # [B, T*X]
        share = scores.unflatten(1, (len(TASKS), self.shape[0])).softmax(dim=2)  # [B, T, X]
        return share @ experts  # [B, T, E]


class Ranker(nn.Module):
    """Fields int64 [B, F], dense float32 [B, D], group int64 [B] -> logits float32 [B, 4]."""

    offsets: Tensor
    mean: Tensor
    scale: Tensor
    kept_fields: Tensor
    kept_dense: Tensor

    def __init__(self, layout: RankingLayout, config: Config, dense: NDArray[np.float32]) -> None:
        super().__init__()
        self.config = config
        sizes = [size for _, size in layout.fields]
        self.register_buffer("offsets", torch.tensor(np.cumsum([0, *sizes[:-1]])))  # [F]
        self.register_buffer("mean", torch.from_numpy(dense.mean(axis=0)))  # [D]
        self.register_buffer("scale", torch.from_numpy(1.0 / np.maximum(dense.std(axis=0), 1e-3)))  # [D]
        width, count, plain = config.embedding, len(sizes), len(DENSE)
        self.first = nn.Embedding(sum(sizes), len(TASKS))
        self.linear = nn.Linear(plain, len(TASKS))
        self.embedding = nn.Embedding(sum(sizes), width)
        self.factor = nn.Parameter(torch.randn(plain, width) * 0.05)  # [D, K]
        nn.init.zeros_(self.first.weight)
        nn.init.normal_(self.embedding.weight, std=0.05)
        self.pooled = nn.Linear(width, len(TASKS), bias=False)
        if config.experts:
            self.mmoe = MMoE(count * width + plain, config)
            self.towers = nn.Parameter(torch.randn(len(TASKS), config.expert, config.tower) * config.expert**-0.5)
            self.biases = nn.Parameter(torch.zeros(len(TASKS), 1, config.tower))
            self.heads = nn.Parameter(torch.randn(len(TASKS), config.tower) * config.tower**-0.5)
        self.doubt = nn.Parameter(torch.zeros(len(TASKS))) if config.uncertainty else None
        # the gates come last, so that one seed gives the same start with and without them
        self.of_prior = [DENSE.index(name) for name in PRIOR_DENSE]
        self.register_buffer("kept_fields", torch.tensor([float(n not in PRIOR_FIELDS) for n, _ in layout.fields]))
        self.register_buffer("kept_dense", torch.tensor([float(name not in PRIOR_DENSE) for name in DENSE]))
        self.group = nn.Embedding(len(GROUPS), width)
        self.gate_nu = GateNU(width + len(PRIOR_DENSE), count * width + plain, count + plain, config.gate_width)

    def forward(self, fields: Tensor, dense: Tensor, group: Tensor) -> Tensor:
        rows = fields + self.offsets  # [B, F]
        plain = ((dense - self.mean) * self.scale).clamp(-5.0, 5.0)  # [B, D]
        values, first = self.embedding(rows), self.first(rows)  # [B, F, K], [B, F, T]
        whose = None
        if self.config.gate:
            whose = self.group(group)  # [B, K]
            prior = torch.cat([whose, plain[:, self.of_prior]], dim=1)  # [B, K+P]
            of_fields, of_dense = self.kept_fields, self.kept_dense  # [F], [D]
            seen = torch.cat([(values * of_fields[:, None]).flatten(1), plain * of_dense], dim=1)  # [B, F*K+D]
            gates = self.gate_nu(prior, seen) * torch.cat([of_fields, of_dense])  # [B, F+D]
            of_fields, of_dense = gates.split((fields.shape[1], dense.shape[1]), dim=1)  # [B, F], [B, D]
            values, first, plain = values * of_fields[:, :, None], first * of_fields[:, :, None], plain * of_dense
        logits = first.sum(dim=1) + self.linear(plain)  # [B, T]
        if self.config.factors:
            total = values.sum(dim=1) + plain @ self.factor  # [B, K]
            squares = values.square().sum(dim=1) + plain.square() @ self.factor.square()  # [B, K]
            logits = logits + self.pooled(0.5 * (total.square() - squares))  # [B, T]
        if self.config.experts:
            mixed = self.mmoe(torch.cat([values.flatten(1), plain], dim=1), whose).transpose(0, 1)  # [T, B, E]
            own = functional.relu(mixed @ self.towers + self.biases)  # [T, B, W]
            logits = logits + (own * self.heads[:, None]).sum(dim=2).T  # [B, T]
        return logits

    def loss(self, rows: Rows) -> Tensor:
        """Sum over the tasks of the mean loss of the rows whose label counts: a scalar.

        Cross-entropy; the share played by squared error of its sigmoid.
        """
        logits = self(rows.fields, rows.dense, rows.group)  # [B, T]
        each = functional.binary_cross_entropy_with_logits(logits, rows.labels, reduction="none")  # [B, T]
        share = (torch.sigmoid(logits[:, SHARE]) - rows.labels[:, SHARE]).square()  # [B]
        each = torch.cat([each[:, :SHARE], share[:, None]], dim=1)  # [B, T]
        tasks = (each * rows.counts).sum(dim=0) / rows.counts.sum(dim=0).clamp_min(1.0)  # [T]
        if self.doubt is not None:
            tasks = tasks * torch.exp(-self.doubt) + 0.5 * self.doubt  # [T]
        total = tasks.sum()
        if self.config.pairwise:
            total = total + self.config.pairwise * within_user(logits[:, LIKE], rows)
        return total


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch: `RankingRows` and labels as tensors.

    Attributes:
        fields: int64 [B, F].
        dense: float32 [B, D].
        group: int64 [B].
        labels: float32 [B, 4].
        counts: float32 [B, 4], 0 or 1.
        user: int64 [B].
    """

    fields: Tensor
    dense: Tensor
    group: Tensor
    labels: Tensor
    counts: Tensor
    user: Tensor

    @staticmethod
    def of(labelled: Labelled) -> Rows:
        """The same numbers as tensors."""
        rows = labelled.rows
        arrays = (rows.fields, rows.dense, rows.group, labelled.labels, labelled.counts.astype(np.float32))
        return Rows(*(torch.from_numpy(array) for array in arrays), torch.from_numpy(labelled.user.astype(np.int64)))

    def take(self, rows: Tensor) -> Rows:
        """The rows that an index names."""
        return Rows(*(getattr(self, name)[rows] for name in Rows.__slots__))


def within_user(logits: Tensor, rows: Rows) -> Tensor:
    """BPR of the likes: each liked row [B] against the mean other played row of its user in the batch: a scalar."""
    played, liked = rows.counts[:, LIKE] > 0, rows.labels[:, LIKE] > 0.5
    pairs = (rows.user[:, None] == rows.user[None]) & (played & liked)[:, None] & (played & ~liked)[None]  # [B, B]
    better, worse = pairs.nonzero(as_tuple=True)
    if not len(better):
        return logits.sum() * 0.0
    return functional.softplus(logits[worse] - logits[better]).mean()


def fit_ranker(data: RankingData, config: Config, watch: Watch) -> tuple[Ranker, History]:
    """Trains, stops by the AUC of liking on the validation rows.

    Raises:
        DatasetError: a task has one class only; the message names it.
    """
    for part, labelled in (("train", data.train), ("validation", data.validation)):
        check_classes(part, labelled)
    seed_everything(config.fit.seed)
    module = Ranker(data.layout, config, data.train.rows.dense)
    rows, judged = Rows.of(data.train), data.validation.of_clicks()
    # what never comes in training must not add its random start to an answer
    unseen = torch.ones(module.embedding.num_embeddings, dtype=torch.bool)
    unseen[rows.fields + module.offsets] = False
    module.embedding.weight.data[unseen] = 0.0

    def batches(order: torch.Generator) -> Iterator[Rows]:
        for some in shuffled(len(rows.user), config.fit.batch, order):
            yield rows.take(some)

    def measure() -> float:
        return auc(judged.labels[:, LIKE] > 0, logits(module, judged.rows)[:, LIKE])

    return module, train(module, module.loss, batches, measure, "greatest", config.fit, watch)


def logits(module: Ranker, rows: RankingRows, block: int = 4096) -> NDArray[np.float32]:
    """Logits float32 [B, 4], in evaluation mode, without gradients."""
    module.eval()
    with torch.no_grad():
        found = [
            module(*(torch.from_numpy(each[start : start + block]) for each in (rows.fields, rows.dense, rows.group)))
            for start in range(0, len(rows), block)
        ]
    return torch.cat(found).numpy()


def with_groups_permuted(rows: RankingRows, random: np.random.Generator) -> RankingRows:
    """The same rows with the groups dealt out anew: what the group is worth, the AUC must lose."""
    return replace(rows, group=random.permutation(rows.group))


def export(module: Ranker, path: Path) -> float:
    """Writes the network as ONNX: ``fields``, ``dense``, ``group`` -> ``logits``.

    Returns:
        Greatest difference from torch, on random rows.

    Raises:
        ValueError: this is too much.
    """
    random, rows = torch.Generator().manual_seed(0), 64
    ends = torch.cat([module.offsets[1:], torch.tensor([module.embedding.num_embeddings])])  # [F]
    share = torch.rand(rows, len(ends), generator=random)  # [B, F]
    inputs = {
        "fields": (share * (ends - module.offsets)).long(),
        "dense": module.mean + torch.randn(rows, len(DENSE), generator=random) / module.scale,
        "group": torch.randint(len(GROUPS), (rows,), generator=random),
    }
    return write_onnx(module.eval(), inputs, ("logits",), path)
