"""Who appears in an upload: public figures of the gallery among the faces of its sampled pictures.

Pure: faces and matches in, appearances out. Faces of people who are in no gallery leave no trace but their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.face_detection import Face
from schemas.common import Appearance

VERSION = "1"

PICTURES = 8
"""Pictures of an upload that are searched for faces, evenly spread; a person is seldom in one of sixteen alone."""
EMBEDDED = 12
"""Faces of an upload that are compared with the gallery, the largest of each picture first."""
LEAST_SIDE = 24.0
"""Shorter side of a face, as the detector measures it, from which it is compared, px: smaller ones are hardly more like
their own person than like somebody else (docs/bench/media_people.md)."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face that is a public figure's.

    Attributes:
        picture: Number of the sampled picture.
        person: Name in the gallery.
        likeness: Cosine, -1..1.
    """

    picture: int
    person: str
    likeness: float


def spread(count: int) -> list[int]:
    """Numbers of at most ``PICTURES`` of ``count`` pictures, first and last among them."""
    return sorted({round(float(place)) for place in np.linspace(0, count - 1, min(count, PICTURES))}) if count else []


def worth_comparing(faces: Sequence[tuple[int, Face]]) -> list[tuple[int, Face]]:
    """The faces to compare with the gallery: the largest of each picture, then the second largest, and so on.

    Args:
        faces: Number of the picture and face, in any order.
    """
    large = [(number, face) for number, face in faces if min(face.width, face.height) >= LEAST_SIDE]
    ranks: dict[int, int] = {}
    ordered: list[tuple[int, int, Face]] = []
    for number, face in sorted(large, key=lambda each: (-each[1].width * each[1].height, each[0], each[1].x)):
        ranks[number] = ranks.get(number, -1) + 1
        ordered.append((ranks[number], number, face))
    ordered.sort(key=lambda each: each[0])
    return [(number, face) for _, number, face in ordered[:EMBEDDED]]


def appearances(sightings: Sequence[Sighting], times_ms: NDArray[np.int64]) -> tuple[Appearance, ...]:
    """One entry a person, most alike first.

    Args:
        sightings: In any order.
        times_ms: int64 [N], place of each sampled picture from the start, milliseconds.
    """
    by_person: dict[str, list[Sighting]] = {}
    for each in sightings:
        by_person.setdefault(each.person, []).append(each)
    found = [
        Appearance(
            person=person,
            likeness=max(each.likeness for each in seen),
            pictures=len({each.picture for each in seen}),
            first_ms=int(min(times_ms[each.picture] for each in seen)),
        )
        for person, seen in by_person.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.likeness, each.person)))
