"""Things that the project draws over faces: masks, dark glasses, fingers, phones, patches of any material.

Faces come as uint8 [160, 160, 3], upright, the middle 100 px of them the square of the detector. What is made of them
are uint8 [64, 64, 3] and the covered share of 16 x 16 cells, for ``models.face_occlusion``. A thin frame of glasses and
a beard are drawn as well, and are no cover.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_occlusion import CELLS, REACH, SIDE

FACE = 160
"""Side of a face that comes in, px; its square is 100 px."""
GRID = 96
REACHED = 1.4
"""The grid that shapes are drawn on, and its side in sides of the face's square."""

Kind = Literal["mask", "glasses", "hand", "phone", "patch"]
Material = Literal["skin", "dark", "light", "colour"]
MATERIALS: dict[Kind, tuple[Material, ...]] = {
    "mask": ("light", "dark", "colour"),
    "glasses": ("dark", "dark", "colour"),
    "hand": ("skin",),
    "phone": ("dark", "light", "dark"),
    "patch": ("skin", "dark", "light", "colour"),
}
KINDS: tuple[Kind, ...] = ("mask", "glasses", "hand", "hand", "phone", "patch", "patch")
COVERED = 0.65
"""Share of the samples with something over the face."""

Random = np.random.Generator
Plane = NDArray[np.float32]

_CENTRES = ((np.arange(GRID) + 0.5) / GRID - 0.5) * REACHED
_X, _Y = np.meshgrid(_CENTRES, _CENTRES)
_OVAL = (_X / 0.42) ** 2 + (_Y / 0.52) ** 2 < 1.0
_STEP = REACHED / GRID * 100
_SHIFT = (-REACHED / 2 + REACHED / GRID / 2) * 100 + FACE / 2 - 0.5
_TO_FACE = np.array([[_STEP, 0.0, _SHIFT], [0.0, _STEP, _SHIFT]])
_BITS = 4
"""Fraction bits of coordinates that OpenCV draws with."""


def sample(face: NDArray[np.uint8], random: Random) -> tuple[NDArray[np.uint8], Plane]:
    """One picture as a camera might take it, and what of it is covered.

    Args:
        face: uint8 [160, 160, 3]; see the module.
        random: Everything that is drawn.

    Returns:
        uint8 [64, 64, 3], float32 [16, 16] in 0..1.
    """
    picture: Plane = face.astype(np.float32)
    if random.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, ::-1])
    skin = np.median(picture[55:120, 40:120].reshape(-1, 3), axis=0)
    covered = np.zeros((GRID, GRID), np.float32)
    chance = random.random()
    if chance > 1.0 - COVERED:
        kind = KINDS[random.integers(len(KINDS))]
        material = MATERIALS[kind][random.integers(len(MATERIALS[kind]))]
        covered = shape_of_share(kind, float(random.uniform(0.04, 0.65)), random)
        picture = _laid(picture, covered, texture(material, skin, random), random.uniform(0.3, 1.0))
    elif chance < 0.07:
        picture = _laid(picture, _frame(random), texture("dark", skin, random), 0.4)
    elif chance < 0.12:
        beard = cv2.GaussianBlur(_beard(random), (0, 0), 3) * random.uniform(0.4, 0.9)
        hair = texture("dark", skin, random) + random.normal(0, 15, (GRID, GRID, 1)).astype(np.float32)
        picture = _laid(picture, beard, hair, 0.5)
    return _taken(picture, covered, random)


def shape_of_share(kind: Kind, share: float, random: Random) -> Plane:
    """A shape of that kind that covers about ``share`` of the oval: float32 [96, 96] of 0 and 1."""
    seed = int(random.integers(2**31))
    low, high = 0.0, 1.3
    for _ in range(9):
        middle = (low + high) / 2
        if (_shape(kind, middle, seed)[_OVAL]).mean() < share:
            low = middle
        else:
            high = middle
    return _shape(kind, high, seed)


