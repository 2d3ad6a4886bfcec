"""Avatars: how many a core judges, where its time goes, and how long one upload waits for its verdict.

``python -m tests.bench.avatars [--no-stack]``. The pictures are those that packages ship (`infra.demo.faces`). CPU
time is that of this process and of the sandboxed children together; the same pictures then go through the networks
alone, each with its own steps before and after, in turn with the whole path. The wait is measured through the product's
own stack.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import httpx
from rich.progress import track

from features.objects import open_objects
from infra.demo.faces import picture
from processors.avatar_moderation import avatar_moderation
from processors.avatar_moderation.evidence import MOST_COMPARED
from processors.runtime.offload import Threads
from processors.runtime.settings import Settings
from processors.runtime.topic_scan import read_to_end
from processors.runtime.wiring import Wiring
from schemas.topics import AVATAR_MODERATED
from schemas.user import AvatarModerated
from tests.bench.report import Figure, Report, Table, median_ratio
from tests.bench.uploading.avatar_path import EXEMPLARS, GALLERY_PERSONS, NAMES, SKILLS, AvatarPath, stored
from tests.bench.uploading.stack import WAIT_S, running

ROUNDS = 7
UPLOADS = 25
SENT = ("astronaut", "obama-1", "biden", "cat")
LEAST_SHARE, LONGEST_WAIT = 0.8, 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-stack", action="store_true", help="leave out the wait, which starts the whole stack")
    without_stack = parser.parse_args().no_stack
    report = Report(
        "avatars",
        "Avatars: throughput, stages, and the wait for a verdict",
        f"CPU time of `avatar_moderation` over {len(NAMES)} packaged pictures, against that of its networks alone, and "
        "the time from an upload's acceptance to its verdict on an idle system.",
    )
    asyncio.run(_throughput(report))
    if not without_stack:
        asyncio.run(_wait(report))
    report.publish()


async def _throughput(report: Report) -> None:
    whole, passed, skills, bare = [], [], [], []
    stages: list[Mapping[str, float]] = []
    with closing(Wiring(Settings())) as wiring, tempfile.TemporaryDirectory() as folder:
        bench = AvatarPath(wiring, open_objects(Path(folder).as_uri()))
        await bench.warm()
        for _ in track(range(ROUNDS), description="rounds"):
            taken, elapsed = await bench.whole_s()
            whole.append(taken)
            passed.append(elapsed)
            found, networks = bench.stages_s()
            stages.append(found)
            skills.append(sum(found[name] for name in SKILLS))
            bare.append(networks)
    rows = [(name, 1000 * statistics.median(each[name] for each in stages)) for name in stages[0]]
    total = statistics.median(whole)
    rows.append(
        (
            "everything else: pipes, objects, threads, event loop",
            1000 * total - sum(v for _, v in rows),
        )
    )
    report.figures += [
        Figure("avatars a second and core, whole path", 1 / total),
        Figure("networks with their own steps / whole path, CPU", median_ratio(skills, whole), ">=", LEAST_SHARE),
        Figure(
            "networks with their own steps, CPU / whole path, elapsed, one avatar at a time",
            median_ratio(skills, passed),
        ),
        Figure("ONNX Runtime alone / whole path, CPU", median_ratio(bare, whole)),
    ]
    report.tables.append(
        Table(
            "CPU time of an avatar",
            ("stage", "ms", "share, %"),
            [*((name, value, value / total / 10) for name, value in rows), ("whole path", 1000 * total, 100.0)],
        )
    )
    report.notes.append(
        f"{ROUNDS} rounds over all pictures, whole path and stages in turn; medians. Gallery: {GALLERY_PERSONS:,} "
        f"generated persons with {EXEMPLARS} pictures each. Up to {MOST_COMPARED} faces of a picture are embedded."
    )


async def _wait(report: Report) -> None:
    """Uploads one at a time through the stack; then the same events through the handler, in this process."""
    ratios, rows = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as service,
        httpx.Client(base_url=service, timeout=30) as api,
    ):
        for name in track(SENT, description="uploads"):
            users = [_send(api, name) for _ in range(UPLOADS)]
            waited = _waits(Settings(), users)[1:]
            compute = await _compute_s(name)
            ratios += [each / compute for each in waited]
            seconds = compute, statistics.median(waited), _p95(waited)
            rows.append((name, *(1000 * each for each in seconds), _p95(waited) / compute))
    report.figures.append(Figure("from acceptance to verdict, p95 / compute", _p95(ratios), "<=", LONGEST_WAIT))
    report.tables.append(
        Table(
            "From acceptance to verdict, milliseconds", ("picture", "compute", "median", "p95", "p95 / compute"), rows
        )
    )
    report.notes.append(
        f"{UPLOADS} uploads of each picture, one at a time, the first left out; from the acceptance noted in the event "
        "to the broker's time of the verdict. Compute is the median of the same handler called in this process, with "
        "the same networks and a folder of objects: wall time, one at a time, no broker."
    )


def _send(api: httpx.Client, name: str) -> str:
    """Upload, and leave time for the verdict; the user."""
    user = uuid.uuid4().hex
    api.post("/v1/avatars", data={"user": user}, files={"file": (name, picture(name).read_bytes())}).raise_for_status()
    deadline = time.monotonic() + WAIT_S
    while api.get(f"/v1/avatars/{user}").json().get("state", "received") == "received":
        if time.monotonic() > deadline:
            sys.exit(f"{name} had no verdict within {WAIT_S} s")
        time.sleep(0.25)
    return user


def _waits(settings: Settings, users: list[str]) -> list[float]:
    """Seconds from each event's acceptance to the broker's time of its verdict, in the order of ``users``."""
    with closing(Wiring(settings)) as wiring:
        told = {
            record.user_id: message.timestamp()[1] / 1000 - record.occurred_at.timestamp()
            for message in read_to_end(settings.kafka, (AVATAR_MODERATED.name,))
            for record in [wiring.codec.decode(message.value() or b"", AvatarModerated)]
        }
    return [told[user] for user in users]


async def _compute_s(name: str) -> float:
    """Median wall time of the handler alone."""
    with closing(Wiring(Settings())) as wiring, tempfile.TemporaryDirectory() as folder:
        bench = AvatarPath(wiring, open_objects(Path(folder).as_uri()))
        await bench.skills.warm()
        offload = Threads(avatar_moderation.concurrency)
        taken = []
        for number in range(UPLOADS):
            event = await stored(bench.objects, picture(name).read_bytes(), f"{name}-{number}")
            began = time.perf_counter()
            await avatar_moderation.handler(
                event,
                objects=bench.objects,
                analyser=bench.analyser,
                avatar_skills=bench.skills,
                avatar_policy=wiring.avatar_policy,
                gallery=bench.gallery,
                offload=offload,
            )
            taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[18]


if __name__ == "__main__":
    main()
