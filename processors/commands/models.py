"""``overture models``: versions of the recommender."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from processors.runtime.wiring import Wiring
    from processors.tools.models_registry.publication import Outcome, Publication
    from processors.tools.models_registry.versions import Versions

app = typer.Typer(no_args_is_help=True, help="Versions of the recommender: list, show, evaluate, promote, rollback.")
out = Console(highlight=False)

Version = Annotated[str, typer.Argument(help="As `list` shows it.")]
By = Annotated[str, typer.Option("--by", help="Who does this, for the registry.", show_default="the OS user")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the registry.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_versions(*, as_json: Json = False) -> None:
    """List registered versions, the oldest first."""
    from models.recommender_manifest import NAME
    from processors.tools.models_registry import showing

    async def work(versions: Versions) -> None:
        registry = await versions.store.registry(NAME)
        manifests = [await versions.manifest(version) for version in registry.versions]
        if as_json:
            for each in manifests:
                _json(showing.facts(registry, each))
        else:
            showing.print_versions(registry, manifests, out)

    _read(work)


@app.command()
def show(version: Version, *, as_json: Json = False) -> None:
    """Show a version: what it was made of, figures, what was done with it."""
    from models.recommender_manifest import NAME
    from processors.tools.models_registry import showing

    async def work(versions: Versions) -> None:
        registry, manifest = await versions.store.registry(NAME), await versions.manifest(version)
        if as_json:
            _json(showing.facts(registry, manifest))
        else:
            showing.print_version(registry, manifest, out)

    _read(work)


@app.command()
def register(
    folder: Annotated[Path, typer.Argument(help="Bundle, as `overture train all` has written it.")],
    by: By = "",
    reason: Reason = "",
) -> None:
    """Bring a bundle into the object store and the registry."""

    async def work(versions: Versions) -> None:
        manifest = await versions.register(folder, by or getpass.getuser(), reason)
        out.print(f"registered {manifest.version}", soft_wrap=True)

    _read(work)


@app.command()
def evaluate(
    version: Version,
    data: Annotated[str, typer.Option("--data", help="ml-100k, or the folder of a data set.")] = "ml-100k",
    *,
    as_json: Json = False,
) -> None:
    """Measure a version as it is deployed, by its ONNX files, on plays that it was not trained on."""
    from processors.tools.models_registry import showing
    from processors.tools.training import training

    async def work(versions: Versions) -> None:
        bundle = await versions.open(version)
        measures = training("recipes.evaluation").evaluate(bundle, data)
        if as_json:
            _json(measures)
        else:
            out.print(showing.measure_table(measures))

    _read(work)


@app.command()
def promote(
    version: Version,
    by: By = "",
    reason: Reason = "",
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Although the gate refuses it; needs --reason, which stays on record.")
    ] = False,
) -> None:
    """Put a version in use if it is not worse than the one before; again, to finish what was cut off."""
    _move(lambda publication: publication.promote(version, by or getpass.getuser(), reason, force=force))


@app.command()
def rollback(by: By = "", reason: Reason = "") -> None:
    """Put the version in use again that was before; again, to finish what was cut off."""
    _move(lambda publication: publication.rollback(by or getpass.getuser(), reason))


def _read(work: Callable[[Versions], Coroutine[Any, Any, None]]) -> None:
    with _wiring() as wiring:
        asyncio.run(work(_versions(wiring)))


def _move(work: Callable[[Publication], Awaitable[Outcome]]) -> None:
    from rich.progress import Progress

    from models.bundled_recommender import BundledRecommender
    from models.ranker import RankingWeights
    from models.recommender_bundle import Bundle
    from processors.tools.models_registry import gate, showing
    from processors.tools.models_registry.publication import Hooks, Publication
    from processors.tools.recommender_fill import RecommenderFill

    with _wiring() as wiring, Progress(console=out) as progress:

        async def whole() -> Outcome:
            with closing(RecommenderFill(wiring, _teller(progress))) as fill:

                async def admit(bundle: Bundle) -> None:
                    gate.require_content(bundle.manifest, await fill.content_versions())

                async def prepare(bundle: Bundle) -> None:
                    await fill.prepare(BundledRecommender(bundle, RankingWeights()))
                    if not fill.any_published(bundle.items.ids):
                        out.print(
                            f"warning: none of the {len(bundle.items.ids)} items that {bundle.version} was trained on "
                            "is published here: every item is placed by its content alone",
                            soft_wrap=True,
                        )

                async def settle(bundle: Bundle) -> None:
                    await fill.settle(BundledRecommender(bundle, RankingWeights()))

                try:
                    hooks = Hooks(prepare, settle, fill.tidy, admit)
                    return await work(Publication(_versions(wiring), wiring.publisher, hooks))
                finally:
                    await wiring.redis.aclose()

        done = asyncio.run(whole())
    if done.findings:
        out.print(showing.finding_table(done.findings))
    before = f" instead of {done.previous}" if done.previous else ""
    again = "" if done.moved else "; it was already, its event was sent again"
    out.print(f"in use: {done.version}{before}{again}", soft_wrap=True)


def _teller(progress: Progress) -> Callable[[str, int, int], None]:
    """Shows how far each step is, one bar a step."""
    bars: dict[str, TaskID] = {}

    def tell(step: str, done: int, total: int) -> None:
        if step not in bars:
            bars[step] = progress.add_task(step, total=total)
        progress.update(bars[step], completed=done, total=total)

    return tell


def _versions(wiring: Wiring) -> Versions:
    from features.model_store import ModelStore, VersionCache
    from processors.tools.models_registry.versions import Versions

    store = ModelStore(wiring.objects)
    return Versions(store, VersionCache(store, wiring.settings.bundles_folder))


@contextmanager
def _wiring() -> Iterator[Wiring]:
    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring

    with closing(Wiring(Settings())) as wiring:
        yield wiring


def _json(value: object) -> None:
    import orjson

    typer.echo(orjson.dumps(value).decode())
