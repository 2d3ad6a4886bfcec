"""``overture gallery``: the public figures that avatars and uploads are compared with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from features.face_gallery import Gallery
    from processors.runtime.wiring import Wiring
    from processors.tools.gallery.build import Chosen, GalleryWork, Outcome
    from processors.tools.gallery.folder import Folder

app = typer.Typer(no_args_is_help=True, help="Public figures: build, add, remove, list; versions and their threshold.")
out = Console(highlight=False)

Version = Annotated[str, typer.Argument(help="As `versions` shows it.")]
Which = Annotated[str, typer.Option("--version", help="As `versions` shows it.", show_default="the one in use")]
Report = Annotated[
    Path | None,
    typer.Option("--report", dir_okay=False, writable=True, help="JSON file of what was left out, and why."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Existing = typer.Argument(exists=True, file_okay=False, readable=True)


@app.command()
def build(
    folder: Annotated[Path, Existing],
    report: Report = None,
) -> None:
    """Make a gallery of a folder that holds one folder a person, and put it in use."""
    from processors.tools.gallery.folder import read_folder

    _take(lambda: read_folder(folder), lambda work, chosen, embedder: work.build(chosen, embedder), report)


@app.command()
def add(
    folders: Annotated[list[Path], Existing],
    report: Report = None,
) -> None:
    """Add persons, or take new pictures of them: one folder each, named after the person."""
    from processors.tools.gallery.folder import read_persons

    _take(lambda: read_persons(folders), lambda work, chosen, embedder: work.add(chosen, embedder), report)


@app.command()
def remove(
    persons: Annotated[list[str], typer.Argument(help="Names, as `list` shows them.")],
    *,
    erase: Annotated[
        bool, typer.Option("--erase", help="Also drop every older version that holds one of them, pictures included.")
    ] = False,
) -> None:
    """Make a gallery without some persons, and put it in use."""
    from processors.tools.gallery import showing

    with _wiring() as wiring:
        showing.print_outcome(asyncio.run(_work(wiring).remove(persons, erase=erase)), out)


@app.command("list")
def list_persons(version: Which = "", *, as_json: Json = False) -> None:
    """List the persons of a gallery."""
    from processors.tools.gallery import showing

    with _wiring() as wiring:
        gallery = _read(wiring, version)
    if as_json:
        for each in showing.persons(gallery):
            _json(each)
    else:
        showing.print_persons(gallery, out)


@app.command()
def versions(*, as_json: Json = False) -> None:
    """List versions, the newest last."""
    from dataclasses import asdict

    from features import face_gallery
    from processors.tools.gallery import showing

    with _wiring() as wiring:
        stored = face_gallery.versions(wiring.milvus_config)
    if as_json:
        for each in stored:
            _json(asdict(each))
    else:
        showing.print_versions(stored, out)


@app.command()
def use(version: Version) -> None:
    """Put another version in use."""
    with _wiring() as wiring:
        asyncio.run(_work(wiring).use(version))
    out.print(f"in use: {version}")


@app.command()
def curve(version: Which = "", *, as_json: Json = False) -> None:
    """Show how often searches err by threshold, as the gallery's own faces tell."""
    from dataclasses import asdict

    from models.face_gallery import GallerySnapshot
    from processors.tools.gallery import showing
    from processors.tools.gallery.curve import curve, likenesses

    with _wiring() as wiring:
        gallery, rules = _read(wiring, version), wiring.settings.gallery
    facts = gallery.facts
    held = GallerySnapshot(gallery.version, facts.threshold, facts.embedder, gallery.rows, gallery.vectors)
    points = curve(likenesses(held, rules.same_person), facts.threshold)
    if as_json:
        for each in points:
            _json(asdict(each))
    else:
        showing.print_curve(points, facts.threshold, out)


def _take(
    look: Callable[[], Folder],
    make: Callable[[GalleryWork, Chosen, str], Coroutine[Any, Any, Outcome]],
    report: Path | None,
) -> None:
    """Read pictures, make a gallery of them and say so; exit code 1 if nothing is usable."""
    from rich.progress import Progress

    from models.media.analysis import MediaAnalyser
    from processors.tools.gallery import showing
    from processors.tools.gallery.build import choose
    from processors.tools.gallery.faces import FaceReader, limits

    with _wiring() as wiring:
        rules, embedder = wiring.settings.gallery, wiring.face_embedder
        with MediaAnalyser(limits(rules)) as analyser, Progress(console=out) as progress:
            bar = progress.add_task("pictures")
            reader = FaceReader(analyser, wiring.face_detector, embedder, rules)
            chosen = choose(
                look(), reader, rules, lambda done, total: progress.update(bar, completed=done, total=total)
            )
        outcome = asyncio.run(make(_work(wiring), chosen, embedder.version))
    showing.print_outcome(outcome, out)
    if report is not None:
        report.write_bytes(showing.outcome_json(outcome))
    raise typer.Exit(0 if outcome.version else 1)


def _read(wiring: Wiring, version: str) -> Gallery:
    from features import face_gallery

    wanted = version or face_gallery.in_use(wiring.milvus_config)
    if not wanted:
        raise face_gallery.GalleryError("no gallery is in use: `overture gallery build FOLDER` makes one")
    return face_gallery.read(wiring.milvus_config, wanted)


def _work(wiring: Wiring) -> GalleryWork:
    from processors.tools.gallery.build import GalleryWork

    return GalleryWork(wiring.milvus_config, wiring.objects, wiring.settings.gallery)


@contextmanager
def _wiring() -> Iterator[Wiring]:
    from processors.runtime.settings import Settings
    from processors.runtime.wiring import Wiring

    with closing(Wiring(Settings())) as wiring:
        yield wiring


def _json(value: object) -> None:
    import orjson

    typer.echo(orjson.dumps(value).decode())