def texture(material: Material, skin: NDArray[np.floating], random: Random) -> Plane:
    """A surface: colour, soft shading, grain, sometimes stripes. float32 [96, 96, 3] in 0..255."""
    amount = random.uniform(2.0, 9.0)
    if material == "skin":
        colour = skin * random.uniform(0.75, 1.15) + random.normal(0, 6, 3)
    elif material == "dark":
        colour = random.uniform(5, 45) + random.normal(0, 6, 3)
    elif material == "light":
        colour = random.uniform(180, 245) + random.normal(0, 10, 3)
    else:
        colour = random.uniform(20, 235, 3)
        amount = random.uniform(2, 25)
    coarse = random.normal(0, 1, (3, 3)).astype(np.float32)
    shading = cv2.resize(coarse, (GRID, GRID), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(
        random.normal(0, 1, (GRID, GRID)).astype(np.float32), (0, 0), float(random.uniform(0.5, 4.0))
    )
    surface = colour + ((shading * 1.5 + grain / grain.std() * 0.6) * amount)[..., None]
    if material == "skin" and random.random() < 0.5:
        angle, waves = random.uniform(0, np.pi), random.uniform(4, 9)
        fingers = np.abs(np.sin(np.pi * waves * (np.cos(angle) * _X + np.sin(angle) * _Y)))
        surface = surface * (1.0 - random.uniform(0.05, 0.3) * (1.0 - fingers))[..., None]
    if material == "colour" and random.random() < 0.5:
        angle, waves = random.uniform(0, np.pi), random.uniform(3, 20)
        stripes = np.sign(np.sin(2 * np.pi * waves * (np.cos(angle) * _X + np.sin(angle) * _Y)))
        surface = surface + (stripes * random.uniform(5, 60))[..., None] * random.uniform(0.3, 1.0, 3)
    return np.clip(surface, 0, 255).astype(np.float32)


def _shape(kind: Kind, level: float, seed: int) -> Plane:
    """A shape that grows with the level, the same one for the same seed."""
    random = np.random.default_rng(seed)
    plane = np.zeros((GRID, GRID), np.uint8)
    _DRAWN[kind](plane, level, random)
    return plane.astype(np.float32)


def _mask(plane: NDArray[np.uint8], level: float, random: Random) -> None:
    top = 0.56 - level * 1.15
    left, right = random.uniform(-0.03, 0.08, 2)
    _fill(plane, [(-0.6, top + left), (0, top - 0.03), (0.6, top + right), (0.5, 0.7), (-0.5, 0.7)])


def _glasses(plane: NDArray[np.uint8], level: float, _: Random) -> None:
    radius = level * 0.45
    axes = np.round(np.array([radius * 0.75, radius]) * GRID / REACHED * 2**_BITS).astype(int)
    for x in (-0.17, 0.17):
        cv2.ellipse(plane, _at(x, -0.14), tuple(axes.tolist()), 0, 0, 360, 1, -1, shift=_BITS)
    if level > 0:
        cv2.line(plane, _at(-0.17, -0.16), _at(0.17, -0.16), 1, max(1, int(level * 10)), shift=_BITS)


def _hand(plane: NDArray[np.uint8], level: float, random: Random) -> None:
    angle, width = random.uniform(0, 2 * np.pi), random.uniform(0.045, 0.075)
    towards = np.array([np.cos(angle), np.sin(angle)])
    beside = np.array([-towards[1], towards[0]])
    # closed fingers leave no gaps
    spread = random.uniform(1.8, 2.6)
    for finger in (-1.5, -0.5, 0.5, 1.5):
        tip = towards * (0.75 - level * 0.85 + random.uniform(-0.1, 0.06)) + beside * finger * width * 2.3
        root = towards * 1.1 + beside * finger * width * 2.0
        thick = max(1, int(width * spread * GRID / REACHED))
        cv2.line(plane, _at(*tip), _at(*root), 1, thick, cv2.LINE_8, _BITS)


def _phone(plane: NDArray[np.uint8], level: float, random: Random) -> None:
    angle = random.uniform(0, 2 * np.pi)
    centre = np.array([np.cos(angle), np.sin(angle)]) * (1 - level) * 1.1 + random.normal(0, 0.05, 2)
    half = 0.25 + 0.3 * level
    size = np.array([half * 1.1, half * 2.0])
    turn = np.radians(random.uniform(-40, 40))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size / 2
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    _fill(plane, corners @ rotation.T + centre)


def _patch(plane: NDArray[np.uint8], level: float, random: Random) -> None:
    centre = random.uniform(-0.35, 0.35, 2)
    corners = int(random.integers(5, 10))
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    radius = level * 0.8 * random.uniform(0.7, 1.3, corners)
    _fill(plane, np.column_stack([np.cos(angles), np.sin(angles)]) * radius[:, None] + centre)


_DRAWN = {"mask": _mask, "glasses": _glasses, "hand": _hand, "phone": _phone, "patch": _patch}


def _frame(random: Random) -> Plane:
    plane = np.zeros((GRID, GRID), np.uint8)
    radius, thick = random.uniform(7, 11), int(random.integers(1, 3))
    axes = (int(radius * 1.2 * 2**_BITS), int(radius * 2**_BITS))
    for x in (-0.18, 0.18):
        cv2.ellipse(plane, _at(x, -0.13), axes, 0, 0, 360, 1, thick, cv2.LINE_8, _BITS)
    cv2.line(plane, _at(-0.04, -0.13), _at(0.04, -0.13), 1, thick, cv2.LINE_8, _BITS)
    return plane.astype(np.float32)


def _beard(random: Random) -> Plane:
    jaw = ((_X / 0.4) ** 2 + ((_Y - 0.05) / 0.5) ** 2 < 1.0) & (0.12 + random.uniform(-0.03, 0.08) < _Y)
    mouth = (_X / 0.12) ** 2 + ((_Y - 0.24) / 0.045) ** 2 < 1.0
    return (jaw & ~mouth).astype(np.float32)


def _at(x: float, y: float) -> tuple[int, int]:
    """Place in sides of the face's square from its middle -> OpenCV's fixed point."""
    left, top = ((value / REACHED + 0.5) * GRID * 2**_BITS for value in (x, y))
    return round(left), round(top)


def _fill(plane: NDArray[np.uint8], corners: object) -> None:
    points = (np.asarray(corners, dtype=float) / REACHED + 0.5) * GRID * 2**_BITS
    cv2.fillPoly(plane, [np.round(points).astype(np.int32)], 1, shift=_BITS)


def _laid(picture: Plane, shape: Plane, surface: Plane, soft: float) -> Plane:
    size = (FACE, FACE)
    alpha = cv2.warpAffine(cv2.GaussianBlur(shape, (0, 0), float(soft)), _TO_FACE, size)[..., None]
    over = cv2.warpAffine(surface, _TO_FACE, size, borderMode=cv2.BORDER_REPLICATE)
    laid: Plane = picture * (1.0 - alpha) + over * alpha
    return laid


def _taken(picture: Plane, covered: Plane, random: Random) -> tuple[NDArray[np.uint8], Plane]:
    """Cut out a little askew, as a detector would, and photographed."""
    step = REACH * random.uniform(0.92, 1.1) / SIDE * 100
    angle = np.radians(random.normal(0, 5))
    turn = step * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    offset = FACE / 2 - 0.5 + random.normal(0, 0.03, 2) * 100 - turn @ np.full(2, SIDE / 2 - 0.5)
    cut = np.vstack([np.column_stack([turn, offset]), [0.0, 0.0, 1.0]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    small = cv2.warpAffine(
        cv2.GaussianBlur(picture, (0, 0), 0.45), cut[:2], (SIDE, SIDE), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    from_grid = np.linalg.inv(np.vstack([_TO_FACE, [0.0, 0.0, 1.0]])) @ cut
    cells = cv2.warpAffine(covered, from_grid[:2], (SIDE, SIDE), flags=how)
    return photographed(small, random), cv2.resize(cells, (CELLS, CELLS), interpolation=cv2.INTER_AREA)


def photographed(picture: Plane, random: Random) -> NDArray[np.uint8]:
    """Light, colour, side light, blur, noise and compression, each sometimes: uint8 [H, W, 3]."""
    light = np.clip(picture, 0, 255) / 255.0
    if random.random() < 0.8:
        light = light ** random.uniform(0.5, 2.0)
    light = light * random.uniform(0.6, 1.15, 3) * random.uniform(0.6, 1.1)
    if random.random() < 0.15:
        light = np.repeat(light.mean(axis=2, keepdims=True), 3, axis=2)
    if random.random() < 0.3:
        height, width = light.shape[:2]
        angle = random.uniform(0, 2 * np.pi)
        slope = np.cos(angle) * np.linspace(-1, 1, width)[None] + np.sin(angle) * np.linspace(-1, 1, height)[:, None]
        shadow = random.uniform(0.2, 0.7) / (1.0 + np.exp(-slope * random.uniform(2, 10)))
        light = light * (1.0 - shadow)[..., None]
    seen = np.clip(light, 0, 1) * 255.0
    if random.random() < 0.3:
        seen = cv2.GaussianBlur(seen, (0, 0), float(random.uniform(0.3, 2.0)))
    if random.random() < 0.3:
        seen = seen + random.normal(0, random.uniform(1, 20), seen.shape)
    taken = np.clip(seen, 0, 255).astype(np.uint8)
    if random.random() < 0.2:
        quality = int(random.integers(20, 90))
        coded = cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        taken = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return taken
