"""Jobs of `test_jobs`, where other processes find them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from torch import nn

from models.training import memo
from models.training.recipes.base import Run
from schemas.errors import AppError


def drawn(run: Run, number: int) -> tuple[int, float]:
    """Who did it, and what torch draws first there."""
    run.watch(f"curve-{number}")(0, 0.5, number)
    return os.getpid(), float(torch.rand(()))


def refused(_run: Run) -> None:
    raise AppError("one class only")


def killed(_run: Run) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def asleep(_run: Run, here: Path) -> None:
    """Says in a file's name who sleeps."""
    (here / f"asleep-{os.getpid()}").touch()
    time.sleep(1200)


def broken_beside(_run: Run, here: Path) -> None:
    """Fails as soon as another job sleeps."""
    while not list(here.glob("asleep-*")):
        time.sleep(0.05)
    raise IndexError("no such row")


def line(start: float) -> nn.Linear:
    module = nn.Linear(1, 1)
    nn.init.constant_(module.weight, start)
    return module


def trained_once(_run: Run, here: Path, start: float) -> tuple[float, float, float]:
    """The weight that comes of a training, the CPU seconds it is said to have taken, and those it took."""
    module, clock, really = line(start), memo.process_time(), time.process_time()

    def learn() -> None:
        (here / f"learnt-{os.getpid()}-{time.monotonic_ns()}").touch()
        until = time.process_time() + 0.5
        while time.process_time() < until:
            pass
        nn.init.constant_(module.weight, start + 1)

    memo.once("line", {"start": start}, module, learn)
    return float(module.weight.detach()), memo.process_time() - clock, time.process_time() - really
