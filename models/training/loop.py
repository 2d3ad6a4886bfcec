"""The one training loop: AdamW, cosine decay, early stop on validation loss, same seed same result.

AdamW: Loshchilov & Hutter 2019, arXiv:1711.05101. Cosine decay: the same authors 2017,
arXiv:1608.03983.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_model
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Fit:
    """Settings of the loop.

    Attributes:
        seed: Seed of everything random.
        epochs: Most passes over the data.
        patience: Passes without a better validation loss after which it stops.
        batch: Items of a step.
        learning_rate: Greatest step size.
        weight_decay: Decoupled decay of the weights.
    """

    seed: int = 7
    epochs: int = 120
    patience: int = 20
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs with labels.

    Attributes:
        inputs: float32 [N, D].
        labels: int64 [N].
    """

    inputs: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class History:
    """What happened.

    Attributes:
        train: Mean training loss of each pass.
        validation: Validation loss after each pass.
        best: Number of the pass whose weights were kept, from 0.
    """

    train: tuple[float, ...]
    validation: tuple[float, ...]
    best: int


class Trainable(nn.Module):
    """A network that knows its own loss."""

    def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of inputs [B, D] with labels [B]: a scalar."""
        raise NotImplementedError


def seed_everything(seed: int) -> None:
    """Makes torch repeatable: one thread, deterministic algorithms, one seed."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def fit(
    module: Trainable, train: Examples, validation: Examples, settings: Fit, watch: Callable[[int, float, float], None]
) -> History:
    """Trains in place and leaves the weights of the best pass.

    Args:
        module: The network, already seeded (``seed_everything`` before it is made).
        train: What it learns from.
        validation: What decides when to stop.
        settings: Settings.
        watch: Called after each pass with its number, training loss and validation loss.

    Raises:
        ValueError: A loss is not finite, or there are no examples.
    """
    if not len(train.labels) or not len(validation.labels):
        raise ValueError("no examples")
    order = torch.Generator().manual_seed(settings.seed)
    optimiser = torch.optim.AdamW(module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
    losses: list[float] = []
    checks: list[float] = []
    best = 0
    kept = copy.deepcopy(module.state_dict())
    for epoch in range(settings.epochs):
        losses.append(_one_pass(module, train, settings.batch, optimiser, order))
        schedule.step()
        module.eval()
        with torch.no_grad():
            checks.append(float(module.loss(validation.inputs, validation.labels)))
        watch(epoch, losses[-1], checks[-1])
        if not (losses[-1] < float("inf") and checks[-1] < float("inf")):
            raise ValueError(f"the loss is not finite in pass {epoch}")
        if epoch == 0 or checks[-1] < checks[best]:
            best = epoch
            kept = copy.deepcopy(module.state_dict())
        elif epoch - best >= settings.patience:
            break
    module.load_state_dict(kept)
    module.eval()
    return History(tuple(losses), tuple(checks), best)


def _one_pass(
    module: Trainable, train: Examples, batch: int, optimiser: torch.optim.Optimizer, order: torch.Generator
) -> float:
    module.train()
    total = 0.0
    count = len(train.labels)
    for rows in torch.randperm(count, generator=order).split(batch):  # [B]
        optimiser.zero_grad()
        loss = module.loss(train.inputs[rows], train.labels[rows])  # scalar
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(rows)
    return total / count


def temperature(logits: Tensor, labels: Tensor) -> float:
    """Number to divide logits [N, C] by so that their softmax is calibrated on labels [N].

    Temperature scaling, Guo et al. 2017, arXiv:1706.04599; never below 1: a small clean
    validation set must not make a network surer than it was.
    """
    candidates = torch.linspace(1.0, 4.0, 61)  # [61]
    losses = torch.stack([nn.functional.cross_entropy(logits / t, labels) for t in candidates])  # [61]
    return float(candidates[int(losses.argmin())])


def save(module: nn.Module, path: Path) -> None:
    """Writes a checkpoint (safetensors), from which the network can be exported again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(module, str(path))
