"""``overture train all``: every part of one version of the recommender, its figures, its tables and its bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from models.dataset import Dataset
from models.training import memo
from models.training.data import splits
from models.training.loop import seed_everything
from models.training.recipes import RECIPES, STEPS, TABLES, report
from models.training.recipes.base import BARS_FOR, Recipe, Run, below_bars, splits_of, unheard
from models.training.recipes.evaluation import dataset_of
from models.training.recipes.jobs import Job, Options, curves_of
from models.training.recipes.making import Making, Step, bundle
from models.training.recipes.runner import Begun, chosen, code_commit, figures, split_jobs, work
from models.training.tables.pages import SEEDS, Table

SPLIT = 0
BUNDLE, TRAINED, PAGES = "bundle", "trained", "tables"
PARTS = "parts of the version"
"""Name of the job that trains them."""


def run(data: str, folder: Path, console: Console, options: Options, parent: str | None) -> Path | None:
    """Measure every recipe on its splits, train the parts of a version on one split, and write its bundle.

    With the data set that the bars are about, the tables are made as well; what they have in common with the recipes is
    trained once.

    Args:
        data: ``ml-100k`` or the folder of a data set.
        folder: Where runs lie.
        console: For progress.
        options: How.
        parent: Version in use.

    Returns:
        Folder of the run, the bundle below it as ``bundle``; None in a process that writes none.

    Raises:
        RecipeError: a job failed, or a part is missing.
        DatasetError: the data set cannot be read.
        BundleError: the parts do not fit one another.
    """
    dataset = dataset_of(data)
    recipes = [chosen(name, options) for name in RECIPES]
    tables = TABLES if dataset.name == BARS_FOR and not options.debug else ()
    begun = Begun("all", "every part of one version of the recommender.", dataset, options)
    place = begun.place(folder)
    done = work(_jobs(recipes, tables, data, dataset, options), options, place / TRAINED, console)
    if done is None:
        return None
    for lock in (place / TRAINED).glob(f"*{memo.LOCK}"):
        lock.unlink()
    found = [each for recipe in recipes for each in figures(recipe, dataset, done)]
    making: Making = done[PARTS].result
    manifest = bundle(making, place / BUNDLE, found, made_at=begun.at, commit=code_commit(), parent=parent)
    config = {each.name: each for each in recipes} | {"version": making.configs}
    facts = begun.facts(config, splits_of(recipes[0], dataset) if recipes else (SPLIT,), done)
    facts |= {"below_bars": below_bars(found), "version": manifest.version, "parent": parent}
    report.write(place, facts, found, curves_of(done))
    for table in tables:
        by_split = [done[_name_of(table, split)].result for split in SEEDS]
        for out in (place / PAGES, *options.tables):
            table.write(out, dataset, by_split, SEEDS)
    return place


def _jobs(
    recipes: Sequence[Recipe], tables: Sequence[Table], data: str, dataset: Dataset, options: Options
) -> list[Job]:
    """In such an order that what others ask for as well is done, or nearly, when they do."""
    seed = options.seed
    jobs = [job for recipe in recipes for job in split_jobs(recipe, data, dataset, seed)]
    jobs.append(Job(PARTS, seed, train_parts, (data, seed, options.debug, STEPS)))
    return jobs + [
        Job(_name_of(table, split), seed, measure_table, (table, data, split)) for table in tables for split in SEEDS
    ]


def _name_of(table: Table, split: int) -> str:
    return f"{table.stem}, split {split}"


def train_parts(run: Run, data: str, seed: int, debug: bool, steps: Sequence[Step]) -> Making:
    """All parts of a version."""
    dataset = dataset_of(data)
    making = Making(dataset, splits.signals(dataset.interactions, SPLIT), SPLIT, seed, debug, run)
    for step in steps:
        seed_everything(seed)
        step(making)
    # who shows progress stays with the process that it belongs to
    making.run = Run(unheard)
    return making


def measure_table(run: Run, table: Table, data: str, split: int) -> Any:
    """What a table needs of a split."""
    return table.measure_split(dataset_of(data), split, run.told(table.stem))
