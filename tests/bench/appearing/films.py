"""Films of one member of the gallery and two strangers each, and who is said to appear in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from features.ports import ObjectStore
from models import portrait_faces
from models.content_moderation import Rules
from models.face_detection import Face
from models.face_gallery import GallerySnapshot
from models.media.analysis import MediaAnalyser
from processors.content_moderation import Judges, content_moderation
from processors.runtime.offload import Inline
from schemas.content import ContentModerated
from schemas.media import MediaAnalysed
from tests.bench.appearing.cast import Actor, detector, embedder, galleries
from tests.media.desk import analysed
from tests.media.portrait_videos import film, shown

FRAMES = (2, 3, 3)
"""Frames of the member and of each stranger; all eight are searched."""
SECONDS = 2.0
"""For each: of what looks like one shot a frame is sampled every two seconds."""
RATE = 2
LARGE = 2
"""Films are so many times as large as the frames that are sampled of them."""
LANDSCAPE, PORTRAIT = (416, 234), (234, 416)


@dataclass(frozen=True)
class Condition:
    """How faces are shown.

    Attributes:
        name: For tables.
        side: Shorter side of the face in the sampled frame, px.
        size: Width and height of the sampled frame, px.
        blur: Standard deviation of a Gaussian blur, in sides of the face.
        crf: Quality of x264.
    """

    name: str
    side: float
    size: tuple[int, int] = LANDSCAPE
    blur: float = 0.0
    crf: int = 23


@dataclass(frozen=True, eq=False)
class Film:
    """An analysed film.

    Attributes:
        member: Who of the gallery appears.
        event: What media_analysis said.
    """

    member: Actor
    event: MediaAnalysed


class Finds(Protocol):
    """What content_moderation asks of a detector."""

    version: str

    def detect(self, image: np.ndarray) -> list[Face]: ...


class Plain:
    """The detector as it is."""

    version = "plain"

    def detect(self, image: np.ndarray) -> list[Face]:
        return detector().detect(image)


class Edge:
    """A frame without a face is looked at again with an edge round it."""

    version = "edge"

    def detect(self, image: np.ndarray) -> list[Face]:
        return portrait_faces.find(detector(), image)


class Tiles:
    """Frames are blown up to the size from which the detector also looks at tiles."""

    version = "tiles"
    SIDE = 560

    def detect(self, image: np.ndarray) -> list[Face]:
        scale = self.SIDE / max(image.shape[:2])
        large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        return [_shrunk(face, scale) for face in detector().detect(np.asarray(large, dtype=np.uint8))]


class Nobody:
    """No detector: what content_moderation costs without faces."""

    version = "nobody"

    def detect(self, image: np.ndarray) -> list[Face]:
        return []


class Held:
    """A gallery that is there already."""

    def __init__(self, snapshot: GallerySnapshot) -> None:
        self._snapshot = snapshot

    def snapshot(self) -> GallerySnapshot:
        return self._snapshot


class NoNudity:
    """Stands for the network that judges nudity, which says nothing of who appears."""

    version = "none"

    def score(self, frames: np.ndarray) -> np.ndarray:
        return np.zeros(len(frames), np.float32)


class NoVersion:
    """Stands for the judge of texts: these films have none."""

    version = "none"


def _shrunk(face: Face, scale: float) -> Face:
    points = tuple((x / scale, y / scale) for x, y in face.keypoints)
    return Face(face.x / scale, face.y / scale, face.width / scale, face.height / scale, face.score, points)


def drawn(actors: Sequence[Actor], condition: Condition) -> bytes:
    """The film's file; a face moves a little from frame to frame."""
    size = (condition.size[0] * LARGE, condition.size[1] * LARGE)
    side = LARGE * condition.side
    scenes = []
    for actor, frames in zip(actors, FRAMES, strict=True):
        for number in range(frames):
            frame = shown(actor.image, actor.face, side, size, 0.15 * (number - 1))
            sigma = condition.blur * side
            scenes.append((cv2.GaussianBlur(frame, (0, 0), sigma) if sigma else frame, SECONDS))
    return film(scenes, size, condition.crf, RATE)


def casts(members: Sequence[Actor], strangers: Sequence[Actor]) -> list[tuple[Actor, Actor, Actor]]:
    """One member and two strangers for each film: every stranger once."""
    both = zip(strangers[::2], strangers[1::2], strict=True)
    return [(members[number % len(members)], one, other) for number, (one, other) in enumerate(both)]


async def shot(
    chosen: Sequence[tuple[Actor, Actor, Actor]], condition: Condition, objects: ObjectStore, analyser: MediaAnalyser
) -> list[Film]:
    """The films, through the sandbox."""
    return [Film(actors[0], await analysed(objects, analyser, drawn(actors, condition), "video")) for actors in chosen]


async def told(event: MediaAnalysed, objects: ObjectStore, gallery: GallerySnapshot, finds: Finds) -> ContentModerated:
    """What content_moderation says; texts and nudity are left out."""
    unused: Any = None
    judges = Judges(NoNudity(), finds, embedder(), unused, NoVersion())  # type: ignore[arg-type]
    emits = await content_moderation.handler(
        event, objects=objects, judges=judges, gallery=Held(gallery), moderation_rules=Rules(), offload=Inline()
    )
    record = next(iter(emits)).record
    assert isinstance(record, ContentModerated)
    return record


async def named(films: Sequence[Film], objects: ObjectStore, finds: Finds) -> list[dict[str, float]]:
    """For each film the likeness of whoever is the most alike of all to one of its faces, by name."""
    found = []
    for each in films:
        # threshold -1: everybody is told, so that the thresholds can be tried afterwards
        record = await told(each.event, objects, galleries(-1.0)[each.member.fold], finds)
        found.append({person.person: person.likeness for person in record.people})
    return found
