"""Pictures of persons who are none: drawings and statues, drawn freely or made of photographs.

Two disjoint ranges each, so that a network can be judged on styles and stones that it has never seen. No picture of a
real statue was at hand: what is made here keeps a face's shading and loses its colours, its hair's fine grain and the
whites of its eyes, and takes on the grain of a stone.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.material import drawings
from models.training.material.sounds import Range

Picture = NDArray[np.uint8]
Random = np.random.Generator

_STYLES = {"seen": ("flat", "inked", "drawn", "cartoon", "painted"), "unseen": ("pencil", "drawn", "poster")}
_STONES = {
    "seen": ((0.97, 0.95, 0.90), (0.80, 0.78, 0.74), (0.92, 0.92, 0.93)),
    "unseen": ((0.62, 0.50, 0.34), (0.45, 0.52, 0.44), (0.86, 0.78, 0.68)),
}
"""Tints: marble, limestone, plaster; bronze, verdigris, sandstone."""


def drawing(photo: Picture, where: Range, random: Random) -> Picture:
    """A drawing, most of them after a photograph.

    Args:
        photo: uint8 [H, W, 3], what is drawn; two of the styles draw freely.
        where: Styles to draw from.
        random: Everything that is drawn.
    """
    style = _STYLES[where][random.integers(len(_STYLES[where]))]
    if style == "drawn":
        return drawings.make(drawings.KINDS[random.integers(len(drawings.KINDS))], where, random)
    if style == "cartoon":
        return _cartoon(random)
    if style == "pencil":
        return _pencil(photo, random)
    if style == "painted":
        return np.asarray(cv2.stylization(photo, sigma_s=float(random.uniform(30, 80)), sigma_r=0.45))
    if style == "poster":
        steps = int(random.integers(3, 6))
        flat = cv2.medianBlur(photo, 9).astype(np.float32) / 255.0
        return (np.round(flat * steps) / steps * 255).astype(np.uint8)
    flat = _flat(photo, int(random.integers(5, 14)), random)
    return _inked(photo, flat, random) if style == "inked" else flat


def statue(photo: Picture, where: Range, random: Random) -> Picture:
    """A photograph of a person turned to stone or bronze."""
    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)
    light = lab[..., 0]
    smooth = cv2.bilateralFilter(light, 9, float(random.uniform(25, 60)), 5).astype(np.float32) / 255.0
    # paint goes, shading stays: dark hair and brows come near to the tone of the skin
    around = cv2.GaussianBlur(smooth, (0, 0), 0.12 * max(smooth.shape))
    shaded = 0.62 + (smooth - around) * random.uniform(0.5, 0.9) + (around - around.mean()) * random.uniform(0.3, 0.6)
    height, width = smooth.shape
    coarse = cv2.resize(random.normal(0, 1, (9, 9)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(
        random.normal(0, 1, (height, width)).astype(np.float32), (0, 0), float(random.uniform(0.5, 1.2))
    )
    shaded = shaded + coarse * random.uniform(0.01, 0.04) + fine / fine.std() * random.uniform(0.004, 0.03)
    stones = _STONES[where]
    tint = np.array(stones[random.integers(len(stones))]) * random.uniform(0.8, 1.08)
    gloss = np.clip(shaded - 0.8, 0, 1)[..., None] * (1.5 if where == "unseen" else 0.3)
    return np.clip((shaded[..., None] * tint + gloss) * 255, 0, 255).astype(np.uint8)


def _flat(photo: Picture, colours: int, random: Random) -> Picture:
    """Smoothed along edges, then a few colours."""
    soft = photo
    for _ in range(3):
        soft = cv2.bilateralFilter(soft, 9, float(random.uniform(30, 70)), 7)
    points = soft.reshape(-1, 3).astype(np.float32)
    sample = points[random.integers(len(points), size=600)]
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 8, 1.0)
    cv2.setRNGSeed(int(random.integers(2**31)))
    _, _, centres = cv2.kmeans(sample, colours, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    nearest = ((points[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    vivid = np.clip((centres - centres.mean()) * random.uniform(1.0, 1.5) + centres.mean(), 0, 255)
    return cv2.medianBlur(vivid[nearest].reshape(photo.shape).astype(np.uint8), 5)


def _inked(photo: Picture, flat: Picture, random: Random) -> Picture:
    grey = cv2.medianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), 7)
    block = 2 * int(random.integers(4, 8)) + 1
    lines = cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, float(random.uniform(3, 7))
    )
    return np.asarray(np.where(lines[..., None] > 0, flat, flat // 6))


def _pencil(photo: Picture, random: Random) -> Picture:
    """Colour dodge of a picture by its blurred negative."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    soft = cv2.GaussianBlur(255.0 - grey, (0, 0), float(random.uniform(4, 12)))
    sketch = np.clip(grey / np.maximum(1.0 - soft / 256.0, 0.02), 0, 255)
    paper = sketch + random.normal(0, random.uniform(0, 5), sketch.shape)
    return np.repeat(np.clip(paper, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _cartoon(random: Random) -> Picture:
    """A face of ellipses and lines, flat or softly shaded."""
    size = int(random.integers(200, 400))
    unit = size / 100.0

    def colour(low: int = 20, high: int = 250) -> tuple[int, int, int]:
        red, green, blue = (int(value) for value in random.integers(low, high, 3))
        return (red, green, blue)

    def oval(x: float, y: float, across: float, along: float, fill: tuple[int, int, int], thick: int = -1) -> None:
        centre, axes = (round(x * unit), round(y * unit)), (round(across * unit), round(along * unit))
        cv2.ellipse(picture, centre, axes, 0, 0, 360, fill, thick, cv2.LINE_AA)

    picture = np.full((size, size, 3), colour(), np.uint8)
    skin = (int(random.integers(140, 256)), int(random.integers(100, 220)), int(random.integers(70, 200)))
    line, hair, eye = colour(0, 60), colour(), colour()
    outline = max(1, round(random.uniform(0.4, 1.6) * unit))
    wide, long = random.uniform(20, 30), random.uniform(24, 36)
    oval(50, 42, wide * 1.2, long * 1.15, hair)
    oval(50, 95, wide * 1.3, 22, colour())
    oval(50, 50, wide, long, skin)
    oval(50, 50, wide, long, line, outline)
    for x in (-1, 1):
        apart, large = random.uniform(9, 12), random.uniform(4, 9)
        oval(50 + x * apart, 46, large, large * random.uniform(0.7, 1.4), (255, 255, 255))
        oval(50 + x * apart, 46, large * 0.6, large * 0.7, eye)
        oval(50 + x * apart, 46, large * 0.3, large * 0.35, (10, 10, 10))
        oval(50 + x * apart + 1, 45, large * 0.15, large * 0.15, (255, 255, 255))
    centre = (round(50 * unit), round(62 * unit))
    axes = (round(random.uniform(4, 12) * unit), round(random.uniform(2, 7) * unit))
    cv2.ellipse(
        picture, centre, axes, 0, 0, 180, colour(60, 220), -1 if random.random() < 0.5 else outline, cv2.LINE_AA
    )
    if random.random() < 0.5:
        points = (
            np.array([(50 - wide, 40), (50 - wide * 0.8, 18), (50 + wide * 0.8, 18), (50 + wide, 40), (50, 30)]) * unit
        )
        cv2.fillPoly(picture, [points.astype(np.int32)], hair, cv2.LINE_AA)
    if random.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), float(random.uniform(0.5, 2.0)))
    return picture
