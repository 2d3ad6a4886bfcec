"""The gallery of public figures at 3,000 persons: whom it takes for somebody by mistake, whom it finds, how fast.

``python -m tests.bench.gallery [--persons N] [--strangers N]``. The persons are generated
(`tests.bench.galleries.mixture`); beside them stand the real faces that packages ship.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from functools import cached_property

import matplotlib
import numpy as np

from features.face_gallery import Gallery as StoredGallery
from models.face_gallery import GallerySnapshot
from processors.runtime.gallery_settings import Gallery
from processors.tools.gallery.curve import LEAST_PERSONS, SHIPPED, Share, Tail, fit_tail, likenesses
from processors.tools.gallery.faces import ReadFace
from processors.tools.gallery.selection import select
from processors.tools.gallery.version import compose, rows_of
from tests.bench.galleries.milvus import Searched, searched, snapshot
from tests.bench.galleries.mixture import Mixture, Vectors, World
from tests.bench.galleries.real import Real, real_faces
from tests.bench.report import FOLDER, Figure, Report, Table

matplotlib.use("Agg")
from matplotlib import pyplot

RULES = Gallery()
MIXTURE = Mixture()
PICTURE = "gallery.png"
PER_PERSON, UNSEEN = 8, 2
SIZES = (50, 100, 300, 1000)
WITHIN = (0.98, MIXTURE.same_person, 0.965, 0.955, 0.945)
"""Mean likenesses of a person's pictures at which unseen pictures of members are tried."""
SEARCHES = 200
BLOCK = 500
SOME_STRANGERS = 1000
"""Strangers that each small gallery is searched with."""


class Trial:
    """One gallery, searched with strangers and with unseen pictures of members."""

    def __init__(self, world: World, members: Vectors, pictures: Vectors, strangers: Vectors) -> None:
        self.pictures, self.strangers = pictures, strangers
        self.stored = build(pictures)
        self.held: GallerySnapshot = snapshot(self.stored)
        self.owners = [f"person {number:05d}" for number in range(len(pictures)) for _ in range(UNSEEN)]
        self.unseen = {within: _flat(world.pictures(members, UNSEEN, within)) for within in WITHIN}

    @cached_property
    def reached(self) -> Vectors:
        """Greatest likeness of each stranger to anybody."""
        return best(self.held, self.strangers)

    @cached_property
    def small(self) -> list[GallerySnapshot]:
        """The same persons in galleries of as few as take the threshold in the source."""
        return [part(self.held, at, at + LEAST_PERSONS) for at in range(0, len(self.held.persons), LEAST_PERSONS)]

    @cached_property
    def small_tail(self) -> Tail:
        """Of all those galleries together."""
        return fit_tail(np.concatenate([likenesses(each, RULES.same_person).impostors for each in self.small]))

    @cached_property
    def tail(self) -> Tail:
        """Of the gallery's own faces."""
        return fit_tail(likenesses(self.held, RULES.same_person).impostors)

    def found(self, within: float = MIXTURE.same_person) -> tuple[Share, Share]:
        """Members found, and members taken for somebody else."""
        return hits(self.held, self.unseen[within], self.owners)


def build(pictures: Vectors) -> StoredGallery:
    """A gallery of generated pictures [P, N, 128], chosen among as those of a folder are."""
    persons = []
    for number, own in enumerate(pictures):
        name = f"person {number:05d}"
        digests = [hashlib.sha256(f"{name} {at}".encode()).hexdigest() for at in range(len(own))]
        faces = [
            ReadFace(name, sha256, sha256, vector, 200.0, b"") for sha256, vector in zip(digests, own, strict=True)
        ]
        person, _ = select(name, faces, RULES)
        persons += [] if person is None else [person]
    composed = compose(rows_of(persons), "generated", RULES.false_accepts, RULES.same_person)
    return composed.gallery


def part(gallery: GallerySnapshot, first: int, end: int) -> GallerySnapshot:
    """Some of its persons."""
    spans = gallery.spans()[first:end]
    rows = slice(spans[0][0], spans[-1][1])
    return GallerySnapshot("part", gallery.threshold, gallery.embedder, gallery.rows[rows], gallery.vectors[rows])


def best(gallery: GallerySnapshot, faces: Vectors) -> Vectors:
    """Greatest likeness of each face to anybody."""
    blocks = [gallery.likenesses(faces[at : at + BLOCK]).max(axis=1) for at in range(0, len(faces), BLOCK)]
    return np.concatenate(blocks)


