"""Pictures that are no photographs of what they show: screenshots, and photographs of a screen or a print.

Two disjoint ranges each, so that a network can be judged on layouts and rasters that it has never seen.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.training.material.sounds import Range

Picture = NDArray[np.uint8]
Random = np.random.Generator
Colour = tuple[int, int, int]

_WORDS = (
    "the", "song", "night", "we", "listen", "home", "river", "later", "play", "your", "friends", "new", "settings",
    "profile", "today", "message", "photo", "share", "cancel", "search", "album", "love", "see", "all", "edit",
)  # fmt: skip


def screenshot(photo: Picture, where: Range, random: Random) -> Picture:
    """A screen of an app, with a photo in it in about half the layouts.

    Args:
        photo: uint8 [H, W, 3], whatever the screen shows.
        where: Layouts to draw from.
        random: Everything that is drawn.
    """
    width = int(random.integers(300, 520))
    tall = where == "seen" or random.random() < 0.4
    height = round(width * random.uniform(1.3, 2.1)) if tall else round(width * random.uniform(0.55, 0.8))
    dark = random.random() < 0.4
    back = _grey(random, 5, 40) if dark else _grey(random, 235, 255)
    ink = _grey(random, 200, 255) if dark else _grey(random, 0, 60)
    picture = Image.new("RGB", (width, height), back)
    draw = ImageDraw.Draw(picture)
    layouts = _SEEN if where == "seen" else _UNSEEN
    layouts[random.integers(len(layouts))](picture, draw, photo, ink, random)
    return np.asarray(picture)


def _text(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], size: float, words: int, ink: Colour, random: Random
) -> None:
    line = " ".join(_WORDS[number] for number in random.integers(len(_WORDS), size=words))
    draw.text(at, line, fill=ink, font=ImageFont.load_default(size))


def _paste(picture: Image.Image, photo: Picture, box: tuple[int, int, int, int]) -> None:
    size = (max(8, box[2] - box[0]), max(8, box[3] - box[1]))
    height, width = photo.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    grown = Image.fromarray(photo).resize((max(size[0], round(width * scale)), max(size[1], round(height * scale))))
    left, top = (grown.width - size[0]) // 2, (grown.height - size[1]) // 2
    picture.paste(grown.crop((left, top, left + size[0], top + size[1])), box[:2])


def _bar(draw: ImageDraw.ImageDraw, width: int, ink: Colour, random: Random) -> int:
    _text(draw, (8, 3), 11, 1, ink, random)
    for number in range(3):
        draw.rectangle((width - 16 - number * 16, 5, width - 6 - number * 16, 13), outline=ink)
    return 22


def _chat(picture: Image.Image, draw: ImageDraw.ImageDraw, photo: Picture, ink: Colour, random: Random) -> None:
    width, height = picture.size
    top = _bar(draw, width, ink, random)
    bubbles = (_colour(random, 90, 230), _colour(random, 90, 230))
    while top < height - 40:
        own = int(random.random() < 0.5)
        wide, tall = int(random.uniform(0.35, 0.7) * width), int(random.choice([26, 42, 60]))
        left = width - wide - 10 if own else 10
        draw.rounded_rectangle((left, top, left + wide, top + tall), 10, fill=bubbles[own])
        for line in range(tall // 18):
            _text(draw, (left + 8, top + 5 + 16 * line), 12, max(2, wide // 50), (10, 10, 10), random)
        top += tall + int(random.integers(6, 20))
    if random.random() < 0.3:
        _paste(picture, photo, (10, height // 3, 10 + width // 2, height // 3 + width // 2))


def _feed(picture: Image.Image, draw: ImageDraw.ImageDraw, photo: Picture, ink: Colour, random: Random) -> None:
    width, height = picture.size
    top = _bar(draw, width, ink, random)
    _text(draw, (10, top + 4), 18, 2, ink, random)
    tall = int(random.uniform(0.35, 0.6) * height)
    _paste(picture, photo, (0, top + 34, width, top + 34 + tall))
    top += 44 + tall
    for number in range(3):
        draw.ellipse((10 + 34 * number, top, 32 + 34 * number, top + 22), outline=ink, width=2)
    for line in range(3):
        _text(draw, (10, top + 30 + 18 * line), 13, 5, ink, random)
    for number in range(5):
        left = round((number + 0.5) * width / 5) - 8
        draw.rectangle((left, height - 26, left + 16, height - 10), outline=ink, width=2)


def _list(picture: Image.Image, draw: ImageDraw.ImageDraw, photo: Picture, ink: Colour, random: Random) -> None:
    width, height = picture.size
    top = _bar(draw, width, ink, random)
    row = int(random.integers(34, 64))
    thumbs = random.random() < 0.6
    while top < height - row:
        if thumbs:
            draw.rectangle((10, top + 5, row, top + row - 5), fill=_colour(random, 30, 230))
        _text(draw, (row + 10, top + 5), 14, 3, ink, random)
        _text(draw, (row + 10, top + 22), 10, 4, (128, 128, 128), random)
        draw.line((10, top + row, width - 10, top + row), fill=(150, 150, 150))
        top += row
    if random.random() < 0.2:
        _paste(picture, photo, (10, 30, 10 + row * 2, 30 + row * 2))


def _profile(picture: Image.Image, draw: ImageDraw.ImageDraw, photo: Picture, ink: Colour, random: Random) -> None:
    width, height = picture.size
    top = _bar(draw, width, ink, random)
    half = int(random.uniform(0.15, 0.3) * width)
    _paste(picture, photo, (width // 2 - half, top + 16, width // 2 + half, top + 16 + 2 * half))
    top += 30 + 2 * half
    _text(draw, (width * 0.3, top), 18, 2, ink, random)
    draw.rounded_rectangle((width // 4, top + 34, 3 * width // 4, top + 64), 8, fill=_colour(random, 40, 220))
    _text(draw, (width * 0.35, top + 40), 14, 2, (255, 255, 255), random)
    for line in range(max(0, (height - top - 90) // 26)):
        _text(draw, (14, top + 78 + 26 * line), 13, 5, ink, random)


def _window(picture: Image.Image, draw: ImageDraw.ImageDraw, photo: Picture, ink: Colour, random: Random) -> None:
    width, height = picture.size
    draw.rectangle((0, 0, width, 24), fill=_colour(random, 60, 200))
    for number in range(3):
        draw.ellipse((6 + 16 * number, 7, 16 + 16 * number, 17), fill=_colour(random, 60, 255))
    draw.rectangle((0, 24, width // 4, height), fill=_colour(random, 100, 230))
    for line in range(height // 24):
        _text(draw, (6, 34 + 24 * line), 11, 1, ink, random)
        _text(draw, (width / 4 + 10, 34 + 24 * line), 12, 6, ink, random)
    if random.random() < 0.5:
        _paste(picture, photo, (width // 2, height // 3, width - 10, height - 10))


def _form(picture: Image.Image, draw: ImageDraw.ImageDraw, photo: Picture, ink: Colour, random: Random) -> None:
    width, height = picture.size
    if random.random() < 0.4:
        _paste(picture, photo, (0, 0, width, height // 3))
    top = height // 3 + 12
    while top < height - 60:
        _text(draw, (24, top), 12, 2, ink, random)
        draw.rectangle((24, top + 18, width - 24, top + 44), outline=(140, 140, 140))
        top += 56
    draw.rectangle((24, height - 44, width - 24, height - 12), fill=_colour(random, 40, 200))


_Layout = Callable[[Image.Image, ImageDraw.ImageDraw, Picture, Colour, Random], None]
_SEEN: tuple[_Layout, ...] = (_chat, _feed, _list, _profile)
_UNSEEN: tuple[_Layout, ...] = (_window, _form)


def rephotographed(photo: Picture, where: Range, random: Random) -> Picture:
    """A photograph of a screen or of a print that shows ``photo``.

    Seen: a screen's rows and columns of coloured dots, scanned by the camera at another pitch (moire), its edge, a
    glare. Unseen: prints with a round halftone, and screens of a longer pitch with bands.
    """
    shown = photo.astype(np.float32) / 255.0
    height, width = shown.shape[:2]
    grow = max(1.0, 420 / max(height, width))
    size = (round(width * grow), round(height * grow))
    shown = cv2.resize(shown, size, interpolation=cv2.INTER_LINEAR)
    down, right = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    if where == "seen":
        shown = shown * _dots(right, down, random.uniform(2.1, 3.4), random)
    elif random.random() < 0.5:
        shown = _halftone(shown, right, down, random)
    else:
        bands = 1.0 - random.uniform(0.1, 0.3) * (np.sin(2 * np.pi * down / random.uniform(30, 90)) > 0)[..., None]
        shown = shown * _dots(right, down, random.uniform(3.6, 5.0), random) * bands
    framed = _framed(np.clip(shown, 0, 1), random)
    light = framed ** random.uniform(0.7, 1.4) * random.uniform(0.85, 1.1, 3)
    light = light + _glare(light.shape[:2], random)[..., None]
    seen = cv2.GaussianBlur(np.clip(light, 0, 1), (0, 0), float(random.uniform(0.4, 0.9)))
    return np.clip(seen * 255 + random.normal(0, random.uniform(0, 4), seen.shape), 0, 255).astype(np.uint8)


def _dots(right: NDArray[np.float32], down: NDArray[np.float32], pitch: float, random: Random) -> NDArray[np.float32]:
    """Red, green and blue stripes with dark rows between, seen through the camera's own grid."""
    depth, turn = random.uniform(0.15, 0.6), np.radians(random.uniform(-8, 8))
    across = np.cos(turn) * right - np.sin(turn) * down
    along = np.sin(turn) * right + np.cos(turn) * down
    rows = 0.5 + 0.5 * np.cos(2 * np.pi * along / pitch)
    columns = [0.5 + 0.5 * np.cos(2 * np.pi * (across / pitch - number / 3)) for number in range(3)]
    raster: NDArray[np.float32] = np.stack([1.0 - depth * (0.6 * column + 0.4 * rows) for column in columns], axis=2)
    return raster


