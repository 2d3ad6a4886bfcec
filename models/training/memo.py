"""Networks that a run has trained already: what asks for the same training again gets the weights of the first one.

Several recipes and tables begin from the same backbone. Within `kept_in` each training is found again by a hash of all
that it depends on: data, rows, config, and what it starts from. Code is not part of the hash, so a folder belongs to
one run. Two processes that want the same training do it once: the second waits for the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import load_model, save_model
from torch import nn

CPU_S, LOCK = "cpu_s", ".lock"


@dataclass(slots=True)
class _Kept:
    """A folder of trained weights, and the CPU seconds that those found there took to train."""

    folder: Path
    spared_s: float = 0.0


_kept: ContextVar[_Kept | None] = ContextVar("kept", default=None)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Within it `once` keeps what is trained in ``folder`` and looks there first."""
    folder.mkdir(parents=True, exist_ok=True)
    before = _kept.set(_Kept(folder))
    try:
        yield
    finally:
        _kept.reset(before)


def once(name: str, inputs: Any, module: nn.Module, learn: Callable[[], object]) -> None:
    """Trains a network, or loads what the same training gave before; outside `kept_in` it always trains.

    Args:
        name: Kind of network.
        inputs: All that the result depends on: arrays, plain values and dataclasses of these, to any depth.
        module: The network as it is before training; afterwards trained and in evaluation mode.
        learn: Trains it in place.
    """
    kept = _kept.get()
    if kept is None:
        learn()
        return
    path = kept.folder / f"{name}-{joblib.hash(inputs)[:16]}.safetensors"
    with FileLock(path.with_suffix(LOCK)):
        if path.exists():
            load_model(module, path)
            with safe_open(path, "pt") as file:
                kept.spared_s += float(file.metadata()[CPU_S])
        else:
            began = time.process_time()
            learn()
            unfinished = path.with_suffix(".part")
            save_model(module, str(unfinished), {CPU_S: repr(time.process_time() - began)})
            unfinished.replace(path)
    module.eval()


def process_time() -> float:
    """CPU seconds of this process, and those of the trainings that it found done: for differences only."""
    kept = _kept.get()
    return time.process_time() + (kept.spared_s if kept else 0.0)
