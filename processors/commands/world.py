"""``overture world``: a data set as events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from models.dataset import Dataset

app = typer.Typer(no_args_is_help=True, help="Worlds of users, items and plays to try the recommender with.")
out = Console(highlight=False)
WORLDS = ("ml-100k", "generated")


@app.callback()
def world() -> None:
    """Worlds of users, items and plays to try the recommender with."""


@app.command()
def load(
    name: Annotated[str, typer.Argument(help="ml-100k (research only; from the recbole wheel) or generated.")],
    users: Annotated[int, typer.Option("--users", min=1, help="Users of a generated world.")] = 1000,
    items: Annotated[int, typer.Option("--items", min=1, help="Items of a generated world.")] = 1500,
    plays: Annotated[int, typer.Option("--plays", min=1, help="Plays of a generated world.")] = 100_000,
    seed: Annotated[int, typer.Option("--seed", help="Of a generated world, content and exposures.")] = 1,
    exposures: Annotated[int, typer.Option("--exposures", min=0, help="Unclicked items beside each play.")] = 3,
    until: Annotated[
        datetime | None, typer.Option("--until", help="Moment of the newest play, UTC.", show_default="now")
    ] = None,
    *,
    content: Annotated[
        bool, typer.Option("--content", help="Render a piece and a cover for each item, and encode them.")
    ] = False,
) -> None:
    """Publish a world's profiles, items, exposures, plays and likes; doing it again counts nothing twice."""
    import asyncio

    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring
    from processors.tools.rebuild.report import progress
    from processors.tools.world.events import Plan
    from processors.tools.world.load import load as publish

    if name not in WORLDS:
        raise typer.BadParameter(f"no world {name}; there are {', '.join(WORLDS)}")
    ends = until.replace(tzinfo=UTC) if until is not None else datetime.now(UTC).replace(microsecond=0)
    wiring = Wiring(Settings())
    try:
        with progress(Console(stderr=True)) as tell:
            dataset = _dataset(name, users, items, plays, seed)
            if content:
                from models.training.data import multimodal

                dataset = multimodal.with_content(dataset, seed, lambda done, total: tell("encoding", done, total))
            loaded = asyncio.run(publish(dataset, Plan(ends, exposures, seed), wiring.publisher, tell))
    finally:
        wiring.close()
    for topic, count in loaded.events.items():
        out.print(f"{topic:<28} {count:>8}")
    total = sum(loaded.events.values())
    out.print(f"{dataset.name}: {total} events in {loaded.seconds:.1f} s, {total / loaded.seconds:.0f} a second")
    out.print(dataset.source, soft_wrap=True)


def _dataset(name: str, users: int, items: int, plays: int, seed: int) -> Dataset:
    if name == "ml-100k":
        from models.training.data import ml100k

        return ml100k.load()
    from models.training.data import generated

    return generated.generate(generated.Config(users, items, plays, seed))
