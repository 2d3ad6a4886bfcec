"""From an upload's acceptance until it can be recommended, on an idle system, against its stages' own compute time.

``python -m tests.bench.recallable [--bundle FOLDER]``. The product's own stack runs as ``make up`` starts it, with the
bundle's version in use. Each file of the demo is uploaded alone; the service itself notes when the item came into the
snapshot that recall searches. The same files then go through the same handlers, called one after the other in this
process with the same models and object store: what the stages themselves take.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.progress import track

from infra.demo.material import Item, collect
from models.bundled_recommender import BundledRecommender
from models.ranker import RankingWeights
from models.recommender_bundle import open_bundle
from processors.runtime.settings import Settings
from processors.runtime.topic_scan import read_to_end
from schemas.topics import ITEM_MAPPED
from tests.bench.learned_reads import BUNDLE
from tests.bench.report import Figure, Report, Table
from tests.bench.uploading.stack import WAIT_S, memory, put_in_use, running
from tests.bench.uploading.stages import LEARNED, STAGES, WHOLE, Medians, compute_s, medians

KINDS = ("video", "audio", "post", "score", "screenshot")
TIMES = 7
LOOK_S = 0.005
LIMIT = 1.5
LEGS = ("to analysed", "to moderated and embedded", "to published", "to recallable by content")
MAPPED, STORED = (
    "from published to placed by CB2CF in the service",
    "from published to CB2CF's vector in Milvus and Feast",
)


@dataclass(frozen=True)
class Uploaded:
    """One upload that went its way.

    Attributes:
        media_id: Its id.
        placed: When the service placed it in the space of the version in use, seconds after the acceptance.
    """

    media_id: str
    placed: float


@dataclass(frozen=True)
class Measured:
    """What was measured of one kind.

    Attributes:
        elapsed: Parts of the way of each upload but the first, seconds.
        compute: Median of each stage alone, seconds.
    """

    elapsed: list[Medians]
    compute: Medians

    @property
    def medians(self) -> Medians:
        """Of the parts of the way."""
        return medians(self.elapsed)

    def ratios(self, whole: str) -> list[float]:
        """Of each upload: all of one way, of the compute of its stages."""
        return [each[whole] / self.compute[whole] for each in self.elapsed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    bundle = parser.parse_args().bundle
    recommender = BundledRecommender(open_bundle(bundle), RankingWeights())
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as service:
        put_in_use(bundle, recommender.version, service)
        items = _one_of_each(Path(folder) / "material")
        idle = memory()
        found: dict[str, Measured] = {}
        with httpx.Client(base_url=service, timeout=30) as api:
            for item in items:
                uploads = [_upload_placed(api, item) for _ in track(range(TIMES), description=item.kind)]
                stored = _stored_at(Settings(), api, [each.media_id for each in uploads])
                legs = [_learned_legs(_steps(api, each.media_id), each, stored[each.media_id]) for each in uploads[1:]]
                document = api.get(f"/v1/media/{uploads[0].media_id}").json()
                found[item.kind] = Measured(legs, asyncio.run(compute_s(document, recommender, TIMES)))
        busy = memory()
    _report(recommender.version, items, found, idle, busy).publish()


def _one_of_each(folder: Path) -> list[Item]:
    found = collect(folder, lambda _: None)
    return [next(i for i in found if i.kind == kind and i.end == "published" and i.file) for kind in KINDS]


def _upload(api: httpx.Client, item: Item) -> str:
    """Upload and wait until it is recallable and indexed, so that the next begins on an idle system."""
    media_id = _send(api, item)
    _settle(api, item, media_id)
    return media_id


def _upload_placed(api: httpx.Client, item: Item) -> Uploaded:
    """The same, and when the service had placed it. It is asked for that from the publication on only."""
    media_id = _send(api, item)
    deadline = time.monotonic() + WAIT_S
    with api.stream("GET", f"/v1/media/{media_id}/events") as told:
        next(line for line in told.iter_lines() if '"state":"published"' in line)
    while not api.get(f"/v1/explanations/{media_id}", params={"user": "bench"}).is_success:
        if time.monotonic() > deadline:
            sys.exit(f"{item.key} was not placed within {WAIT_S} s: does the version know this content version?")
        time.sleep(LOOK_S)
    placed = datetime.now(UTC)
    _settle(api, item, media_id)
    return Uploaded(media_id, (placed - _accepted(api, media_id)).total_seconds())


def _send(api: httpx.Client, item: Item) -> str:
    form = {"kind": item.kind, "uploader": "bench", "title": item.title, "text": item.text, "tags": ",".join(item.tags)}
    assert item.file
    file = {"file": (item.sent_as or item.file.name, item.file.read_bytes())}
    answer = api.post(
        "/v1/uploads",
        data={name: value for name, value in form.items() if value},
        files=file,
        headers={"Idempotency-Key": uuid.uuid4().hex},
    )
    answer.raise_for_status()
    return str(answer.json()["media_id"])


def _settle(api: httpx.Client, item: Item, media_id: str) -> None:
    deadline = time.monotonic() + WAIT_S
    # seldom, so that asking does not take what it measures; the service keeps the times
    while not {"recallable", "item_indexing"} <= _steps(api, media_id).keys():
        if time.monotonic() > deadline:
            sys.exit(f"{item.key} was not recallable within {WAIT_S} s: {api.get(f'/v1/media/{media_id}').json()}")
        time.sleep(1.0)


def _accepted(api: httpx.Client, media_id: str) -> datetime:
    return datetime.fromisoformat(api.get(f"/v1/media/{media_id}").json()["timeline"][0]["at"])


def _stored_at(settings: Settings, api: httpx.Client, media_ids: list[str]) -> dict[str, float]:
    """When `item_mapping` told that Milvus and Feast have the vectors, seconds after the acceptance."""
    told = {
        (message.key() or b"").decode(): datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        for message in read_to_end(settings.kafka, (ITEM_MAPPED.name,))
    }
    return {each: (told[each] - _accepted(api, each)).total_seconds() for each in media_ids}


def _steps(api: httpx.Client, media_id: str) -> dict[str, float]:
    """When each stage had its result, and the service the item, seconds after the acceptance."""
    answer = api.get(f"/v1/operations/items/{media_id}")
    steps = answer.json()["timeline"] if answer.is_success else []
    return {"recallable" if each["state"] == "recallable" else each["stage"]: each["after_ms"] / 1000 for each in steps}


def _legs(steps: dict[str, float]) -> dict[str, float]:
    """Seconds of each part of the way, and of all of it."""
    analysed, published = steps["media_analysis"], steps["item_publication"]
    judged = max(steps["content_moderation"], steps["content_embedding"])
    legs = (analysed, judged - analysed, published - judged, steps["recallable"] - published)
    return dict(zip(LEGS, legs, strict=True)) | {WHOLE: steps["recallable"]}


def _learned_legs(steps: dict[str, float], uploaded: Uploaded, stored: float) -> dict[str, float]:
    """The same, and those of the learned path, which ends where both the service and Milvus have the vector."""
    published = steps["item_publication"]
    learned = {MAPPED: uploaded.placed - published, STORED: stored - published}
    return _legs(steps) | learned | {LEARNED: max(uploaded.placed, stored)}


def _where(found: dict[str, Measured]) -> list[list[str | float]]:
    """Milliseconds of each part of the way and of each stage alone, a column for each kind."""
    rows: list[list[str | float]] = []
    elapsed = {kind: each.medians for kind, each in found.items()}
    compute = {kind: each.compute for kind, each in found.items()}
    for what, names, seconds in (("elapsed", (*LEGS, MAPPED, STORED), elapsed), ("compute of", STAGES, compute)):
        rows += [[f"{what} {name}", *(seconds[kind][name] * 1000 for kind in KINDS)] for name in names]
    return rows


def _report(
    version: str, items: list[Item], found: dict[str, Measured], idle: dict[str, float], busy: dict[str, float]
) -> Report:
    learned = [ratio for each in found.values() for ratio in each.ratios(LEARNED)]
    return Report(
        "recallable",
        "From acceptance to the first recommendation",
        "Time from an upload's acceptance until recall finds it on an idle system, against the sum of its stages' own "
        "compute time (analysis, moderation, embedding, publication; for the learned path CB2CF too) for the same file "
        f"in one process. Version `{version}` is in use.",
        [
            Figure("all kinds together, elapsed / compute", _together(found, WHOLE), "<=", LIMIT),
            Figure("worst kind, elapsed / compute", max(_ratios(found, WHOLE).values()), "<=", LIMIT),
            Figure("learned path, p95 of all uploads, elapsed / compute", _p95(learned), "<=", LIMIT),
            Figure("learned path, all kinds together, elapsed / compute", _together(found, LEARNED), "<=", LIMIT),
        ],
        [
            _seconds("Seconds by kind", items, found, WHOLE),
            _seconds("Seconds by kind, by the learned path", items, found, LEARNED),
            Table("Where the time goes, milliseconds", ("", *KINDS), _where(found)),
            Table(
                "Resident memory, MiB",
                ("process", "before", "after the uploads"),
                [(name, idle.get(name), size) for name, size in sorted(busy.items())],
            ),
        ],
        [
            f"Medians of {TIMES - 1} uploads of each file, one at a time, the first left out. The service notes itself "
            "when the item is in its snapshot; asking once a second takes no part in it.",
            "The learned path ends when the service has placed the item by CB2CF, which it is asked for every "
            f"{1000 * LOOK_S:.0f} ms from the publication on, and `item_mapping` has told that Milvus and Feast have "
            "the vector, whichever is later. Both begin with the publication, beside each other and beside the "
            "indexing of the content's vectors.",
            "Moderation and embedding run side by side in the system and one after the other in the denominator. The "
            "way to analysed begins with the owner's note, the receipt and the file, each made durable, and the "
            "broker's ack; every leg has one hop over the broker, and all but the last one round trip to Redis. A "
            "stage's first work after a second of rest is also slower than in the loop of the denominator: its code "
            "and weights are in no cache.",
        ],
    )


def _together(found: dict[str, Measured], whole: str) -> float:
    elapsed = sum(each.medians[whole] for each in found.values())
    return elapsed / sum(each.compute[whole] for each in found.values())


def _ratios(found: dict[str, Measured], whole: str) -> dict[str, float]:
    return {kind: each.medians[whole] / each.compute[whole] for kind, each in found.items()}


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[18]


def _seconds(title: str, items: list[Item], found: dict[str, Measured], whole: str) -> Table:
    rows = [
        (
            f"{item.kind}: {item.title}",
            found[item.kind].compute[whole],
            found[item.kind].medians[whole],
            _ratios(found, whole)[item.kind],
            _p95(found[item.kind].ratios(whole)),
        )
        for item in items
    ]
    return Table(title, ("file", "compute", "elapsed", "elapsed / compute", "its p95"), rows)


if __name__ == "__main__":
    main()
