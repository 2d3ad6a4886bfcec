"""Rings among generated accounts: time, growth, and how right they are, beside scikit-learn's HDBSCAN.

``python -m tests.bench.fraud_rings [--sizes N,...] [--hdbscan-most N]``
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import matplotlib
import numpy as np

from models.fraud_clustering.rings import FaceRings, Rules
from processors.fraud_clustering.desk import AT_A_TIME
from processors.fraud_clustering.keeping import face_of
from processors.runtime.state import PartitionState
from schemas.codec import Codec
from schemas.fraud import FaceKept
from schemas.user import FaceEmbedded
from tests.bench.fraud.peers import Links, hdbscan, sifted
from tests.bench.fraud.world import IN_RINGS, Ints, Score, World, drawn, score
from tests.bench.report import FOLDER, Figure, Report, Table
from tests.fakes.faces import Space
from tests.fakes.runtime import codec

matplotlib.use("Agg")
from matplotlib import pyplot

RULES = Rules()
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
SWEPT = (0.95, 0.955, 0.96, 0.965)
SIFTED = (0.91, 0.92, 0.93, 0.94, 0.95, 0.96)
BATCHES = (1, 16, 256, 2_048)
TURNS = 5
CROWD = 5_000
SHUFFLED = 10_000
PICTURE = "fraud_rings.png"
T = TypeVar("T")


@dataclass(frozen=True)
class Timed:
    """What a call took.

    Attributes:
        wall_s: Seconds.
        cpu_s: Seconds of all threads.
    """

    wall_s: float
    cpu_s: float


def timed(function: Callable[[], T]) -> tuple[T, Timed]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, Timed(time.perf_counter() - wall, time.process_time() - cpu)


def rings_of(faces: dict[str, FaceEmbedded], rules: Rules = RULES) -> FaceRings:
    found = FaceRings(rules)
    found.update(faces)
    return found


def clusters(found: FaceRings, count: int) -> Ints:
    """Number of the ring of each of the accounts u0, u1, ..., [N]; -1: none."""
    cluster = np.full(count, -1)
    for number, ring in enumerate(found.standing.values()):
        cluster[[int(user[1:]) for user in ring.members]] = number
    return cluster


@dataclass(frozen=True)
class Grown:
    """One size.

    Attributes:
        world: Who there is.
        found: What we find.
        ours: What that took.
        theirs: What HDBSCAN took; None: not run.
        scores: By name.
    """

    world: World
    found: FaceRings
    ours: Timed
    theirs: Timed | None
    scores: dict[str, Score]


def grown(size: int, hdbscan_most: int) -> Grown:
    world = drawn(size)
    faces = world.faces()
    found, ours = timed(lambda: rings_of(faces))
    scores = {"ours": score(world.person, clusters(found, size))}
    theirs = None
    if size <= hdbscan_most:
        labels, theirs = timed(lambda: hdbscan(world.vectors))
        scores["hdbscan"] = score(world.person, labels)
        every = (score(world.person, sifted(world.vectors, labels, least)) for least in SIFTED)
        scores["sifted"] = max(every, key=lambda each: each.f)
    return Grown(world, found, ours, theirs, scores)


def growth(rows: dict[int, Grown]) -> Table:
    columns = (
        "faces", "ours: s", "CPU s", "rings", "precision", "recall", "F",
        "HDBSCAN: s", "CPU s", "F", "F, sifted",
    )  # fmt: skip
    return Table(
        "Growth",
        columns,
        [
            (
                f"{size:,}", each.ours.wall_s, each.ours.cpu_s, len(each.found.standing),
                each.scores["ours"].precision, each.scores["ours"].recall, each.scores["ours"].f,
                each.theirs and each.theirs.wall_s, each.theirs and each.theirs.cpu_s,
                each.scores["hdbscan"].f if each.theirs else None,
                each.scores["sifted"].f if each.theirs else None,
            )
            for size, each in rows.items()
        ],
    )  # fmt: skip


def rules_compared(world: World) -> Table:
    """How right each way to join what is alike is, against the likeness from which it is."""
    links, rows = Links(world.vectors, min(SWEPT)), []
    for least in SWEPT:
        for name, cluster in (
            ("all joined", links.components(least)),
            ("faces with two likenesses and more: DBSCAN", links.dense(least)),
            ("what a third face supports", links.supported(least, 0.0)),
            ("the same with overlap 0.5: ours", links.supported(least, RULES.overlap)),
            ("the same with overlap 0.6", links.supported(least, 0.6)),
        ):
            right = score(world.person, cluster)
            largest = int(np.bincount(cluster[cluster >= 0], minlength=1).max())
            rows.append((name, f"{least:g}", right.precision, right.recall, right.f, largest))
    columns = ("what is joined", "likeness from", "precision", "recall", "F", "largest")
    return Table(f"Ways to join, {len(world.vectors):,} faces", columns, rows)


def incremental(held: FaceRings) -> Table:
    """Batches of new faces on top of those held, then taken out again; medians."""
    rows = []
    for size in BATCHES:
        come, gone = [], []
        for turn in range(TURNS):
            drawn_now = list(drawn(max(1_000, size), seed=100 * size + turn).faces().values())[:size]
            batch = {f"new-{face.user_id}": replace(face, user_id=f"new-{face.user_id}") for face in drawn_now}
            come.append(timed(partial(held.update, batch))[1])
            gone.append(timed(partial(held.update, dict.fromkeys(batch)))[1])
        wall = statistics.median(each.wall_s for each in come)
        cpu = statistics.median(each.cpu_s for each in come)
        rows.append((size, 1e3 * wall, size / wall, 1e3 * cpu / size, 1e3 * statistics.median(e.wall_s for e in gone)))
    columns = ("faces a batch", "ms", "faces/s", "CPU ms a face", "ms to take them out")
    return Table(f"Faces coming to {len(held):,} held", columns, rows)


def stored(faces: dict[str, FaceEmbedded]) -> PartitionState[FaceKept]:
    """The state as the broker has it."""
    written: Codec = codec()
    state: PartitionState[FaceKept] = PartitionState(lambda value: written.decode(value, FaceKept))
    for user, face in faces.items():
        state.put(user, written.encode(FaceKept(user_id=user, face=face)))
    return state


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def crowd() -> list[Figure]:
    """One celebrity's face in thousands of pictures, one account each."""
    rng = np.random.default_rng(5)
    space = Space(rng)
    vectors = space.faces(np.repeat(space.people(1), CROWD, axis=0), 195.0)
    faces = World(vectors, np.zeros(CROWD, np.int64)).faces()
    found, took = timed(lambda: rings_of(faces))
    _, one = timed(lambda: found.update({"u0": None}))
    largest = max((ring.accounts for ring in found.standing.values()), default=0)
    return [
        Figure(f"{CROWD:,} accounts with one celebrity's face: s", took.wall_s),
        Figure(f"{CROWD:,} accounts with one celebrity's face: share in one ring", largest / CROWD, ">=", 0.9),
        Figure(f"{CROWD:,} accounts with one celebrity's face: s to take one out", one.wall_s),
    ]


