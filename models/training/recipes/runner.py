"""Runs recipes: splits, seeds, figures, report (``overture train``)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch.distributed as dist
from rich.console import Console

from models.dataset import Dataset
from models.recommender_manifest import Measure
from models.training.distributed import joined
from models.training.recipes import RECIPES, report
from models.training.recipes.base import (
    Recipe,
    RecipeError,
    Run,
    Values,
    below_bars,
    measures,
    plain,
    seeded,
    splits_of,
)
from models.training.recipes.evaluation import dataset_of
from models.training.recipes.jobs import Done, Job, Options, curves_of, run_jobs
from models.training.recipes.showing import showing

PACKAGES = ("torch", "numpy", "scipy", "onnx")


def run(name: str, data: str, folder: Path, console: Console, options: Options) -> Path | None:
    """Train and measure a recipe on all its splits; where the report lies, None in a process that writes none.

    Args:
        name: Name of a recipe.
        data: ``ml-100k`` or the folder of a data set.
        folder: Where runs lie.
        console: For progress.
        options: How.

    Raises:
        RecipeError: no such recipe, or a split of it failed.
        DatasetError: the data set cannot be read.
    """
    recipe, dataset = chosen(name, options), dataset_of(data)
    begun = Begun(name, recipe.summary, dataset, options)
    done = work(split_jobs(recipe, data, dataset, options.seed), options, None, console)
    if done is None:
        return None
    found = figures(recipe, dataset, done)
    facts = begun.facts(recipe, splits_of(recipe, dataset), done) | {"below_bars": below_bars(found)}
    place = begun.place(folder)
    report.write(place, facts, found, curves_of(done))
    return place


def work(jobs: Sequence[Job], options: Options, kept: Path | None, console: Console) -> dict[str, Done] | None:
    """`run_jobs` on this process or on some, or on all that ``torchrun`` started; None in a process that writes none.

    Raises:
        RecipeError: a job failed.
    """
    with joined() as first, showing(console if first else None, len(jobs)) as show:
        processes, kept = (1, None) if dist.is_initialized() else (options.processes, kept)
        done = run_jobs(jobs, processes, kept, show)
    return done if first else None


def split_jobs(recipe: Recipe, data: str, dataset: Dataset, seed: int) -> list[Job]:
    """A recipe on each split that it is measured on with this data set."""
    return [
        Job(_name_of(recipe, split), seed, measure_split, (recipe, data, split)) for split in splits_of(recipe, dataset)
    ]


def measure_split(run: Run, recipe: Recipe, data: str, split: int) -> Mapping[str, Values]:
    """Figures of a recipe on a split."""
    return recipe.measure(dataset_of(data), split, run)


def figures(recipe: Recipe, dataset: Dataset, done: Mapping[str, Done]) -> list[Measure]:
    """Figures of a recipe, of its `split_jobs`."""
    by_split = [done[_name_of(recipe, split)].result for split in splits_of(recipe, dataset)]
    return measures(recipe, by_split, dataset.name)


def _name_of(recipe: Recipe, split: int) -> str:
    return f"{recipe.name}, split {split}"


def chosen(name: str, options: Options) -> Recipe:
    """The recipe as it is to run.

    Raises:
        RecipeError: there is none of this name.
    """
    if name not in RECIPES:
        raise RecipeError(f"no recipe {name}; there are {', '.join(RECIPES)}")
    recipe: Any = RECIPES[name].debug() if options.debug else RECIPES[name]
    return replace(seeded(recipe, options.seed), device=options.device)


class Begun:
    """What is known of a run when it starts; its times are taken from then on."""

    def __init__(self, name: str, summary: str, dataset: Dataset, options: Options) -> None:
        self.at = datetime.now(UTC).replace(microsecond=0)
        self._name, self._debug = name, options.debug
        self._known = {
            "recipe": name,
            "summary": summary,
            "data": {"name": dataset.name, "version": dataset.version, "non_commercial": dataset.non_commercial},
            "seed": options.seed,
            "debug": options.debug,
            "device": options.device,
            "processes": int(os.environ.get("WORLD_SIZE", options.processes)),
            "started_at": self.at.isoformat(),
            "code_commit": code_commit(),
            "packages": {package: version(package) for package in PACKAGES},
        }
        self._wall = time.monotonic()

    def place(self, folder: Path) -> Path:
        """Where the run's files belong."""
        return folder / f"{self.at:%Y%m%d-%H%M%S}-{self._name}{'-debug' if self._debug else ''}"

    def facts(self, config: Any, splits: tuple[int, ...], done: Mapping[str, Done]) -> dict[str, Any]:
        """For the report, at the end."""
        return self._known | {
            "config": plain(config),
            "splits": splits,
            "seconds": round(time.monotonic() - self._wall, 1),
            "cpu_seconds": round(sum(each.cpu_s for each in done.values()), 1),
            "jobs": {each.name: round(each.cpu_s, 1) for each in done.values()},
        }


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
