"""Likenesses of the real faces that packages ship."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from PIL import Image

from infra.demo.faces import PICTURES, picture
from models.face_detection import FaceDetector
from models.face_embedding import DlibFaceEmbedder
from models.weights import BUILT
from processors.tools.gallery.selection import centroid
from tests.bench.galleries.mixture import Vectors

LEAST_SIDE = 40.0
"""Smaller faces are left out, px."""
PHOTOGRAPHS = ("obama-1", "obama-2", "obama-3")
"""Different photographs of one person; two more are parts of the first."""


@dataclass(frozen=True)
class Real:
    """Likenesses of real faces, float32.

    Attributes:
        faces: How many faces.
        same: Of two photographs of one person, parts of them included.
        left_out: Of each photograph to the person's others, their mean included.
        strangers: Of two persons: two faces of one picture, or of pictures from different sources.
    """

    faces: int
    same: Vectors
    left_out: Vectors
    strangers: Vectors


@dataclass(frozen=True, eq=False)
class _Found:
    """One face: the picture it is on, whom it shows as far as is known, and its vector."""

    picture: str
    source: str
    person: str
    vector: Vectors


def real_faces() -> Real:
    """Every pair of faces of which it is known whether they are one person's."""
    detector, embedder = FaceDetector(), DlibFaceEmbedder(folder=BUILT)
    found = [face for name in PICTURES for face in _faces(name, detector, embedder)]
    pairs = [(one, other, float(one.vector @ other.vector)) for one, other in combinations(found, 2)]
    same = [likeness for one, other, likeness in pairs if one.person and one.person == other.person]
    strangers = [
        likeness
        for one, other, likeness in pairs
        # the same women may be on several pictures of a group
        if one.source != other.source or (one.picture == other.picture and not one.person)
    ]
    own = np.stack([face.vector for face in found if face.picture in PHOTOGRAPHS])
    others = [np.delete(own, at, axis=0) for at in range(len(own))]
    left_out = [(np.vstack([rest, centroid(rest)]) @ own[at]).max() for at, rest in enumerate(others)]
    return Real(len(found), *(np.array(values, np.float32) for values in (same, left_out, strangers)))


def _faces(name: str, detector: FaceDetector, embedder: DlibFaceEmbedder) -> list[_Found]:
    told = PICTURES[name]
    if not told.faces:
        return []
    image = np.asarray(Image.open(picture(name)).convert("RGB"))
    faces = [face for face in detector.detect(image) if min(face.width, face.height) >= LEAST_SIDE]
    source = told.person or name.partition("-")[0]
    return [_Found(name, source, told.person, vector) for vector in embedder.embed(image, faces)]
