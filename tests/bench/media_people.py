"""Who is said to appear in a video: precision and recall by the size of the face and by damage, and what it costs.

``python -m tests.bench.media_people``. Films of one member of the gallery and two strangers, drawn from faces that
packages ship, go through the sandbox and through content_moderation. Members are looked for by other photographs than
those that the gallery holds, where there are others.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from rich.progress import track

from features.objects import open_objects
from features.ports import ObjectStore
from models import people
from models.media.analysis import MediaAnalyser
from processors.tools.gallery.curve import SHIPPED
from tests.bench.appearing.cast import galleries, members, same_photographs, strangers
from tests.bench.appearing.cost import Row, cpu_ms, row, uploads
from tests.bench.appearing.films import (
    PORTRAIT,
    Condition,
    Edge,
    Film,
    Finds,
    Plain,
    Tiles,
    casts,
    named,
    shot,
)
from tests.bench.report import Figure, Report, Table
from tests.bench.text_moderation import share

SMALL, LARGE = round(SHIPPED.threshold(0.001), 4), 0.9724
"""Threshold of a gallery of a few persons, and that of 3,000 (docs/bench/gallery.md)."""
SIDES = (24, 28, 32, 40, 48, 64, 96, 128, 160)
SIZES = tuple(Condition(f"{side} px", side) for side in SIDES)
CLOSE = (
    Condition("selfie, 160 px", 160, PORTRAIT),
    Condition("selfie, 200 px", 200, PORTRAIT),
    Condition("selfie, 260 px, cut", 260, PORTRAIT),
)
DAMAGE = (
    Condition("64 px, blur of 0.03 sides", 64, blur=0.03),
    Condition("64 px, blur of 0.06 sides", 64, blur=0.06),
    Condition("64 px, blur of 0.1 sides", 64, blur=0.1),
    Condition("64 px, x264 at crf 34", 64, crf=34),
    Condition("64 px, x264 at crf 42", 64, crf=42),
)
LIMITED = people.LEAST_SIDE
USUAL = 48
"""Face side from which the recall of the summary counts, px."""


@dataclass
class Counts:
    """What was said at one threshold.

    Attributes:
        there: Films with a member.
        found: Those that name him.
        wrong: Names of people who do not appear.
    """

    there: int = 0
    found: int = 0
    wrong: int = 0

    @property
    def precision(self) -> str:
        return share(self.found, self.found + self.wrong)

    @property
    def recall(self) -> str:
        return share(self.found, self.there)


@dataclass
class Run:
    """All films of one condition, and who is as alike as what in each, by the way of looking."""

    condition: Condition
    films: Sequence[Film]
    ways: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    async def look(self, way: str, finds: Finds, objects: ObjectStore, least_side: float = LIMITED) -> None:
        with patch.object(people, "LEAST_SIDE", least_side):
            self.ways[way] = await named(self.films, objects, finds)

    def counts(self, way: str, threshold: float, persons: Iterable[str] = (), *, other: bool | None = None) -> Counts:
        """Of some persons only, if any are given; ``other``: found by another photograph or not."""
        wanted, found = set(persons), Counts()
        for film, likeness in zip(self.films, self.ways[way], strict=True):
            is_other = film.member.person != film.member.name
            over = {person for person, value in likeness.items() if value >= threshold}
            if (not wanted or film.member.person in wanted) and other in (None, is_other):
                found.there += 1
                found.found += film.member.person in over
            found.wrong += len({each for each in over - {film.member.person} if not wanted or each in wanted})
        return found


def total(counts: Iterable[Counts]) -> Counts:
    every = list(counts)
    return Counts(sum(c.there for c in every), sum(c.found for c in every), sum(c.wrong for c in every))


def by_condition(runs: Sequence[Run]) -> Table:
    rows: list[Row] = []
    for run in runs:
        small, large = (run.counts("as it is", at, other=True) for at in (SMALL, LARGE))
        same = run.counts("as it is", LARGE, other=False)
        rows.append(
            [run.condition.name, small.there, small.recall, large.recall, same.recall, small.wrong, large.wrong]
        )
    return Table(
        f"Films by how the faces are shown, at thresholds {SMALL:g} (a few persons) and {LARGE:g} (3,000)",
        ("faces", "films", f"recall at {SMALL:g}", f"at {LARGE:g}", f"same photograph at {LARGE:g}",
         f"wrong names at {SMALL:g}", f"at {LARGE:g}"),
        rows,
    )  # fmt: skip


def by_person(runs: Sequence[Run]) -> Table:
    rows: list[Row] = []
    for person in galleries(-1.0)[0].persons:
        for at in (SMALL, LARGE):
            found = total(run.counts("as it is", at, [person]) for run in runs)
            rows.append([f"{person}, at {at:g}", found.there, found.recall, found.precision])
    return Table(
        f"By person, films with faces of {USUAL} to {SIDES[-1]} px, unharmed",
        ("person", "films", "recall", "precision"),
        rows,
    )


def likenesses(runs: Sequence[Run]) -> Table:
    rows: list[Row] = []
    for run in runs:
        pairs = list(zip(run.films, run.ways["any size"], strict=True))
        own = sorted(found[film.member.person] for film, found in pairs if film.member.person in found)
        wrong = [max((v for p, v in found.items() if p != film.member.person), default=None) for film, found in pairs]
        middle = own[len(own) // 2] if own else None
        rows.append(
            [run.condition.name, len(own), _digits(middle), _digits(max((w for w in wrong if w), default=None))]
        )
    return Table(
        "Likenesses when faces of any size are compared",
        ("faces", f"films of {len(runs[0].films)} in which a face is most like the member", "his likeness, median",
         "greatest likeness of somebody else"),
        rows,
    )  # fmt: skip


def ways(runs: Sequence[Run], columns: Sequence[str], title: str) -> Table:
    rows: list[Row] = []
    for run in runs:
        for at in (SMALL, LARGE):
            every = [run.counts(way, at) for way in columns]
            rows.append([f"{run.condition.name}, at {at:g}", *(c.recall for c in every), *(c.wrong for c in every)])
    names = [*(f"recall, {way}" for way in columns), *(f"wrong, {way}" for way in columns)]
    return Table(title, ("faces", *names), rows)


def _digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


async def watched(objects: ObjectStore, analyser: MediaAnalyser) -> dict[str, list[Run]]:
    """Every film shot and judged."""
    chosen = casts([*members(), *same_photographs()], strangers())
    groups: dict[str, list[Run]] = {}
    for name, conditions in {"sizes": SIZES, "close": CLOSE, "damage": DAMAGE}.items():
        for condition in track(conditions, name):
            run = Run(condition, await shot(chosen, condition, objects, analyser))
            await run.look("as it is", Plain(), objects)
            if name == "sizes" and condition.side <= USUAL:
                await run.look("any size", Plain(), objects, 0.0)
                await run.look("tiles", Tiles(), objects)
            if name == "close":
                await run.look("edge", Edge(), objects)
            groups.setdefault(name, []).append(run)
    return groups


async def costs(objects: ObjectStore, analyser: MediaAnalyser) -> list[Row]:
    actors = casts(members(), strangers())[0]
    shown = await uploads(actors, objects, analyser)
    return [row(name, await cpu_ms(event, objects, galleries(LARGE)[0])) for name, event in shown.items()]


async def measured() -> tuple[dict[str, list[Run]], list[Row]]:
    with tempfile.TemporaryDirectory() as folder, closing(MediaAnalyser()) as analyser:
        objects = open_objects(Path(folder).as_uri())
        return await watched(objects, analyser), await costs(objects, analyser)


def figures(groups: dict[str, list[Run]], spent: Sequence[Sequence[str | float | None]]) -> Iterator[Figure]:
    usual = [run for run in groups["sizes"] if run.condition.side >= USUAL]
    every = [run for runs in groups.values() for run in runs]
    for at in (SMALL, LARGE):
        found = total(run.counts("as it is", at, other=True) for run in usual)
        yield Figure(f"recall by other photographs from {USUAL} px on, at {at:g}", found.found / found.there)
        wrong = total(run.counts("as it is", at) for run in every)
        yield Figure(f"wrong names in {wrong.there} films, at {at:g}", wrong.wrong, "<=", 0.0)
    for name, _, faces, *_ in spent:
        yield Figure(f"share of faces in the stage's CPU, {name}", float(faces or 0), "<=")


def main() -> None:
    groups, spent = asyncio.run(measured())
    usual = [run for run in groups["sizes"] if run.condition.side >= USUAL]
    small = [run for run in groups["sizes"] if run.condition.side <= USUAL]
    cast = strangers()
    Report(
        "media_people",
        "Who appears in a video",
        f"Films of one of five members of a gallery and two of {len(cast)} strangers, made of faces that packages "
        "ship, as content_moderation sees them.",
        list(figures(groups, spent)),
        [
            by_condition([*groups["sizes"], *groups["close"], *groups["damage"]]),
            by_person(usual),
            likenesses(small),
            ways(small, ("as it is", "any size", "tiles"), "Small faces, other ways"),
            ways(groups["close"], ("as it is", "edge"), "Faces that fill the picture"),
            Table(
                "CPU time of content_moderation for an upload",
                ("upload", "whole stage, ms", "faces, share", "edge would add", "tiles would add"),
                spent,
            ),
        ],
        list(NOTES),
    ).publish()


NOTES = (
    "Sizes are those of the face's shorter side in the frames that are sampled of an upload, whose longer side is 416 "
    "px; the films are twice as large. A film shows the member in two of its eight scenes.",
    "obama and talking-man are looked for by photographs and frames that the gallery does not hold; of biden, "
    "astronaut and hopper there is one photograph, so those three only show what size and damage cost.",
    "Shares with 95 % intervals (Clopper-Pearson). Films of one actor are not independent: there are two men of whom "
    "there are several photographs. Precision holds for this mix, where each film shows a member.",
    f"as it is: faces from {LIMITED:g} px, as the detector measures them, which takes small ones for smaller than they "
    "are. any size: no such limit. tiles: frames are also looked at in overlapping parts. edge: a frame without a face "
    "is looked at again with an edge round it (models.portrait_faces).",
    "Neither tiles nor the edge are used: both may add over a tenth to the stage, tiles for every upload, and the edge "
    "only finds faces that reach beyond the picture.",
    "The limit was set by the table of likenesses of these very films: at 24 px the member is no more like himself "
    "than somebody else is. It costs no recall here.",
    "CPU is that of the whole stage with nudity and a title, the gallery that of five persons; with 3,000 a search "
    "adds 2 to 3 ms for each face (docs/bench/gallery.md). What a way adds holds the embedding of what it "
    "finds.",
)

if __name__ == "__main__":
    main()
