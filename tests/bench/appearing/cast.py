"""Who plays in the videos: two men of whom there are several photographs, three of whom there is one, and strangers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from infra.demo.faces import PICTURES, talking_man
from models.face_detection import Face
from models.face_embedding import DlibFaceEmbedder
from models.face_gallery import GallerySnapshot
from models.weights import BUILT
from processors.tools.gallery.selection import centroid
from tests.media.portrait_videos import detector, faces_of, whole_picture

LEAST_PX = 60
"""Shorter side of a face that plays, px; smaller ones have too little in them to be blown up."""
OBAMA = ("obama-1", "obama-2", "obama-3")
ONE_PHOTOGRAPH = ("biden", "astronaut", "hopper")
KNOWN_FRAMES = (0, 3, 5)
"""Frames of the talking man that the gallery holds; the others are looked for."""
STRANGERS = ("zidane", "bus", "six-actors", *(f"group-{number}" for number in range(1, 7)))


@dataclass(frozen=True, eq=False)
class Actor:
    """One face that is put into videos.

    Attributes:
        name: For tables.
        person: Name in the gallery; empty for a stranger.
        image: uint8 [H, W, 3], where the face is from.
        face: The face there.
        fold: Gallery that does not hold this very photograph, where there is one.
    """

    name: str
    person: str
    image: np.ndarray
    face: Face
    fold: int = 0


@cache
def embedder() -> DlibFaceEmbedder:
    return DlibFaceEmbedder(folder=BUILT)


def members() -> list[Actor]:
    """Faces of people who are in the gallery, by other photographs of them."""
    found = [Actor(n, "obama", whole_picture(n), faces_of(n)[0], fold) for fold, n in enumerate(OBAMA)]
    for number, frame in enumerate(talking_man(8)):
        if number not in KNOWN_FRAMES:
            found.append(Actor(f"talking man {number + 1}", "talking-man", frame, detector().detect(frame)[0]))
    return found


def same_photographs() -> list[Actor]:
    """Faces of people of whom the gallery holds the very photograph: what size and damage alone cost."""
    return [Actor(n, n, whole_picture(n), faces_of(n)[0]) for n in ONE_PHOTOGRAPH]


def strangers() -> list[Actor]:
    """Faces of people who are in no gallery."""
    return [
        Actor(f"{name} {number + 1}", "", whole_picture(name), face)
        for name in STRANGERS
        if PICTURES[name].faces
        for number, face in enumerate(faces_of(name))
        if min(face.width, face.height) >= LEAST_PX
    ]


@cache
def galleries(threshold: float) -> tuple[GallerySnapshot, ...]:
    """One gallery for each photograph of the politician, without that one."""
    obama = np.stack([_vector(whole_picture(name), faces_of(name)[0]) for name in OBAMA])
    frames = talking_man(8)
    talking = np.stack([_vector(frames[n], detector().detect(frames[n])[0]) for n in KNOWN_FRAMES])
    single = {name: _vector(whole_picture(name), faces_of(name)[0])[None] for name in ONE_PHOTOGRAPH}
    found = []
    for left_out in range(len(OBAMA)):
        held = {"obama": np.delete(obama, left_out, axis=0), "talking-man": talking, **single}
        rows: list[Any] = []
        vectors: list[np.ndarray] = []
        for person, own in held.items():
            kinds = [*["exemplar"] * len(own), "centroid"]
            rows += [
                SimpleNamespace(id=f"{person}-{n}", person=person, kind=k, picture=None) for n, k in enumerate(kinds)
            ]
            vectors += [*own, centroid(own)]
        everybody = np.stack(vectors).astype(np.float32)
        found.append(GallerySnapshot(f"fold-{left_out}", threshold, embedder().version, rows, everybody))
    return tuple(found)


def _vector(image: np.ndarray, face: Face) -> np.ndarray:
    return embedder().embed(image, [face])[0]
