"""Faces in a picture: BlazeFace, full range (Bazarevsky et al. 2019, arXiv:1907.05047; MediaPipe).

The network sees 192 x 192 pixels and has one anchor for each 4 x 4 cell. Its answers overlap, so
they are averaged instead of thinned (the paper's "blending"). Faces that are small in a large
picture vanish at that size, so larger pictures are also looked at in overlapping tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.onnx import CPU, Session, load_session
from models.weights import load

VERSION = "1"
WEIGHTS = "blazeface-full-range"

SIDE = 192
STRIDE = 4
KEYPOINTS = ("right eye", "left eye", "nose tip", "mouth", "right ear", "left ear")
"""The keypoints in order; left and right are the person's."""

MIN_SCORE = 0.6
MIN_SCORE_IN_TILE = 0.7
SAME_FACE_IOU = 0.3
MAX_FACES = 64
TILE_LEVELS = ((560, 2), (1200, 3), (2000, 5))
"""(longest side in pixels from which a level is used, tiles along the longest side)."""
TILE_OVERLAP = 0.25

_LOGIT_LIMIT = 80.0


@dataclass(frozen=True, slots=True)
class Face:
    """One face.

    Attributes:
        x: Left edge, px; may be slightly outside the picture.
        y: Top edge, px.
        width: px.
        height: px.
        score: 0..1.
        keypoints: Six (x, y) in px, in the order of ``KEYPOINTS``.
    """

    x: float
    y: float
    width: float
    height: float
    score: float
    keypoints: tuple[tuple[float, float], ...]


class FaceDetector:
    """Finds faces. May be used by several threads at once.

    Args:
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.

    Raises:
        WeightsError, ProviderError: The weights or the provider are unusable.
    """

    def __init__(self, providers: Sequence[str] = CPU, threads: int = 1, folder: Path | None = None) -> None:
        self._session: Session = load_session(load(WEIGHTS, folder), providers, threads)
        self._anchors = _anchors()

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events."""
        return f"{self._session.weights.label}/{VERSION}"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return self._session.providers

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Faces of one picture, best first.

        Args:
            image: uint8 [H, W, 3], RGB.

        Returns:
            At most ``MAX_FACES`` faces, in pixels of ``image``.

        Raises:
            ValueError: Not such an array, or a side of zero.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ValueError(f"uint8 [H, W, 3] expected, got {image.dtype} {image.shape}")
        rows = [self._look(image)]
        for left, top, right, bottom in tiles(image.shape[1], image.shape[0]):
            found = self._look(image[top:bottom, left:right])
            found = found[found[:, 16] >= MIN_SCORE_IN_TILE]
            found[:, 0:16:2] += left
            found[:, 1:16:2] += top
            rows.append(_whole(found, (left, top, right, bottom), image.shape[1::-1]))
        return [_face(row) for row in blend(np.concatenate(rows))[:MAX_FACES]]

    def _look(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One pass. Rows of 17: left, top, right, bottom, six keypoints (px), score."""
        square, scale, offset = letterbox(image)
        pixels = square[None].astype(np.float32) / 127.5 - 1.0  # [1, 192, 192, 3] in [-1, 1]
        answer = self._session.run(image=pixels)
        logits = answer["scores"].reshape(-1)  # [2304]
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits, -_LOGIT_LIMIT, _LOGIT_LIMIT)))
        kept = scores >= MIN_SCORE
        points = answer["boxes"].reshape(-1, 8, 2)[kept]  # centre, size, six keypoints
        points = points / np.float32(SIDE)
        centres = points[:, 0] + self._anchors[kept]
        half = points[:, 1] / 2.0
        keypoints = points[:, 2:] + self._anchors[kept][:, None]
        corners = np.stack([centres - half, centres + half], axis=1)
        both = np.concatenate([corners, keypoints], axis=1)  # [K, 8, 2] in 0..1 of the square
        both = (both * SIDE - np.asarray(offset, np.float32)) / np.float32(scale)
        rows = np.concatenate([both.reshape(-1, 16), scores[kept, None]], axis=1)
        return rows.astype(np.float32)


