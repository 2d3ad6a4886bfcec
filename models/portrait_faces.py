"""Faces of a picture that should show one: also a face that fills its picture.

The detector was made for faces some way off and misses such a face, and "no face" would be the
wrong thing to tell who uploaded it. So a picture without a face is looked at again with an edge
round it. Pictures that lie on their side are not turned: tried on pictures without a face, that took
a cup of coffee for one at a score of 0.77.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_detection import MIN_SCORE_IN_TILE, Face, FaceDetector

CLOSE_SIDE = 256
"""Longer side of a picture before it gets an edge, px: with the edge it still needs no tiles."""


def find(detector: FaceDetector, image: NDArray[np.uint8]) -> list[Face]:
    """Faces of one picture, best first.

    Args:
        detector: Finds the faces; asked a second time, for a small picture, when it finds none.
        image: uint8 [H, W, 3], RGB.

    Returns:
        Faces in pixels of ``image``; parts may lie outside.

    Raises:
        ValueError: Not such an array, or a side of zero.
    """
    return detector.detect(image) or _close(detector, image)


def _close(detector: FaceDetector, image: NDArray[np.uint8]) -> list[Face]:
    """Looks at the picture with a black edge of half its longer side; such an answer must be surer."""
    height, width = image.shape[:2]
    scale = min(1.0, CLOSE_SIDE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    edge = max(size) // 2
    wide = cv2.copyMakeBorder(small, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    x, y = width / size[0], height / size[1]

    def back(point: tuple[float, float]) -> tuple[float, float]:
        return (point[0] - edge) * x, (point[1] - edge) * y

    return [
        Face(*back((face.x, face.y)), face.width * x, face.height * y, face.score, tuple(map(back, face.keypoints)))
        for face in detector.detect(np.asarray(wide, dtype=np.uint8))
        if face.score >= MIN_SCORE_IN_TILE
    ]
