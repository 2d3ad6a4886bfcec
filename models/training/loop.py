"""The one training loop: AdamW, cosine decay, early stop, same seed same result; on one process or on many.

AdamW: Loshchilov & Hutter 2019, arXiv:1711.05101. Cosine decay: the same authors 2017, arXiv:1608.03983.

Under ``torchrun`` each process takes every n-th step of a pass and the gradients are averaged before each update, so n
processes see n batches where one sees one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

import torch
import torch.distributed as dist
from safetensors.torch import save_model
from torch import Tensor, nn

from schemas.errors import AppError

Batch = TypeVar("Batch")
Watch = Callable[[int, float, float], None]
"""Called after each pass with its number, the mean training loss and the validation measure."""


class TrainingError(AppError, ValueError):
    """Training that cannot go on: nothing to learn from, or a loss that is no number."""

    code = "training-failed"


@dataclass(frozen=True, slots=True)
class Fit:
    """Settings of the loop.

    Attributes:
        seed: Seed of everything random.
        epochs: Most passes over the data.
        patience: Checks without a better measure after which it stops.
        batch: Items of a step.
        learning_rate: Greatest step size.
        weight_decay: Decoupled decay of the weights.
        decay: Whether the step size falls with the cosine to 0 at the last pass, or stays.
        check_every: Passes from one validation to the next.
    """

    seed: int = 7
    epochs: int = 120
    patience: int = 20
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    decay: Literal["cosine", "none"] = "cosine"
    check_every: int = 1


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
        validation: Validation measure after each checked pass.
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


def train(
    module: nn.Module,
    loss: Callable[[Batch], Tensor],
    batches: Callable[[torch.Generator], Iterable[Batch]],
    measure: Callable[[], float],
    goal: Literal["least", "greatest"],
    settings: Fit,
    watch: Watch,
) -> History:
    """Trains in place and leaves the weights of the best pass.

    Args:
        module: The network, already seeded (``seed_everything`` before it is made).
        loss: Mean loss of a batch, a scalar that depends on the module's weights.
        batches: The steps of one pass, in an order drawn from the generator.
        measure: What validation is judged by; called without gradients, the module in evaluation mode.
        goal: Whether a smaller or a larger measure is better.
        settings: Settings; ``batch`` is for the maker of ``batches``.
        watch: Called after each checked pass.

    Raises:
        TrainingError: A loss or measure is not finite, or a pass has no batch.
    """
    order = torch.Generator().manual_seed(settings.seed)
    weights = [each for each in module.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
    sign = 1.0 if goal == "greatest" else -1.0
    losses: list[float] = []
    checks: list[float] = []
    best, best_value = 0, float("-inf")
    kept = copy.deepcopy(module.state_dict())
    without = 0
    for epoch in range(settings.epochs):
        module.train()
        losses.append(_one_pass(loss, batches(order), optimiser, weights))
        if settings.decay == "cosine":
            schedule.step()
        if (epoch + 1) % settings.check_every and epoch + 1 < settings.epochs:
            continue
        module.eval()
        with torch.no_grad():
            checks.append(float(measure()))
        watch(epoch, losses[-1], checks[-1])
        if not (abs(losses[-1]) < float("inf") and abs(checks[-1]) < float("inf")):
            raise TrainingError(f"loss or measure is not finite in pass {epoch}: {losses[-1]}, {checks[-1]}")
        if sign * checks[-1] > best_value:
            best, best_value, without = epoch, sign * checks[-1], 0
            kept = copy.deepcopy(module.state_dict())
        else:
            without += 1
            if without >= settings.patience:
                break
    module.load_state_dict(kept)
    module.eval()
    return History(tuple(losses), tuple(checks), best)


def fit(module: Trainable, train_on: Examples, validation: Examples, settings: Fit, watch: Watch) -> History:
    """`train` on labelled examples, judged by the validation loss.

    Raises:
        TrainingError: A loss is not finite, or there are no examples.
    """
    if not len(train_on.labels) or not len(validation.labels):
        raise TrainingError("no examples")

    def batches(order: torch.Generator) -> Iterator[Examples]:
        for rows in shuffled(len(train_on.labels), settings.batch, order):
            yield Examples(train_on.inputs[rows], train_on.labels[rows])

    return train(
        module,
        lambda batch: module.loss(batch.inputs, batch.labels),
        batches,
        lambda: float(module.loss(validation.inputs, validation.labels)),
        "least",
        settings,
        watch,
    )


def shuffled(count: int, batch: int, order: torch.Generator) -> Iterator[Tensor]:
    """Rows 0..count-1 in random order, int64 [B] a step; the last may be shorter."""
    yield from torch.randperm(count, generator=order).split(batch)


def _one_pass(
    loss: Callable[[Batch], Tensor],
    batches: Iterable[Batch],
    optimiser: torch.optim.Optimizer,
    weights: list[nn.Parameter],
) -> float:
    total, steps = 0.0, 0
    for batch in _mine(batches):
        optimiser.zero_grad()
        value = loss(batch)  # scalar
        value.backward()  # type: ignore[no-untyped-call]
        _average_gradients(weights)
        optimiser.step()
        total += float(value.detach())
        steps += 1
    if not steps:
        raise TrainingError("no batches")
    return total / steps


def _mine(batches: Iterable[Batch]) -> Iterator[Batch]:
    """This process's share: as many steps for each, since every update waits for all of them."""
    if not dist.is_initialized():
        yield from batches
        return
    world, rank = dist.get_world_size(), dist.get_rank()
    steps = iter(batches)
    while len(group := list(islice(steps, world))) == world:
        yield group[rank]


def _average_gradients(weights: list[nn.Parameter]) -> None:
    if not dist.is_initialized():
        return
    for each in weights:
        if each.grad is None:
            each.grad = torch.zeros_like(each)
        dist.all_reduce(each.grad)
        each.grad /= dist.get_world_size()


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