def hits(gallery: GallerySnapshot, faces: Vectors, owners: list[str]) -> tuple[Share, Share]:
    """Searches with members' faces that find them, and those that find somebody else first."""
    pairs = [(found[0], owner) for found, owner in zip(gallery.match(faces, 1), owners, strict=True)]
    right = [match.person == owner for match, owner in pairs if match.likeness >= gallery.threshold]
    return Share(right.count(True), len(faces)), Share(right.count(False), len(faces))


def over(values: Vectors, threshold: float) -> Share:
    """How many reach a threshold."""
    return Share(int((values >= threshold).sum()), len(values))


def _flat(pictures: Vectors) -> Vectors:
    return pictures.reshape(-1, pictures.shape[-1])


def draw(trial: Trial) -> None:
    """Both kinds of errors by threshold."""
    members = best(trial.held, trial.unseen[MIXTURE.same_person])
    grid = np.linspace(float(trial.reached.min()), 1.0, 400)
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    measured = {
        "strangers found, measured": [over(trial.reached, at).value for at in grid],
        "members missed, measured": [1.0 - over(members, at).value for at in grid],
    }
    for label, shares in measured.items():
        axes.semilogy(grid, [share or np.nan for share in shares], label=label)
    tail = [trial.tail.beyond(at) or np.nan for at in grid]
    axes.semilogy(grid, tail, "--", label="strangers found, by the tail of the gallery's own faces")
    axes.axvline(trial.held.threshold, color="grey", linewidth=1, label=f"threshold {trial.held.threshold:.4f}")
    axes.axhline(RULES.false_accepts, color="grey", linewidth=1, linestyle=":", label=f"{RULES.false_accepts:g} wanted")
    axes.set(xlabel="threshold (cosine)", ylabel="share of searches", ylim=(1e-5, 1.5), xlim=(grid[0], 1.0))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower left", fontsize=8)
    figure.tight_layout()
    figure.savefig(FOLDER / PICTURE, dpi=110)
    pyplot.close(figure)


def _likeness_table(real: Real, trial: Trial) -> Table:
    one, other = trial.pictures[:, 0], trial.pictures[:, 1]
    kinds = {
        "one person, real: five pictures of one politician": real.same,
        "one person, generated": (one * other).sum(axis=1),
        f"two persons, real: {real.faces} faces": real.strangers,
        "two persons, generated": (one @ one.T)[np.triu_indices(len(one), 1)],
    }
    rows = []
    for name, values in kinds.items():
        figures = (values.mean(), values.std(), *np.quantile(values, (0.01, 0.99)), values.max())
        rows.append((name, f"{len(values):,}", *(f"{value:.4f}" for value in figures)))
    columns = ("pairs", "number", "mean", "deviation", "1 %", "99 %", "greatest")
    return Table("Likenesses of pairs, real and generated", columns, rows)


def _main_table(real: Real, trial: Trial) -> Table:
    threshold = trial.held.threshold
    found, wrong = trial.found()
    shares = {
        "strangers, generated: somebody found": over(trial.reached, threshold),
        "unseen pictures of members, generated: found": found,
        "the same: taken for somebody else": wrong,
        "pairs of strangers, real: over it": over(real.strangers, threshold),
        "photographs against the person's others, real: over it": over(real.left_out, threshold),
    }
    return Table(
        f"At {len(trial.held.persons):,} persons in {len(trial.held.rows):,} rows: threshold {threshold:.4f}",
        ("searches", "number", "share", "95 %"),
        [(name, f"{share.of:,}", *_cells(share)) for name, share in shares.items()],
    )


def _tables(real: Real, trial: Trial, milvus: Searched) -> Iterator[Table]:
    yield _likeness_table(real, trial)
    yield _main_table(real, trial)
    yield Table(
        "Members found, by how alike the unseen picture is to the person's others",
        ("mean likeness of two pictures", "found", "taken for somebody else"),
        [(f"{within:g}", *(share.value for share in trial.found(within))) for within in WITHIN],
    )
    yield Table(
        "Galleries of other sizes, each with the threshold by its own faces",
        ("persons", "threshold", "strangers found", "95 %", "members found"),
        [_small_row(trial), *(_size_row(trial, size) for size in (*SIZES, len(trial.pictures)))],
    )
    yield Table(
        f"Strangers found at {len(trial.held.persons):,} persons, by threshold",
        ("threshold", "share", "95 %"),
        [(f"{at:.3f}", *_cells(over(trial.reached, at))) for at in np.arange(0.94, 0.986, 0.005)],
    )
    yield Table(
        "Milvus Lite beside the exact search in memory",
        ("what", "value"),
        [
            ("writing the version, s", milvus.write_s),
            ("reading it, s", milvus.read_s),
            ("exact search of one face, processor ms", milvus.exact_cpu_ms),
            ("exact search of one face, ms", milvus.exact_ms),
            ("search of one face by Milvus, ms", milvus.milvus_ms),
            ("the five most alike rows found by Milvus", milvus.recall),
            ("same person first", milvus.agreement),
        ],
    )


