"""Runs recipes: splits, seeds, progress, figures, report (``overture train``)."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch.distributed as dist
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from models.dataset import Dataset
from models.recommender_manifest import Measure
from models.training.distributed import joined
from models.training.loop import seed_everything
from models.training.recipes import RECIPES, report
from models.training.recipes.base import Recipe, RecipeError, Run, Say, below_bars, measures, plain
from models.training.recipes.evaluation import dataset_of

SEED = 7
PACKAGES = ("torch", "numpy", "scipy", "onnx")


def run(name: str, data: str, folder: Path, console: Console, *, seed: int, debug: bool, device: str) -> Path | None:
    """Train and measure a recipe on all its splits; where the report lies, None in a process that writes none.

    Args:
        name: Name of a recipe.
        data: ``ml-100k`` or the folder of a data set.
        folder: Where runs lie.
        console: For progress.
        seed: Seed of the model.
        debug: Whether in seconds, with figures that mean nothing.
        device: ``cpu`` or ``cuda``.

    Raises:
        RecipeError: no such recipe, or not on this device.
        DatasetError: the data set cannot be read.
    """
    recipe = chosen(name, seed=seed, debug=debug, device=device)
    dataset = dataset_of(data)
    with joined() as first:
        begun = Begun(name, recipe.summary, dataset, seed, debug=debug)
        with progress(console if first else None) as say:
            told = Run(say)
            found = measured(recipe, dataset, seed, told)
        if not first:
            return None
        place = begun.place(folder)
        facts = begun.facts(recipe, recipe.splits, device) | {"below_bars": below_bars(found)}
        report.write(place, facts, found, told.curves)
    return place


def measured(recipe: Recipe, dataset: Dataset, seed: int, told: Run) -> list[Measure]:
    """Train a recipe on each of its splits; its figures."""
    by_split = []
    for split in recipe.splits:
        seed_everything(seed)
        by_split.append(recipe.measure(dataset, split, told))
    return measures(recipe, by_split, dataset.name)


def chosen(name: str, *, seed: int, debug: bool, device: str) -> Recipe:
    """The recipe as it is to run.

    Raises:
        RecipeError: there is none of this name.
    """
    if name not in RECIPES:
        raise RecipeError(f"no recipe {name}; there are {', '.join(RECIPES)}")
    recipe: Any = RECIPES[name].debug() if debug else RECIPES[name]
    config = replace(recipe.config, fit=replace(recipe.config.fit, seed=seed))
    return replace(recipe, config=config, device=device)


class Begun:
    """What is known of a run when it starts; its times are taken from then on."""

    def __init__(self, name: str, summary: str, dataset: Dataset, seed: int, *, debug: bool) -> None:
        self.at = datetime.now(UTC).replace(microsecond=0)
        self._name, self._debug = name, debug
        self._known = {
            "recipe": name,
            "summary": summary,
            "data": {"name": dataset.name, "version": dataset.version, "non_commercial": dataset.non_commercial},
            "seed": seed,
            "debug": debug,
            "started_at": self.at.isoformat(),
            "code_commit": code_commit(),
            "packages": {package: version(package) for package in PACKAGES},
        }
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def place(self, folder: Path) -> Path:
        """Where the run's files belong."""
        return folder / f"{self.at:%Y%m%d-%H%M%S}-{self._name}{'-debug' if self._debug else ''}"

    def facts(self, config: Any, splits: tuple[int, ...], device: str) -> dict[str, Any]:
        """For the report, at the end."""
        return self._known | {
            "config": plain(config),
            "splits": splits,
            "device": device,
            "processes": dist.get_world_size() if dist.is_initialized() else 1,
            "seconds": round(time.monotonic() - self._wall, 1),
            "cpu_seconds": round(time.process_time() - self._cpu, 1),
        }


@contextmanager
def progress(console: Console | None) -> Iterator[Say]:
    """Lines of progress, one a training; none without a console."""
    if console is None:
        yield lambda *_: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as shown:
        tasks: dict[str, Any] = {}

        def say(name: str, epoch: int, train: float, validation: float) -> None:
            if name not in tasks:
                for task in [*tasks.values()][-1:]:
                    shown.stop_task(task)
                tasks[name] = shown.add_task(name)
            words = f"{name:<24} pass {epoch + 1:>4}, loss {train:.4f}, validation {validation:.4f}"
            shown.update(tasks[name], description=words)

        yield say


def code_commit() -> str:
    """Commit of this code, with ``+changes`` where files differ from it; empty outside a repository."""
    git, here = shutil.which("git"), Path(__file__).parent
    if git is None:
        return ""

    def ask(*words: str) -> str:
        done = subprocess.run([git, *words], cwd=here, capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = ask("rev-parse", "HEAD")
    return f"{commit}+changes" if commit and ask("status", "--porcelain", "--untracked-files=no") else commit
