"""``overture train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

if TYPE_CHECKING:
    from processors.runtime.settings import Settings

out = Console(highlight=False)


def train(
    name: Annotated[str, typer.Argument(help="A recipe, or `all` for every part of one version of the recommender.")],
    data: Annotated[str, typer.Option("--data", help="ml-100k, or the folder of a data set.")] = "ml-100k",
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random in the model.")] = 7,
    device: Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="Where it trains.")] = "cpu",
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes; as many as cores unless given.")] = None,
    tables: Annotated[
        Path | None, typer.Option("--tables", help="Of `all` on ml-100k: write the tables there as well.")
    ] = None,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="In seconds; the figures mean nothing.")] = False,
) -> None:
    """Train and measure a recipe, or make a version of the recommender; exit code 1 below a bar.

    Needs torch: `make train-env`, then `.overture/train/bin/overture train`. On several processes:
    `torchrun --nproc-per-node 2 -m processors train lightgcn`.
    """
    import os

    import orjson

    from processors.runtime.settings import Settings
    from processors.tools.training import training

    settings = Settings()
    processes, runs = jobs or len(os.sched_getaffinity(0)), settings.data_dir / "runs"
    options = training("recipes.jobs").Options(seed, debug, device, processes, (tables,) if tables else ())
    if name == "all":
        place = training("recipes.version").run(data, runs, out, options, parent=_in_use(settings))
    else:
        place = training("recipes.runner").run(name, data, runs, out, options)
    if place is None:
        return
    out.print(training("recipes.report").console_table(place))
    below = orjson.loads((place / "run.json").read_bytes())["below_bars"]
    for words in below:
        out.print(f"below its bar: {words}", soft_wrap=True, markup=False)
    out.print(f"report: {place / 'report.md'}", soft_wrap=True, markup=False)
    if name == "all":
        out.print(f"bundle: {place / 'bundle'}; `overture models register` brings it into the registry", soft_wrap=True)
    raise typer.Exit(1 if below and not debug else 0)


def _in_use(settings: Settings) -> str | None:
    import asyncio

    from features.model_store import ModelStore
    from features.objects import open_objects
    from models.recommender_manifest import NAME

    return asyncio.run(ModelStore(open_objects(settings.objects_url)).registry(NAME)).in_use
