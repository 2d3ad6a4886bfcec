"""CPU time of content_moderation with and without its look at faces."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace

from PIL import Image

from features.ports import ObjectStore
from models.content_moderation import Rules
from models.face_gallery import EMPTY, GallerySnapshot
from models.media.analysis import MediaAnalyser
from models.nsfw import NsfwScorer
from models.text_embedding import TextEncoder
from models.text_moderation import TextModerator
from processors.content_moderation import Judges, content_moderation
from processors.runtime.offload import Inline
from schemas.media import MediaAnalysed
from tests.bench.appearing.cast import Actor, embedder
from tests.bench.appearing.films import PORTRAIT, Condition, Edge, Finds, Held, Nobody, Plain, Tiles, drawn
from tests.media.desk import analysed
from tests.media.portrait_videos import RATE, film, whole_picture

Row = list[str | float | None]
"""Cells of a table."""
TITLE = "An evening at the temple, second take"
ROUNDS = 7
WAYS: Mapping[str, Finds] = {"without faces": Nobody(), "as it is": Plain(), "edge": Edge(), "tiles": Tiles()}


async def uploads(
    actors: tuple[Actor, Actor, Actor], objects: ObjectStore, analyser: MediaAnalyser
) -> dict[str, MediaAnalysed]:
    """Typical uploads by name."""
    person = Image.fromarray(whole_picture("astronaut"))
    shown = {
        "video, a face in each frame": (drawn(actors, Condition("", 96)), "video"),
        "video, nobody": (film([(None, 3.0)] * 8, (832, 468), rate=RATE), "video"),
        "selfie video, 200 px": (drawn(actors, Condition("", 200, PORTRAIT)), "video"),
        "picture of a person": (_jpeg(person), "post"),
        "picture of nobody": (_jpeg(Image.fromarray(whole_picture("temple"))), "post"),
    }
    return {name: await analysed(objects, analyser, data, kind, title=TITLE) for name, (data, kind) in shown.items()}


async def cpu_ms(event: MediaAnalysed, objects: ObjectStore, gallery: GallerySnapshot) -> dict[str, list[float]]:
    """CPU time of the whole stage by way, ms, in rounds that took turns."""
    common = NsfwScorer(), TextEncoder(), TextModerator()
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(ROUNDS + 1):
        for way, finds in WAYS.items():
            judges = Judges(common[0], finds, embedder(), common[1], common[2])  # type: ignore[arg-type]
            # another title each time: nothing is remembered of the last
            upload = replace(event, title=f"{TITLE} {number}")
            started = time.process_time()
            await content_moderation.handler(
                upload,
                objects=objects,
                judges=judges,
                gallery=Held(gallery if way != "without faces" else EMPTY),
                moderation_rules=Rules(),
                offload=Inline(),
            )
            if number:
                taken[way].append(1000 * (time.process_time() - started))
    return taken


def row(name: str, taken: dict[str, list[float]]) -> Row:
    """Median of the whole stage, share of faces, and what the other ways would add to the stage."""
    faces = [1 - bare / whole for bare, whole in zip(taken["without faces"], taken["as it is"], strict=True)]
    more = [
        statistics.median(way / whole - 1 for way, whole in zip(taken[other], taken["as it is"], strict=True))
        for other in ("edge", "tiles")
    ]
    return [name, statistics.median(taken["as it is"]), statistics.median(faces), *more]


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
