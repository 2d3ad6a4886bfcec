"""Drawings that the project makes: seven kinds of picture, 256 x 256, from Pillow alone.

They are drawings, not photographs: what a classifier learns from them it must not be trusted to know
of photographs. Each kind has two disjoint ranges of its parameters (``Range``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from models.training.material.sounds import Range

SIZE = 256
Kind = Literal["concert", "sheet", "playlist", "landscape", "animal", "portrait", "abstract"]
KINDS: tuple[Kind, ...] = ("concert", "sheet", "playlist", "landscape", "animal", "portrait", "abstract")
Colour = tuple[int, int, int]
Random = np.random.Generator

_WORDS = {
    "seen": ("Moonlight", "River Song", "Hello", "Night Drive", "Summer", "Blue Sky", "Home", "Stars", "Echo"),
    "unseen": ("Paper Boats", "Winter Coat", "Orbit", "Lanterns", "Harbour", "Sugar", "Velvet", "Northbound"),
}


def make(kind: Kind, where: Range, random: Random) -> NDArray[np.uint8]:
    """One drawing, uint8 [256, 256, 3] RGB, slightly blurred, turned and grained."""
    picture = Image.new("RGB", (SIZE, SIZE))
    _MAKERS[kind](ImageDraw.Draw(picture), where, random)
    picture = picture.rotate(
        float(random.uniform(-4, 4)), Image.Resampling.BILINEAR, fillcolor=picture.getpixel((2, 2))
    )
    if random.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(float(random.uniform(0.3, 1.3))))
    grain = random.normal(0.0, random.uniform(0.0, 12.0), (SIZE, SIZE, 1))
    bright = random.uniform(0.8, 1.1)
    return np.clip(np.asarray(picture, dtype=np.float64) * bright + grain, 0, 255).astype(np.uint8)


def _pick(where: Range, seen: tuple[float, float], unseen: tuple[float, float], random: Random) -> float:
    low, high = seen if where == "seen" else unseen
    return float(random.uniform(low, high))


def _hue(where: Range, random: Random, saturation: float = 0.7, value: float = 0.9) -> Colour:
    # the circle of hues is cut in twelve, even parts are seen, odd ones unseen
    part = 2 * int(random.integers(6)) + (0 if where == "seen" else 1)
    hue = int((part + random.random()) / 12 * 255)
    hsv = Image.new("HSV", (1, 1), (hue, int(saturation * 255), int(value * 255)))
    red, green, blue = np.asarray(hsv.convert("RGB"))[0, 0].tolist()
    return red, green, blue


def _point(random: Random, low: float = 0, high: float = SIZE) -> int:
    return int(random.uniform(low, high))


def _concert(draw: ImageDraw.ImageDraw, where: Range, random: Random) -> None:
    draw.rectangle((0, 0, SIZE, SIZE), (8, 6, 18))
    floor = _point(random, 150, 185)
    for _ in range(int(random.integers(3, 7))):
        x, spread = _point(random), _pick(where, (15, 40), (40, 65), random)
        foot = x + random.uniform(-60, 60)
        draw.polygon([(x, 0), (foot - spread, floor), (foot + spread, floor)], _hue(where, random, 0.8, 0.6))
    draw.rectangle((0, floor, SIZE, SIZE), (25, 18, 22))
    for x in np.linspace(70, 190, int(random.integers(1, 5))):
        _figure(draw, int(x), floor, random.uniform(30, 50), (15, 12, 15))
    for _ in range(int(_pick(where, (25, 40), (12, 24), random))):
        x, y, r = _point(random), _point(random, 210, 256), random.uniform(8, 15)
        draw.ellipse((x - r, y - r, x + r, y + r), (3, 3, 5))
        if random.random() < 0.3:
            draw.line((x, y, x + random.uniform(-10, 10), y - 30), (3, 3, 5), 5)


def _figure(draw: ImageDraw.ImageDraw, x: int, foot: int, height: float, colour: Colour) -> None:
    head = height / 6
    draw.ellipse((x - head, foot - height, x + head, foot - height + 2 * head), colour)
    draw.rectangle((x - head, foot - height + 2 * head, x + head, foot - height / 3), colour)
    draw.line((x - head / 2, foot - height / 3, x - head, foot), colour, 4)
    draw.line((x + head / 2, foot - height / 3, x + head, foot), colour, 4)


def _sheet(draw: ImageDraw.ImageDraw, where: Range, random: Random) -> None:
    paper = 255 - _point(random, 0, 25)
    draw.rectangle((0, 0, SIZE, SIZE), (paper, paper, paper - _point(random, 0, 20)))
    gap = _pick(where, (4.0, 5.5), (5.6, 7.5), random)
    y = random.uniform(12, 40)
    left, right = random.uniform(8, 25), SIZE - random.uniform(8, 25)
    while y + 4 * gap < SIZE - 8:
        for line in range(5):
            draw.line((left, y + line * gap, right, y + line * gap), (30, 30, 30), 1)
        for bar in np.linspace(left, right, int(random.integers(3, 6))):
            draw.line((bar, y, bar, y + 4 * gap), (20, 20, 20), 1)
        draw.arc((left + 2, y - gap, left + 2 + 2 * gap, y + 5 * gap), 0, 330, (10, 10, 10), 2)
        _notes(draw, left + 25, right, y, gap, random)
        y += gap * random.uniform(8, 12)


def _notes(draw: ImageDraw.ImageDraw, left: float, right: float, y: float, gap: float, random: Random) -> None:
    x = left
    while x < right - 8:
        height = y + gap * random.integers(-1, 10) / 2
        draw.ellipse((x - gap * 0.65, height - gap / 2, x + gap * 0.65, height + gap / 2), (10, 10, 10))
        stem = -3.2 * gap if height > y + 2 * gap else 3.2 * gap
        draw.line((x + gap * 0.6, height, x + gap * 0.6, height + stem), (10, 10, 10), 1)
        x += gap * random.uniform(2.5, 5)


def _playlist(draw: ImageDraw.ImageDraw, where: Range, random: Random) -> None:
    dark = random.random() < 0.5
    ground, ink = ((18, 18, 22), (230, 230, 235)) if dark else ((250, 250, 250), (25, 25, 30))
    draw.rectangle((0, 0, SIZE, SIZE), ground)
    head = int(_pick(where, (30, 50), (51, 75), random))
    draw.rectangle((0, 0, SIZE, head), _hue(where, random))
    large, small = ImageFont.load_default(13), ImageFont.load_default(9)
    words = _WORDS[where]
    draw.text((head, head / 3), words[int(random.integers(len(words)))], ink, font=large)
    row = int(_pick(where, (22, 28), (29, 36), random))
    for number, y in enumerate(range(head + 8, SIZE - 10, row)):
        draw.rectangle((10, y, 10 + row - 6, y + row - 6), _hue(where, random, 0.5, 0.7))
        draw.text((row + 14, y), words[int(random.integers(len(words)))], ink, font=large)
        draw.text((row + 14, y + 13), words[int(random.integers(len(words)))], (130, 130, 135), font=small)
        draw.text((225, y + 4), f"{2 + number % 3}:{random.integers(10, 60)}", (130, 130, 135), font=small)


def _landscape(draw: ImageDraw.ImageDraw, where: Range, random: Random) -> None:
    top = np.array(_hue(where, random, 0.5, 0.9), dtype=float)
    horizon = _point(random, 110, 170)
    for y in range(horizon):
        shade = top + (np.array([250, 235, 220]) - top) * y / horizon
        draw.line((0, y, SIZE, y), (int(shade[0]), int(shade[1]), int(shade[2])))
    x, y, r = _point(random, 30, 226), _point(random, 20, horizon - 20), random.uniform(8, 18)
    draw.ellipse((x - r, y - r, x + r, y + r), (255, 240, 190))
    for layer in range(int(random.integers(1, 4))):
        rough = _pick(where, (5, 15), (18, 35), random)
        heights = horizon - 10 + layer * 15 - np.abs(np.cumsum(random.normal(0, rough, 17)))
        shade = (60 + 20 * layer, 90 + 15 * layer, 80)
        points = [(i * 16, float(h)) for i, h in enumerate(heights)]
        draw.polygon([(0, SIZE), *points, (SIZE, SIZE)], shade)
    ground = (40, 110, 160) if random.random() < 0.5 else (70, 130, 60)
    draw.rectangle((0, horizon + 25, SIZE, SIZE), ground)
    for _ in range(int(random.integers(0, 9))):
        x, y, h = _point(random), _point(random, horizon + 30, 240), random.uniform(15, 40)
        draw.polygon([(x - h / 3, y), (x, y - h), (x + h / 3, y)], (20, 70, 35))


def _animal(draw: ImageDraw.ImageDraw, where: Range, random: Random) -> None:
    draw.rectangle((0, 0, SIZE, SIZE), _hue(where, random, 0.25, 0.85))
    fur = [(120, 80, 40), (60, 60, 65), (210, 160, 90), (235, 230, 220), (30, 28, 28)][int(random.integers(5))]
    x, y, r = _point(random, 100, 156), _point(random, 95, 140), _pick(where, (38, 52), (53, 68), random)
    draw.ellipse((x - r * 1.1, y + r * 0.5, x + r * 1.1, y + r * 3), fur)
    tall = _pick(where, (0.6, 0.9), (0.95, 1.4), random)
    for side in (-1, 1):
        if random.random() < 0.5:
            draw.polygon([(x + side * r * 0.95, y - r * 0.2), (x + side * r * 0.7, y - r * (0.7 + tall)),
                          (x + side * r * 0.1, y - r * 0.85)], fur)  # fmt: skip
        else:
            draw.ellipse((x + side * r - r / 3, y - r / 2, x + side * r + r / 3, y + r * tall), fur)
    draw.ellipse((x - r, y - r, x + r, y + r), fur)
    for side in (-1, 1):
        e = r * 0.16
        cx, cy = x + side * r * 0.4, y - r * 0.15
        draw.ellipse((cx - e, cy - e, cx + e, cy + e), (240, 220, 120))
        draw.ellipse((cx - e / 2, cy - e, cx + e / 2, cy + e), (5, 5, 5))
        for k in (-1, 0, 1):
            draw.line(
                (x + side * r * 0.2, y + r * 0.4, x + side * r * 1.2, y + r * (0.4 + 0.15 * k)), (200, 200, 200), 1
            )
    draw.polygon([(x - r * 0.14, y + r * 0.2), (x + r * 0.14, y + r * 0.2), (x, y + r * 0.38)], (180, 90, 90))


def _portrait(draw: ImageDraw.ImageDraw, where: Range, random: Random) -> None:
    draw.rectangle((0, 0, SIZE, SIZE), _hue(where, random, 0.3, 0.7))
    skins = ((241, 205, 175), (224, 172, 125), (160, 110, 75), (100, 66, 44))
    skin, hair = skins[int(random.integers(4))], (_point(random, 10, 90), _point(random, 10, 60), 20)
    x, y, r = _point(random, 105, 150), _point(random, 85, 115), _pick(where, (34, 46), (47, 58), random)
    draw.ellipse((x - r * 1.2, y - r * 1.5, x + r * 1.2, y + r * random.uniform(0.4, 1.6)), hair)
    draw.ellipse((x - r * 2, y + r * 1.3, x + r * 2, y + r * 5), _hue(where, random, 0.6, 0.6))
    draw.rectangle((x - r * 0.35, y + r * 0.7, x + r * 0.35, y + r * 1.6), skin)
    draw.ellipse((x - r, y - r * 1.2, x + r, y + r * 1.2), skin)
    for side in (-1, 1):
        cx, cy, e = x + side * r * 0.4, y - r * 0.15, r * 0.1
        draw.ellipse((cx - 2 * e, cy - e, cx + 2 * e, cy + e), (250, 250, 250))
        draw.ellipse((cx - e, cy - e, cx + e, cy + e), (40, 30, 20))
    draw.line((x, y, x - r * 0.08, y + r * 0.3), (120, 80, 60), 2)
    draw.arc((x - r * 0.4, y + r * 0.3, x + r * 0.4, y + r * 0.8), 10, 170, (160, 60, 60), 3)


def _abstract(draw: ImageDraw.ImageDraw, where: Range, random: Random) -> None:
    draw.rectangle((0, 0, SIZE, SIZE), _hue(where, random, 0.4, 0.9))
    for _ in range(int(_pick(where, (4, 9), (10, 16), random))):
        x, y, w, h = _point(random), _point(random), random.uniform(15, 90), random.uniform(15, 90)
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((x - w, y - h, x + w, y + h), fill=_hue(where, random))


_MAKERS: dict[Kind, Callable[[ImageDraw.ImageDraw, Range, Random], None]] = {
    "concert": _concert,
    "sheet": _sheet,
    "playlist": _playlist,
    "landscape": _landscape,
    "animal": _animal,
    "portrait": _portrait,
    "abstract": _abstract,
}
