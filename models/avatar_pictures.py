"""What people who review an avatar get to see: pictures of our own encoding, never the uploaded bytes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_crop import side, square
from models.face_detection import Face
from models.media.thumbnail import shrunk
from schemas.errors import BugError

VERSION = "1"
"""Changes whenever the same picture may give other bytes."""

CONTENT_TYPE = "image/jpeg"
SUFFIX = "jpg"
"""JPEG: WebP took 15 to 40 times as long, as much as a network (docs/avatars.md)."""
QUALITY = 88
PREVIEW_SIDE = 640
"""Pixels of the longer side of the whole picture."""
CROP_SIDE = 320
MARGIN = 1.6
"""Side of the crop, in sides of the face's square."""


def preview(image: NDArray[np.uint8]) -> bytes:
    """The whole picture, small, as JPEG.

    Args:
        image: uint8 [H, W, 3], RGB.
    """
    return _encoded(shrunk(image, PREVIEW_SIDE))


def crop(image: NDArray[np.uint8], face: Face) -> bytes:
    """One face with some of what is round it, as JPEG.

    Args:
        image: uint8 [H, W, 3], RGB.
        face: A face of it.
    """
    length = MARGIN * side(face)
    left, top = face.x + (face.width - length) / 2, face.y + (face.height - length) / 2
    return _encoded(square(image, replace(face, x=left, y=top, width=length, height=length), CROP_SIDE))


def _encoded(image: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise BugError(f"a picture of {image.shape} was not encoded", code="picture-encoding")
    return bytes(data)
