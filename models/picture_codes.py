"""Machine-readable codes in a picture: QR and bar codes that OpenCV's detectors can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

VERSION = "1"
SIDE = 400
"""Codes are looked for in the picture at most this long, px."""
LARGE = 0.08
"""Share of the picture from which a code is all that it is about."""
SOFT = 0.8
"""Blur for the detector of bar codes, px: it misses bars that are perfectly sharp."""


def code(image: NDArray[np.uint8]) -> float:
    """How surely the picture is one of a code: 0 none, from 0.5 a small one, 1 a large one.

    Args:
        image: uint8 [H, W, 3], RGB.
    """
    scale = min(1.0, SIDE / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    if min(grey.shape) < 24:
        return 0.0
    squares = _read(cv2.QRCodeDetectorAruco().detectAndDecodeMulti(grey))
    bars = _read(cv2.barcode.BarcodeDetector().detectAndDecodeMulti(cv2.GaussianBlur(grey, (0, 0), SOFT)))
    areas = [cv2.contourArea(corners) / grey.size for corners in (*squares, *bars)]
    return 0.5 + 0.5 * min(1.0, max(areas) / LARGE) if areas else 0.0


def _read(answer: Sequence[Any]) -> list[NDArray[np.float32]]:
    """Corners [4, 2] of every code that a detector has read."""
    some, texts, corners = answer[:3]
    return [place for text, place in zip(texts, corners, strict=True) if text] if some else []
