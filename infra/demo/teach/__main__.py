"""`python -m infra.demo.teach`: makes `infra/demo/bundle` with the running system, from its own topics.

A community of rendered uploads goes through the system as any upload does; its made-up users play what their taste
leads them to (`models/training/data/generated.py`); a data set is built from the topics, and a version is trained.
Start it on an empty stack of its own: what it uploads stays there.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from infra.demo.client import Service
from infra.demo.errors import DemoError
from infra.demo.material import Item
from infra.demo.recommender import BUNDLE
from infra.demo.teach.themes import THEMES
from infra.demo.teach.uploads import Uploads
from models.dataset import Dataset
from models.training.data.generated import Config, generate
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.tools.world.events import Plan
from processors.tools.world.load import load

NAME = "community"
AT_ONCE = 6
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(help=__doc__)
def main(
    items: Annotated[int, typer.Option(min=100, help="Uploads.")] = 600,
    users: Annotated[int, typer.Option(min=50)] = 2000,
    plays: Annotated[int, typer.Option(min=1000)] = 40_000,
    seed: Annotated[int, typer.Option()] = 5,
    train: Annotated[Path, typer.Option(help="The program overture of the training environment.")] = Path(
        ".overture/train/bin/overture"
    ),
) -> None:
    """Entry point."""
    console = Console(highlight=False)
    settings = Settings()
    # tastes narrow, and content tells nearly all of them: the demo shows that the path works, not how well it does
    config = Config(users, items, plays, seed, days=60, sharpness=7.0, second=0.0, appeal=0.2, scatter=0.1, breadth=0.3)
    dataset = replace(
        generate(
            config,
            {name: (theme.born, theme.lean) for name, theme in THEMES.items()},
            {name: theme.family for name, theme in THEMES.items()},
        ),
        name=NAME,
    )
    themes = [dataset.items.tags[tag] for tag in dataset.items.tagged.argmax(axis=1)]
    try:
        with Progress(console=console) as progress:
            ids = asyncio.run(_upload(settings, themes, seed, progress))
            told = replace(dataset, items=replace(dataset.items, ids=ids))
            asyncio.run(_play(settings, told, seed, progress))
        folder = _said(Path(sys.executable).with_name("overture"), "dataset", "build").splitlines()[-1]
        run = _said(train, "train", "all", "--data", folder)
    except DemoError as error:
        console.print(f"error: {error}", markup=False)
        sys.exit(2)
    console.print(run, markup=False)
    runs = sorted((settings.data_dir / "runs").glob("*-all"))
    shutil.rmtree(BUNDLE, ignore_errors=True)
    shutil.copytree(runs[-1] / "bundle", BUNDLE)
    console.print(f"{BUNDLE} holds what {runs[-1]} has made")


async def _upload(settings: Settings, themes: list[str], seed: int, progress: Progress) -> tuple[str, ...]:
    """Media ids of all that was published, by row; of what was not, the name of its theme and its number.

    Raises:
        DemoError: the service breaks off, or an upload does not end.
    """
    shown = progress.add_task("uploads", total=len(themes))
    free, ends = asyncio.Semaphore(AT_ONCE), Counter[str]()

    async def one(service: Service, item: Item) -> str:
        async with free:
            media_id = await service.upload(item, f"{NAME}-{item.key}", f"{NAME}-{seed}-{item.key}")
            if not isinstance(media_id, str):
                raise DemoError(f"{item.key}: refused with {media_id.status} {media_id.code}: {media_id.detail}")
            state = await _end(service, item, media_id)
        ends[state] += 1
        progress.update(shown, advance=1, description=", ".join(f"{count} {name}" for name, count in ends.items()))
        return media_id if state == "published" else item.key

    key = settings.auth.client_key.get_secret_value() if settings.auth.client_key else ""
    made = Uploads(settings.data_dir / "demo" / NAME, seed).of(themes)
    async with Service(f"http://{settings.http.host}:{settings.http.port}", key=key) as service:
        running: list[asyncio.Task[str]] = []
        while (item := await asyncio.to_thread(next, made, None)) is not None:
            running.append(asyncio.create_task(one(service, item)))
        return tuple(await asyncio.gather(*running))


async def _end(service: Service, item: Item, media_id: str) -> str:
    media = await service.media(media_id)
    async for media in service.watch(media_id):
        if media.settled:
            break
    if media.state != "published":
        sys.stderr.write(f"{item.key}: {media.state} {', '.join(reason.code for reason in media.reasons)}\n")
    return media.state


async def _play(settings: Settings, dataset: Dataset, seed: int, progress: Progress) -> None:
    shown = progress.add_task("plays", total=None)

    def tell(words: str, done: int, total: int) -> None:
        progress.update(shown, description=words, completed=done, total=total)

    wiring = Wiring(settings)
    try:
        plan = Plan(datetime.now(UTC).replace(microsecond=0), seed=seed, catalogued=True)
        await load(dataset, plan, wiring.publisher, tell)
    finally:
        wiring.close()


def _said(program: Path, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise DemoError(f"overture {' '.join(arguments)} ends with {done.returncode}: {done.stdout.strip()[-500:]}")
    return done.stdout.strip()


if __name__ == "__main__":
    app()
