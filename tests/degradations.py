"""Pictures of faces made worse by a known amount, for tests and benches.

Each generator takes a picture, its face and a level, and gives the picture made worse; level 0 (or the first of
``LEVELS``) leaves it as good as it was. They share no code with what the networks were trained on
(``models.training.material``), and the masks are photographed ones (``infra.demo.faces``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from PIL import Image

from infra.demo.faces import picture
from models.face_detection import Face

AVATAR = 512
"""Longest side of an avatar that is cut out, px."""
Picture = np.ndarray
Cover = Callable[[float], np.ndarray]

_FINE = 240
"""Points of the face's own grid, which reaches 0.8 sides of its square each way."""
_REACH = 0.8


@dataclass(frozen=True)
class Degradation:
    """A way to make a picture worse.

    Attributes:
        name: For tables.
        unit: What the levels are.
        score: Field of ``FaceQuality`` or ``PictureKind`` that must follow.
        rises: Whether the score rises with the level.
        levels: From good to bad.
        make: Picture, face and level to the worse picture.
    """

    name: str
    unit: str
    score: str
    rises: bool
    levels: tuple[float, ...]
    make: Callable[[Picture, Face, float], Picture]


def avatar(image: Picture, face: Face, reach: float = 2.4) -> Picture:
    """The square of ``reach`` sides round a face, as an app would cut it: at most ``AVATAR`` px, inside the picture."""
    length = min(round(side(face) * reach), *image.shape[:2])
    left = int(np.clip(round(face.x + face.width / 2 - length / 2), 0, image.shape[1] - length))
    top = int(np.clip(round(face.y + face.height / 2 - length / 2), 0, image.shape[0] - length))
    cut = image[top : top + length, left : left + length]
    if length > AVATAR:
        cut = cv2.resize(cut, (AVATAR, AVATAR), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(cut)


def side(face: Face) -> float:
    return max(face.width, face.height)


def blur(image: Picture, face: Face, level: float) -> Picture:
    """Gaussian whose standard deviation is ``level`` sides of the face."""
    return cv2.GaussianBlur(image, (0, 0), level * side(face)) if level else image


def noise(image: Picture, face: Face, level: float) -> Picture:
    """White noise of ``level`` grey levels in each colour."""
    random = np.random.default_rng(5)
    return np.clip(image + random.normal(0, 1, image.shape) * level, 0, 255).astype(np.uint8)


def darkness(image: Picture, face: Face, level: float) -> Picture:
    """``level`` stops less light (gamma 2.2), in eight bits."""
    return np.round(255 * (image / 255.0) * 2 ** (-level / 2.2)).astype(np.uint8)


def rotation(image: Picture, face: Face, level: float) -> Picture:
    """Turned by ``level`` degrees about the face; what comes in is grey."""
    centre = (face.x + face.width / 2, face.y + face.height / 2)
    turn = cv2.getRotationMatrix2D(centre, -level, 1.0)
    return cv2.warpAffine(image, turn, image.shape[1::-1], borderMode=cv2.BORDER_CONSTANT, borderValue=(110, 110, 110))


def tiny(image: Picture, face: Face, level: float) -> Picture:
    """The whole picture so small that the face has ``level`` px; never larger than it was."""
    scale = min(1.0, level / side(face))
    size = tuple(max(1, round(length * scale)) for length in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def upscaled(image: Picture, face: Face, level: float) -> Picture:
    """``tiny``, blown up again to the size it had."""
    return cv2.resize(tiny(image, face, level), image.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def jpeg(image: Picture, face: Face, level: float) -> Picture:
    """JPEG of quality ``level``."""
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(level)])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def screen(image: Picture, face: Face, level: float) -> Picture:
    """Photographed from a screen: border, perspective, lines of the screen, moire, gamma; ``level`` 0..1."""
    if not level:
        return image
    height, width = image.shape[:2]
    shown = (image / 255.0) ** (1.0 + 0.3 * level)
    down, right = np.mgrid[0:height, 0:width]
    lines = 1.0 - 0.35 * level * (np.sin(2 * np.pi * down / 3.1) > 0)
    beat = 1.0 + 0.12 * level * np.sin(2 * np.pi * (right * 0.93 + down * 0.11) / 2.7) * np.cos(2 * np.pi * right / 41)
    rim = round(0.04 * level * width)
    framed = cv2.copyMakeBorder(
        shown * (lines * beat)[..., None], rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=(0.02, 0.02, 0.02)
    )
    tall, wide = framed.shape[:2]
    corners = np.array([(0, 0), (wide, 0), (wide, tall), (0, tall)], np.float32)
    shift = 0.05 * level * np.array([(1.0, 0.6), (-0.4, 1.0), (-1.0, -0.5), (0.7, -1.0)]) * (wide, tall)
    bent = cv2.getPerspectiveTransform(corners, (corners + shift).astype(np.float32))
    seen = cv2.warpPerspective(
        framed, bent, (wide, tall), borderMode=cv2.BORDER_CONSTANT, borderValue=(0.35, 0.33, 0.3)
    )
    return np.clip(seen * 255, 0, 255).astype(np.uint8)


def mask(image: Picture, face: Face, level: float) -> Picture:
    """A surgical mask, photographed, over the lower ``level`` of the face's oval."""
    return _covered(image, face, level, _mask, _mask_surface())


def sunglasses(image: Picture, face: Face, level: float) -> Picture:
    """Dark glasses, larger and larger, with a reflection."""
    surface = (
        np.full((_FINE, _FINE, 3), 24.0) + 60.0 * np.clip(1.0 - np.abs(_ACROSS + _ALONG + 0.1) * 9, 0, 1)[..., None]
    )
    return _covered(image, face, level, _sunglasses, surface)


def hand(image: Picture, face: Face, level: float) -> Picture:
    """A hand of the person's own colour, its fingers apart by a shade, from below."""
    box = image[max(0, int(face.y)) : int(face.y + face.height), max(0, int(face.x)) : int(face.x + face.width)]
    skin = np.median(box.reshape(-1, 3), axis=0)
    shade = 0.78 + 0.22 * np.abs(np.sin(np.pi * _ACROSS / 0.17))
    return _covered(image, face, level, _hand, skin * shade[..., None] * (1.0 - 0.15 * _ALONG[..., None]))


def phone(image: Picture, face: Face, level: float) -> Picture:
    """A dark telephone with its lenses, from the side."""
    surface = np.full((_FINE, _FINE, 3), 38.0) + 10.0 * _ALONG[..., None]
    surface[(np.hypot(_ACROSS - 0.28, _ALONG + 0.12) < 0.06)] = 90.0
    return _covered(image, face, level, _phone, surface)


_CENTRES = ((np.arange(_FINE) + 0.5) / _FINE - 0.5) * 2 * _REACH
_ACROSS, _ALONG = np.meshgrid(_CENTRES, _CENTRES)
OVAL = (_ACROSS / 0.42) ** 2 + (_ALONG / 0.52) ** 2 < 1.0


def _mask(size: float) -> np.ndarray:
    top = 0.55 - 1.1 * size
    return (top + 0.25 * _ACROSS**2 < _ALONG) & (np.abs(_ACROSS) < 0.5 - 0.3 * np.clip(_ALONG - 0.25, 0, 1))


def _sunglasses(size: float) -> np.ndarray:
    half = 0.34 * size
    lenses = (
        (np.abs(np.abs(_ACROSS) - 0.18) / (half * 1.1 + 1e-6)) ** 4 + (np.abs(_ALONG + 0.13) / (half + 1e-6)) ** 4
    ) < 1
    return lenses | ((np.abs(_ALONG + 0.15) < 0.02) & (np.abs(_ACROSS) < 0.42) & (size > 0))


def _hand(size: float) -> np.ndarray:
    tip = 0.6 - 1.15 * size + 0.06 * np.cos(2 * np.pi * _ACROSS / 0.34)
    return (tip < _ALONG) & (np.abs(_ACROSS + 0.03) < 0.34)


def _phone(size: float) -> np.ndarray:
    edge = 0.5 - 0.95 * size
    return (edge < _ACROSS) & (edge + 0.75 > _ACROSS) & (np.abs(_ALONG) < 0.62)


@cache
def _mask_surface() -> np.ndarray:
    with Image.open(picture("mask-blue")) as opened:
        flat = np.asarray(opened.convert("RGB"))
    cut = flat[flat.shape[0] // 10 : -flat.shape[0] // 10, flat.shape[1] // 20 : -flat.shape[1] // 20]
    return cv2.resize(cut, (_FINE, _FINE), interpolation=cv2.INTER_AREA).astype(np.float64)


def _covered(image: Picture, face: Face, share: float, shape: Cover, surface: np.ndarray) -> Picture:
    """Lays the shape of which ``share`` of the oval is covered over the face."""
    if share <= 0.0:
        return image
    low, high = 0.0, 1.6
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (middle, high) if shape(middle)[OVAL].mean() < share else (low, middle)
    right_eye, left_eye = face.keypoints[:2]
    angle = math.atan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0])
    step = side(face) * 2 * _REACH / _FINE
    turn = step * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = np.array([face.x + face.width / 2, face.y + face.height / 2])
    place = np.column_stack([turn, centre - turn @ np.full(2, _FINE / 2)])
    soft = cv2.GaussianBlur(shape(high).astype(np.float32), (0, 0), 0.8)
    size = image.shape[1::-1]
    alpha = cv2.warpAffine(soft, place, size, flags=cv2.INTER_LINEAR)[..., None]
    over = cv2.warpAffine(surface.astype(np.float32), place, size, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(image * (1 - alpha) + over * alpha, 0, 255).astype(np.uint8)


def blurred_noise(image: Picture, face: Face, level: float) -> Picture:
    """``noise`` over a face that is blurred by 0.03 of its side."""
    return noise(blur(image, face, 0.03), face, level)


_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
DEGRADATIONS = (
    Degradation(
        "blur", "sides of the face", "sharpness", False, (0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.05), blur
    ),
    Degradation("noise", "grey levels", "sharpness", False, (0.0, 5.0, 10.0, 20.0, 40.0, 60.0), noise),
    Degradation("upscaled", "px the face had", "sharpness", False, (128.0, 64.0, 48.0, 32.0, 24.0, 16.0), upscaled),
    Degradation("JPEG", "quality", "sharpness", False, (95.0, 40.0, 25.0, 20.0, 15.0, 10.0, 5.0), jpeg),
    Degradation("darkness", "stops", "brightness", False, (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0), darkness),
    Degradation("tiny face", "px", "side_px", False, (128.0, 96.0, 80.0, 64.0, 56.0, 48.0, 40.0, 32.0), tiny),
    Degradation("rotation", "degrees", "roll_deg", True, (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0), rotation),
    Degradation("mask", "share of the face", "occlusion", True, _SHARES, mask),
    Degradation("sunglasses", "share of the face", "occlusion", True, _SHARES, sunglasses),
    Degradation("hand", "share of the face", "occlusion", True, _SHARES, hand),
    Degradation("phone", "share of the face", "occlusion", True, _SHARES, phone),
    Degradation("screen", "strength", "screen", True, (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0), screen),
)
"""What the bench goes through."""