def orders(world: World) -> Figure:
    """Rings that differ when the same faces come in another order and other batches, some of them twice."""
    faces = world.faces()
    straight = rings_of(faces)
    users, shuffled = list(faces), FaceRings(RULES)
    random.Random(1).shuffle(users)
    for first in range(0, len(users), 777):
        shuffled.update({user: faces[user] for user in users[max(0, first - 50) : first + 777]})
    every = straight.standing.keys() | shuffled.standing.keys()
    differ = sum(straight.standing.get(each) != shuffled.standing.get(each) for each in every)
    return Figure(f"rings that differ in another order, {len(faces):,} faces", float(differ), "==", 0)


def drawn_picture(rows: dict[int, Grown]) -> str:
    """The growth as a picture; its name."""
    figure, (seconds, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    theirs = {size: each.theirs.cpu_s for size, each in rows.items() if each.theirs}
    seconds.loglog(list(rows), [each.ours.cpu_s for each in rows.values()], "o-", label="Overture")
    seconds.loglog(list(theirs), list(theirs.values()), "s--", label="HDBSCAN (scikit-learn)")
    seconds.set(xlabel="faces", ylabel="CPU seconds", title="From nothing to all rings")
    for name, mark, label in (
        ("ours", "o-", "Overture"),
        ("hdbscan", "s--", "HDBSCAN"),
        ("sifted", "^:", "HDBSCAN, sifted"),
    ):
        points = [(size, each.scores[name].f) for size, each in rows.items() if name in each.scores]
        right.semilogx(*zip(*points, strict=True), mark, label=label)
    right.set(xlabel="faces", ylabel="pairwise F", ylim=(0, 1.05), title="Against the planted people")
    for axes in (seconds, right):
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend()
    figure.savefig(FOLDER / PICTURE, dpi=110)
    pyplot.close(figure)
    return PICTURE


def falsely_named(largest: Grown) -> list[Figure]:
    """What becomes of people who are in no planted ring."""
    person, cluster = largest.world.person, clusters(largest.found, len(largest.world.person))
    alone = np.bincount(person)[person] == 1
    named = alone & (cluster >= 0)
    invented = {number for number in set(cluster[cluster >= 0].tolist()) if alone[cluster == number].all()}
    return [
        Figure("share of the strangers that a ring names", float(named.sum() / alone.sum()), "<=", 0.002),
        Figure("rings of strangers only", float(len(invented))),
        Figure(
            "share of the rings that are of strangers only", len(invented) / len(largest.found.standing), "<=", 0.05
        ),
    ]


def loading(faces: dict[str, FaceEmbedded]) -> list[Figure]:
    """What a restart costs: the state is decoded, and all rings are found again."""
    state = stored(faces)
    before = resident_mib()

    def load() -> FaceRings:
        found, every = FaceRings(RULES), state.items()
        while some := list(islice(every, AT_A_TIME)):
            found.update({user: face_of(kept) for user, kept in some})
        return found

    found, took = timed(load)
    size = len(found)
    return [
        Figure(f"{size:,} faces loaded from the state after a restart: s", took.wall_s, "<=", 300),
        Figure("memory of a face held, KiB", 1024 * (resident_mib() - before) / size),
        Figure("bytes of a face in the state's topic", sum(map(len, state._values.values())) / size),
    ]


def report(sizes: tuple[int, ...], hdbscan_most: int) -> Report:
    rows = {size: grown(size, hdbscan_most) for size in sizes}
    most = max(sizes)
    largest = rows[most]
    both = [each for each in rows.values() if each.theirs]
    figures = [
        Figure(f"{most:,} faces clustered: s", largest.ours.wall_s, "<=", 180),
        Figure(f"{most:,} faces: pairwise F", largest.scores["ours"].f, ">=", 0.95),
        Figure(f"{most:,} faces: pairwise precision", largest.scores["ours"].precision, ">=", 0.98),
        *falsely_named(largest),
        Figure("F less HDBSCAN's best, the least of all sizes", min(_ahead(each) for each in both), ">=", 0.0),
        orders(drawn(min(SHUFFLED, most))),
        *crowd(),
        *loading(largest.world.faces()),
    ]
    return Report(
        "fraud_rings",
        "Rings found by faces",
        f"Generated accounts, {IN_RINGS:.1%} of them in planted rings of 3 to 50, clustered from nothing and one batch "
        "after the other.",
        figures,
        [growth(rows), incremental(largest.found), rules_compared(drawn(most))],
        [
            f"![growth]({drawn_picture(rows)})",
            "People are drawn from a von Mises-Fisher mixture of 30 directions around a common mean "
            "(`tests/fakes/faces.py`): strangers' distances are those of [face pairs](face_pairs.md) (0.3 % below 0.40 "
            "and 2.9 % below 0.45; there 0.6 and 3.3 % of some 600 pairs), and so are one person's (a third above "
            "0.25, a tenth above 0.30). A fifth of the people come in threes that resemble each other.",
            "HDBSCAN has no likeness from which two faces are one person's: it joins whatever is denser than what lies "
            "around it, strangers too. Sifted: only its clusters of a mean likeness of at least 0.91, 0.92, ... 0.96, "
            "whichever of these is best here.",
            "Ours is exact. The product of all faces with all, 1.3 TFLOP for 100,000, is most of the time and grows "
            "with the square; a batch costs the product of its faces with those held.",
            "These are generated faces. How often two real strangers are taken for one person depends on the embedder "
            "and on who uses the app, and has to be counted on the rings that people have looked at.",
        ],
    )


def _ahead(each: Grown) -> float:
    return each.scores["ours"].f - max(each.scores["hdbscan"].f, each.scores["sifted"].f)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--hdbscan-most", type=int, default=10_000)
    asked = parser.parse_args()
    report(tuple(int(size) for size in asked.sizes.split(",")), asked.hdbscan_most).publish()


if __name__ == "__main__":
    main()