def _small_row(trial: Trial) -> tuple[str | float, ...]:
    threshold = SHIPPED.threshold(RULES.false_accepts)
    reached = np.concatenate([best(each, trial.strangers[:SOME_STRANGERS]) for each in trial.small])
    owners, faces = np.array(trial.owners), trial.unseen[MIXTURE.same_person]
    found = sum(int((best(each, faces[np.isin(owners, each.persons)]) >= threshold).sum()) for each in trial.small)
    title = f"{LEAST_PERSONS}, by the threshold in the source ({len(trial.small)} galleries)"
    return (title, f"{threshold:.4f}", *_cells(over(reached, threshold)), found / len(faces))


def _size_row(trial: Trial, size: int) -> tuple[str | float, ...]:
    part = snapshot(build(trial.pictures[:size]))
    strange = over(best(part, trial.strangers), part.threshold)
    faces = trial.unseen[MIXTURE.same_person][: size * UNSEEN]
    found, _ = hits(part, faces, trial.owners[: size * UNSEEN])
    return (f"{size:,}", f"{part.threshold:.4f}", *_cells(strange), found.value)


def _cells(share: Share) -> tuple[float, str]:
    return share.value, f"{share.low:.2g} .. {share.high:.2g}"


NOTES = [
    "A search compares one face with every row. Strangers are drawn from the same mixture, siblings of members among "
    "them; intervals are Clopper-Pearson's.",
    f"![errors by threshold]({PICTURE})",
    "Generated persons stand in for real ones: nothing with 3,000 real identities may be shipped or fetched here. The "
    "mixture is fitted to the likenesses of the first table, of which those of one person come from one politician "
    "within some years. Pictures many years apart are less alike: the third table says what that costs.",
    f"A gallery of fewer than {LEAST_PERSONS} persons takes the threshold in the source, fitted to all the small "
    "galleries of this page together.",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=3000)
    parser.add_argument("--strangers", type=int, default=20_000)
    asked = parser.parse_args()
    world = World(MIXTURE, seed=3)
    members = world.people(asked.persons)
    pictures = world.pictures(members, PER_PERSON)
    trial = Trial(world, members, pictures, _flat(world.pictures(world.people(asked.strangers), 1)))
    print(f"for processors/tools/gallery/curve.py: SHIPPED = {trial.small_tail}")  # noqa: T201
    milvus = searched(trial.stored, trial.unseen[MIXTURE.same_person][:: len(trial.owners) // SEARCHES][:SEARCHES])
    draw(trial)
    found, _ = trial.found()
    wanted = RULES.false_accepts
    moved = SHIPPED.threshold(wanted) - trial.small_tail.threshold(wanted)
    Report(
        "gallery",
        "The gallery of public figures",
        f"{asked.persons:,} generated persons with {PER_PERSON} pictures each, of which at most {RULES.exemplars} are "
        f"kept beside their mean, searched with {asked.strangers:,} strangers and with unseen pictures of members. The "
        f"threshold is what `overture gallery build` finds for at most {wanted:g} of the searches with a stranger.",
        [
            Figure("strangers found, share of searches", over(trial.reached, trial.held.threshold).value, "<=", wanted),
            Figure("unseen pictures of members found", found.value, ">=", 0.9),
            Figure("threshold in the source less that of galleries of 50", abs(moved), "<=", 0.002),
            Figure("Milvus: share of the five most alike rows found", milvus.recall, ">=", 0.99),
            Figure("Milvus' time of a search over the exact one's", milvus.milvus_ms / milvus.exact_ms),
        ],
        list(_tables(real_faces(), trial, milvus)),
        NOTES,
    ).publish()


if __name__ == "__main__":
    main()
