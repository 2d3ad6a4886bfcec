"""Face chips: each face turned upright, scaled and cut out the way a network was trained on.

The transform is the similarity (turn, scale, shift) that brings the detector's keypoints nearest to
where they lie on the average chip, by least squares (Umeyama 1991, without reflection).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.face_detection import Face


@dataclass(frozen=True, slots=True)
class Template:
    """Where keypoints lie on a chip.

    Attributes:
        keypoints: Which keypoints of `Face` are used, by their index.
        places: (x, y) of each, px of the chip.
        side: Side of the chip, px.
    """

    keypoints: tuple[int, ...]
    places: tuple[tuple[float, float], ...]
    side: int


_EYES_AND_MOUTH = (0, 1, 3)
# Unit: the inner box of a dlib chip, without padding. The mean places of BlazeFace's keypoints on the chips that dlib
# 20.0.1 makes with its own five points, over 34 faces of infra.demo.faces. The nose and the ears move too much as a
# head turns: with all six keypoints the nearest two people of docs/bench/face_pairs.md are at 0.344 instead of 0.372.
_PLACES_IN_BOX = ((0.2270, 0.1964), (0.7480, 0.1920), (0.4964, 0.7865))


def dlib_template(side: int, padding: float) -> Template:
    """Chips like those of dlib's get_face_chip.

    Args:
        side: Side of the chip, px.
        padding: Edge around the inner box, as a share of that box, on each side.
    """
    whole = 1.0 + 2.0 * padding
    left, right, mouth = (((x + padding) / whole * side, (y + padding) / whole * side) for x, y in _PLACES_IN_BOX)
    return Template(_EYES_AND_MOUTH, (left, right, mouth), side)


# the 112 px template of InsightFace (Deng et al. 2019, arXiv:1801.07698); of the corners of the mouth their middle
ARCFACE_TEMPLATE = Template(
    keypoints=(0, 1, 2, 3),
    places=((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (56.1396, 92.2848)),
    side=112,
)


def chips(image: NDArray[np.uint8], faces: Sequence[Face], template: Template) -> NDArray[np.uint8]:
    """Cuts out faces.

    Args:
        image: uint8 [H, W, 3], RGB.
        faces: What to cut out, in pixels of ``image``.
        template: Form of the chips.

    Returns:
        uint8 [N, side, side, 3]; black where the chip lies outside of the picture.

    Raises:
        ValueError: Not such an array, or a face without extent or outside of the picture.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"uint8 [H, W, 3] expected, got {image.dtype} {image.shape}")
    found = np.empty((len(faces), template.side, template.side, 3), dtype=np.uint8)
    for row, face in enumerate(faces):
        points = np.array([face.keypoints[index] for index in template.keypoints])
        found[row] = _cut(image, similarity(points, template.places), template.side)
    return found


def similarity(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """The turn, scale and shift that bring points nearest to others.

    Args:
        source: float [K, 2], K >= 2.
        target: float [K, 2].

    Returns:
        float64 [2, 3]: ``target ~ M[:, :2] @ source + M[:, 2]``.

    Raises:
        ValueError: The points of ``source`` or of ``target`` all lie in one place, or are not finite.
    """
    here = np.asarray(source, dtype=np.float64)
    there = np.asarray(target, dtype=np.float64)
    # as complex numbers a turn with scale is one factor
    from_middle = (here - here.mean(axis=0)) @ (1.0, 1.0j)
    to_middle = (there - there.mean(axis=0)) @ (1.0, 1.0j)
    spread = float(np.sum(np.abs(from_middle) ** 2))
    factor = complex(np.vdot(from_middle, to_middle)) / spread if spread > 0.0 else 0j
    if not (np.isfinite(factor) and abs(factor) > 0.0):
        raise ValueError(f"no similarity brings {here.tolist()} to {there.tolist()}")
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    shift = there.mean(axis=0) - turn @ here.mean(axis=0)
    return np.column_stack([turn, shift])


def _cut(image: NDArray[np.uint8], transform: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """One chip. What gets smaller is averaged over areas first, so that fine patterns do not alias."""
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]], dtype=np.float64)
    outline = corners @ cv2.invertAffineTransform(transform).T
    left, top = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 2, 0)
    right, bottom = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 3, image.shape[1::-1])
    if right <= left or bottom <= top:
        raise ValueError(f"the face at {outline.mean(axis=0).round().tolist()} is outside of the picture")
    part = image[top:bottom, left:right]
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    smaller = min(scale, 1.0)
    size = (max(1, round(part.shape[1] * smaller)), max(1, round(part.shape[0] * smaller)))
    # px of the part per px of the shrunk part; pixel centres lie at halves
    step = np.array([part.shape[1] / size[0], part.shape[0] / size[1]])
    matrix = transform.copy()
    matrix[:, 2] += transform[:, :2] @ ((left, top) + step / 2.0 - 0.5)
    matrix[:, :2] *= step
    shrunk = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.warpAffine(shrunk, matrix, (side, side), flags=cv2.INTER_LINEAR), dtype=np.uint8)
