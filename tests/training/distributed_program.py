"""One of the processes of ``test_distributed``: trains a small network and writes its weights."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from models.training.distributed import joined
from models.training.loop import Fit, save, seed_everything, shuffled, train

COUNT, WIDTH = 256, 6


def fitted(batch: int) -> nn.Module:
    """A network trained on its share of batches of so many rows."""
    seed_everything(3)
    module = nn.Sequential(nn.Linear(WIDTH, 8), nn.Tanh(), nn.Linear(8, 1))
    inputs = torch.randn(COUNT, WIDTH)  # [N, D]
    wanted = torch.sin(inputs.sum(1))  # [N]

    def batches(order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in shuffled(COUNT, batch, order):
            yield inputs[rows], wanted[rows]

    def loss(given: tuple[Tensor, Tensor]) -> Tensor:
        return (module(given[0])[:, 0] - given[1]).square().mean()

    settings = Fit(epochs=12, patience=12, batch=batch, learning_rate=1e-2)
    train(module, loss, batches, lambda: float(loss((inputs, wanted))), "least", settings, lambda *_: None)
    return module


if __name__ == "__main__":
    with joined():
        rank = os.environ.get("RANK", "0")
        save(fitted(int(sys.argv[2])), Path(sys.argv[1]) / f"{rank}.safetensors")