def _halftone(
    shown: NDArray[np.float32], right: NDArray[np.float32], down: NDArray[np.float32], random: Random
) -> NDArray[np.float32]:
    pitch, strength = random.uniform(3.5, 7.0), random.uniform(0.2, 0.5)
    printed = shown.copy()
    for channel, degrees in enumerate((15.0, 75.0, 45.0)):
        turn = np.radians(degrees + random.uniform(-5, 5))
        across, along = np.cos(turn) * right - np.sin(turn) * down, np.sin(turn) * right + np.cos(turn) * down
        dots = np.cos(2 * np.pi * across / pitch) * np.cos(2 * np.pi * along / pitch)
        printed[..., channel] += strength * dots * (0.2 + printed[..., channel]) * 0.5
    return printed


def _framed(shown: NDArray[np.float32], random: Random) -> NDArray[np.float32]:
    """Seen askew, with the device's or the paper's edge and what lies behind in view, or cut inside it."""
    edge = round(random.uniform(0.0, 0.08) * shown.shape[1])
    rim = (0.03, 0.03, 0.03) if random.random() < 0.6 else (0.95, 0.95, 0.93)
    inner = cv2.copyMakeBorder(shown, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=rim)
    tall, wide = inner.shape[:2]
    margin = random.uniform(-0.06, 0.1)
    corners = np.array([(0, 0), (wide, 0), (wide, tall), (0, tall)], np.float32)
    inset = corners * (1 - 2 * margin) + np.array([wide, tall]) * margin
    moved = (inset + random.normal(0, 0.03, (4, 2)) * np.array([wide, tall])).astype(np.float32)
    behind = tuple(random.uniform(0.1, 0.8, 3).tolist())
    return cv2.warpPerspective(
        inner,
        cv2.getPerspectiveTransform(corners, moved),
        (wide, tall),
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=behind,
    )


def _glare(shape: tuple[int, ...], random: Random) -> NDArray[np.float32]:
    height, width = shape
    down, right = np.mgrid[0:height, 0:width].astype(np.float32)
    centre, radius = random.uniform(0, 1, 2) * (height, width), random.uniform(0.1, 0.4) * width
    away = (down - centre[0]) ** 2 + (right - centre[1]) ** 2
    spot: NDArray[np.float32] = random.uniform(0.0, 0.35) * np.exp(-away / (2 * radius**2))
    return spot


def _grey(random: Random, low: int, high: int) -> Colour:
    level = int(random.integers(low, high))
    return (level, level, level)


def _colour(random: Random, low: int, high: int) -> Colour:
    red, green, blue = (int(value) for value in random.integers(low, high, 3))
    return (red, green, blue)
