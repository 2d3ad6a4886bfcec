"""Faces to train on: those that the detector finds in a folder of pictures.

``python -c "from infra.demo.faces import *; [picture(name) for name in PICTURES]"`` fetches them, and so do tests of
faces; none is committed. Which pictures are kept back for evaluation goes by their names, so that no person of them is
trained on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.face_detection import Face, FaceDetector
from models.portrait_faces import find
from schemas.errors import AppError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


class MaterialError(AppError):
    """Pictures to train on that are not there."""

    code = "training-material-missing"


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture with its faces.

    Attributes:
        name: Name of the file without suffix.
        image: uint8 [H, W, 3], RGB.
        faces: What the detector finds, best first.
    """

    name: str
    image: NDArray[np.uint8]
    faces: tuple[Face, ...]


def photos(folder: Path, names: Iterable[str] | None = None) -> list[Photo]:
    """Every picture of a folder and those below it, by name.

    Args:
        folder: Folder.
        names: Only pictures whose name begins with one of these; None: all.

    Raises:
        MaterialError: There are none.
    """
    detector = FaceDetector()
    wanted = None if names is None else tuple(names)
    found = []
    for path in sorted(folder.rglob("*"), key=lambda each: each.name):
        if path.suffix not in SUFFIXES or not (wanted is None or path.stem.startswith(wanted)):
            continue
        with Image.open(path) as opened:
            image = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        found.append(Photo(path.stem, image, tuple(find(detector, image))))
    if not found:
        raise MaterialError(f"no pictures in {folder}: fetch those of infra.demo.faces")
    return found
