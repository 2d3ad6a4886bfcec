"""A small picture of an item for lists, drawn from the arrays of its decode pass.

The uploaded bytes are not looked at: what is encoded are pixels and samples that the sandboxed child has already
turned into plain arrays, so that nothing of an upload's own encoding reaches a browser.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from models.media.facts import Arrays
from schemas.errors import BugError

THUMBNAIL_VERSION = "1"
"""Changes whenever the same arrays give another picture."""

THUMBNAIL_TYPE = "image/webp"
LONG_SIDE = 160
"""Pixels of a thumbnail's longer side; smaller frames keep their size."""
QUALITY = 78
WAVE_SIZE = (96, 160)
"""Height and width of a waveform, pixels."""
WAVE_STEP = 4
"""Pixels from one bar of a waveform to the next."""
WAVE_GROUND, WAVE_BAR = (47, 36, 33), (222, 178, 120)
"""Colours as BGR; readable on light and dark pages."""

Image = NDArray[np.uint8]


def thumbnail(arrays: Arrays) -> bytes | None:
    """The picture, WebP: a telling frame, otherwise the waveform of the sound; None if there is neither.

    Args:
        arrays: Of ``models.media.facts.ARRAYS``; ``frames`` (uint8 [N, H, W, 3], RGB) and ``pcm`` (int16 [S]) are used.
    """
    if len(arrays["frames"]):
        return _encoded(shrunk(telling_frame(arrays["frames"])[:, :, ::-1], LONG_SIDE))
    if len(arrays["pcm"]):
        return _encoded(waveform(arrays["pcm"]))
    return None


def picture(frame: Image) -> bytes:
    """One frame as WebP, its size kept.

    Args:
        frame: uint8 [H, W, 3], RGB.
    """
    return _encoded(np.ascontiguousarray(frame[:, :, ::-1]))


def telling_frame(frames: Image) -> Image:
    """The frame whose brightness varies most: no black opening, no plain title card.

    Args:
        frames: uint8 [N, H, W, 3], N at least 1.
    """
    spread = [float(frame.mean(axis=2).std()) for frame in frames]
    found: Image = frames[int(np.argmax(spread))]
    return found


def waveform(pcm: NDArray[np.int16]) -> Image:
    """Bars of the RMS level of equal stretches of time, the loudest at full height.

    Args:
        pcm: int16 [S], S at least 1.

    Returns:
        uint8 [96, 160, 3], BGR.
    """
    height, width = WAVE_SIZE
    picture: Image = np.full((height, width, 3), WAVE_GROUND, np.uint8)
    count = width // WAVE_STEP
    edges = np.linspace(0, len(pcm), count + 1).astype(np.int64).tolist()
    levels = np.array([_level(pcm[start : max(end, start + 1)]) for start, end in pairwise(edges)])
    halves = np.maximum(1, levels / max(1.0, levels.max()) * (height / 2 - 6)).astype(int)
    for place, half in enumerate(halves.tolist()):
        left = place * WAVE_STEP + 1
        picture[height // 2 - half : height // 2 + half, left : left + WAVE_STEP - 2] = WAVE_BAR
    return picture


def _level(pcm: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(np.square(pcm.astype(np.float64))))) if len(pcm) else 0.0


def shrunk(image: Image, long_side: int) -> Image:
    """A picture at most ``long_side`` pixels wide and high, area-averaged; smaller ones keep their size.

    Args:
        image: uint8 [H, W, 3].
        long_side: Pixels.
    """
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(image)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _encoded(image: Image) -> bytes:
    done, data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    if not done:
        raise BugError(f"a picture of {image.shape} was not encoded", code="thumbnail-encoding")
    return bytes(data)
