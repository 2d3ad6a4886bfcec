"""``overture train all``: every part of one version of the recommender, its figures and its bundle."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from models.training.data import splits
from models.training.distributed import joined
from models.training.loop import seed_everything
from models.training.recipes import RECIPES, STEPS, report
from models.training.recipes.base import Run, below_bars
from models.training.recipes.evaluation import dataset_of
from models.training.recipes.making import Making, bundle
from models.training.recipes.runner import Begun, chosen, code_commit, measured, progress

SPLIT = 0
BUNDLE = "bundle"


def run(
    data: str, folder: Path, console: Console, *, seed: int, debug: bool, device: str, parent: str | None
) -> Path | None:
    """Measure every recipe on its splits, then train the parts of a version on one split and write its bundle.

    Args:
        data: ``ml-100k`` or the folder of a data set.
        folder: Where runs lie.
        console: For progress.
        seed: Seed of the models.
        debug: Whether in seconds, with figures that mean nothing.
        device: ``cpu`` or ``cuda``.
        parent: Version in use.

    Returns:
        Folder of the run, the bundle below it as ``bundle``; None in a process that writes none.

    Raises:
        RecipeError: not on this device, or a part is missing.
        DatasetError: the data set cannot be read.
        BundleError: the parts do not fit one another.
    """
    dataset = dataset_of(data)
    recipes = [chosen(name, seed=seed, debug=debug, device=device) for name in RECIPES]
    with joined() as first:
        begun = Begun("all", "every part of one version of the recommender.", dataset, seed, debug=debug)
        with progress(console if first else None) as say:
            told = Run(say)
            found = [each for recipe in recipes for each in measured(recipe, dataset, seed, told)]
            making = Making(dataset, splits.warm(dataset.interactions, SPLIT), SPLIT, seed, debug, told)
            for step in STEPS:
                seed_everything(seed)
                step(making)
        if not first:
            return None
        place = begun.place(folder)
        commit = code_commit()
        manifest = bundle(making, place / BUNDLE, found, made_at=begun.at, commit=commit, parent=parent)
        facts = begun.facts({each.name: each for each in recipes} | {"version": making.configs}, (SPLIT,), device)
        facts |= {"below_bars": below_bars(found), "version": manifest.version, "parent": parent}
        report.write(place, facts, found, told.curves)
    return place
