"""What can be measured of one face in a picture: size, light, sharpness, where it looks, what covers it.

Each measure says how it is made: ``models.face_sharpness``, ``models.face_pose``, ``models.face_occlusion``. The
thresholds at which a picture is refused are not here but in ``models.avatar_moderation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_crop import check, oval, side, square
from models.face_detection import Face
from models.face_occlusion import OcclusionReader
from models.face_pose import pose
from models.face_sharpness import sharpness

VERSION = "1"

LIGHT_SIDE = 96
"""Light is measured on a face of at most this side, px."""
DARK, BRIGHT = 0.05, 0.95
"""Quantiles between which the contrast of a face is told."""


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """Measures of one face.

    Attributes:
        side_px: Longer side of its box, px.
        sharpness: Share of contrast that fine detail of a face keeps, 0..1 (``models.face_sharpness``).
        brightness: Mean luma inside the face's oval, 0 black .. 1 white.
        contrast: Luma from the 5th to the 95th percentile inside the oval, 0..1.
        yaw_deg: Turned to the picture's right, degrees, -180..180 (``models.face_pose``).
        pitch_deg: Turned up, degrees, -90..90.
        roll_deg: Turned clockwise in the picture, degrees, -180..180.
        occlusion: Share of the oval that something covers, 0..1 (``models.face_occlusion``).
    """

    side_px: float
    sharpness: float
    brightness: float
    contrast: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    occlusion: float


def measure(image: NDArray[np.uint8], face: Face) -> FaceQuality:
    """Measures one face.

    Args:
        image: uint8 [H, W, 3], RGB.
        face: A face of it.

    Raises:
        ValueError: No such picture, an empty box or one outside the picture, or keypoints all in one place.
        WeightsError: The weights of ``models.face_occlusion`` are unusable.
    """
    check(image, face)
    angles = pose(face)
    brightness, contrast = light(image, face)
    return FaceQuality(
        side_px=side(face),
        sharpness=sharpness(image, face),
        brightness=brightness,
        contrast=contrast,
        yaw_deg=angles.yaw,
        pitch_deg=angles.pitch,
        roll_deg=angles.roll,
        occlusion=_occlusion().read(image, face),
    )


def version() -> str:
    """Code, and weights of what is not a formula, as it stands in events."""
    return f"face-quality/{VERSION}+{_occlusion().version}"


def light(image: NDArray[np.uint8], face: Face) -> tuple[float, float]:
    """Brightness and contrast of a face; see ``FaceQuality``."""
    grey = cv2.cvtColor(square(image, face, LIGHT_SIDE), cv2.COLOR_RGB2GRAY)
    luma = grey[oval(grey.shape[0])] if min(grey.shape) > 2 else grey.ravel()
    dark, bright = np.quantile(luma, (DARK, BRIGHT))
    return float(luma.mean()) / 255.0, float(bright - dark) / 255.0


@cache
def _occlusion() -> OcclusionReader:
    """A hundred kilobytes and a millisecond: always on the processor, loaded once."""
    return OcclusionReader()