def letterbox(
    image: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], float, tuple[int, int]]:
    """Fits a picture into the black square that the network sees.

    Returns:
        uint8 [SIDE, SIDE, 3], pixels of the square per pixel of the picture, (x, y) offset in px.
    """
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=how)
    offset = ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2)
    square = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    square[offset[1] : offset[1] + size[1], offset[0] : offset[0] + size[0]] = small
    return square, scale, offset


def tiles(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Overlapping square tiles (left, top, right, bottom) for a picture of that size, px."""
    longest = max(width, height)
    for least, along in TILE_LEVELS:
        if longest < least:
            continue
        side = round(longest / (along - (along - 1) * TILE_OVERLAP))
        for top, bottom in _spans(height, side):
            for left, right in _spans(width, side):
                yield left, top, right, bottom


def _spans(length: int, side: int) -> list[tuple[int, int]]:
    """Least number of spans of ``side`` that cover ``length`` with the overlap."""
    if length <= side:
        return [(0, length)]
    count = int(np.ceil((length - side) / (side * (1.0 - TILE_OVERLAP)) - 1e-2)) + 1
    starts = np.linspace(0, length - side, count).round().astype(int)
    return [(int(start), int(start) + side) for start in starts]


def _whole(rows: NDArray[np.float32], tile: tuple[int, int, int, int], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Rows whose box is not cut by an inner edge of the tile."""
    left, top, right, bottom = tile
    inside = np.ones(len(rows), dtype=np.bool_)
    if left > 0:
        inside &= rows[:, 0] > left
    if top > 0:
        inside &= rows[:, 1] > top
    if right < size[0]:
        inside &= rows[:, 2] < right
    if bottom < size[1]:
        inside &= rows[:, 3] < bottom
    return rows[inside]


def blend(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted non-maximum suppression: overlapping answers become their mean by score.

    Args:
        rows: float32 [K, 17], four corners, twelve keypoint coordinates, score.

    Returns:
        float32 [F, 17], best first; the score is that of the best answer.
    """
    left = rows[np.argsort(-rows[:, 16], kind="stable")]
    merged: list[NDArray[np.float32]] = []
    while len(left):
        same = _same_face(left[0], left)
        same[0] = True
        group = left[same]
        mean = np.average(group, axis=0, weights=group[:, 16]).astype(np.float32)
        mean[16] = left[0, 16]
        merged.append(mean)
        left = left[~same]
    return np.stack(merged) if merged else np.zeros((0, 17), dtype=np.float32)


def _same_face(best: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    low = np.maximum(best[:2], rows[:, :2])
    high = np.minimum(best[2:4], rows[:, 2:4])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=1)
    area = np.prod(np.clip(rows[:, 2:4] - rows[:, :2], 0.0, None), axis=1)
    own = float(np.prod(np.clip(best[2:4] - best[:2], 0.0, None)))
    union = np.maximum(area + own - shared, 1e-6)
    # a box inside another is the same face seen in a tile and in the whole
    inside = shared / np.maximum(np.minimum(area, own), 1e-6)
    same: NDArray[np.bool_] = (shared / union >= SAME_FACE_IOU) | (inside >= 0.7)
    return same


def _anchors() -> NDArray[np.float32]:
    """Centres of the cells, [2304, 2] as (x, y) in 0..1, row by row."""
    cells = SIDE // STRIDE
    centres = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    x, y = np.meshgrid(centres, centres)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _face(row: NDArray[np.float32]) -> Face:
    x, y, right, bottom = (float(value) for value in row[:4])
    points = row[4:16].reshape(6, 2)
    return Face(
        x=x,
        y=y,
        width=right - x,
        height=bottom - y,
        score=float(row[16]),
        keypoints=tuple((float(px), float(py)) for px, py in points),
    )
