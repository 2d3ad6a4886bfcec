"""The part of a picture that holds one face: its square, and the oval inside it."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_detection import Face

OVAL = (0.42, 0.52)
"""Half axes of the oval that stands for a face, across and along, as shares of the square's side."""

_DIAGONAL = math.sqrt(2.0)


def check(image: NDArray[np.uint8], face: Face) -> None:
    """Refuses what has no face to look at.

    Raises:
        ValueError: No uint8 [H, W, 3] picture, or a box that is empty, not finite or outside the picture.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"uint8 [H, W, 3] expected, got {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    box = (face.x, face.y, face.width, face.height)
    inside = face.x < width and face.y < height and face.x + face.width > 0 and face.y + face.height > 0
    if not (np.isfinite(box).all() and min(face.width, face.height) > 0 and inside):
        raise ValueError(f"a face inside {width} x {height} px expected, got {box}")


def side(face: Face) -> float:
    """Side of the square round a face, px."""
    return max(face.width, face.height)


def square(image: NDArray[np.uint8], face: Face, largest: int, reach: float = 1.0) -> NDArray[np.uint8]:
    """The square round a face; what lies outside the picture repeats its edge.

    Args:
        image: uint8 [H, W, 3].
        face: A face of it.
        largest: A longer side is brought down to this length, px; a shorter one stays as it is.
        reach: Side of what is cut out, in sides of the face's own square.

    Returns:
        uint8 [S, S, 3], S <= ``largest``.
    """
    length = max(1, round(side(face) * reach))
    left = round(face.x + face.width / 2 - length / 2)
    top = round(face.y + face.height / 2 - length / 2)
    height, width = image.shape[:2]
    cut = image[max(0, top) : min(height, top + length), max(0, left) : min(width, left + length)]
    missing = (max(0, -top), max(0, top + length - height), max(0, -left), max(0, left + length - width))
    if any(missing):
        cut = np.asarray(cv2.copyMakeBorder(cut, *missing, cv2.BORDER_REPLICATE), np.uint8)
    if length > largest:
        cut = np.asarray(cv2.resize(cut, (largest, largest), interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(cut)


@lru_cache(maxsize=256)
def oval(length: int) -> NDArray[np.bool_]:
    """Where the face is in a square of that side: bool [length, length]."""
    middle = (np.arange(length) + 0.5) / length - 0.5
    across, along = np.meshgrid(middle / OVAL[0], middle / OVAL[1])
    inside: NDArray[np.bool_] = across**2 + along**2 < 1.0
    inside.flags.writeable = False
    return inside


def upright(image: NDArray[np.uint8], face: Face, length: int, reach: float) -> NDArray[np.uint8]:
    """The square round a face, turned so that its eyes are level.

    Args:
        image: uint8 [H, W, 3].
        face: A face of it.
        length: Side of the result, px.
        reach: Its side in sides of the face's square.

    Returns:
        uint8 [length, length, 3]; what lies outside the picture repeats its edge.
    """
    right_eye, left_eye = face.keypoints[:2]
    angle = math.atan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0])
    # the corners of the turned square lie farther out; half again the pixels, lest bilinear sampling skip any
    wide = square(image, face, round(length * 1.5 * _DIAGONAL), reach * _DIAGONAL)
    step = wide.shape[0] / _DIAGONAL / length
    turn = step * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    offset = (wide.shape[0] - 1) / 2 - turn @ np.full(2, (length - 1) / 2)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(
        wide, np.column_stack([turn, offset]), (length, length), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(turned, np.uint8)
