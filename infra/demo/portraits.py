"""Pictures of faces that are made from others, and pictures that show no face, for avatars of each outcome."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

LONG_SIDE = 900
"""Longer side of what is made, pixels."""
QUALITY = 90


def write_blurred(picture: Path, file: Path) -> None:
    """A portrait out of focus, yet not so much that the face is not found: a blur of a 75th of its longer side."""
    portrait = _opened(picture)
    portrait.filter(ImageFilter.GaussianBlur(max(portrait.size) / 75)).save(file, "JPEG", quality=QUALITY)


def write_dim(picture: Path, file: Path, light: float) -> None:
    """A portrait in too little light.

    Args:
        picture: The portrait.
        file: JPEG to write.
        light: Share of its light that is left, 0..1.
    """
    ImageEnhance.Brightness(_opened(picture)).enhance(light).save(file, "JPEG", quality=QUALITY)


def write_variant(picture: Path, file: Path, number: int) -> None:
    """The same portrait as somebody would disguise it: mirrored, cut, brighter, compressed again.

    Args:
        picture: The portrait.
        file: JPEG to write.
        number: Which variant, from 0; the first is hardly changed.
    """
    portrait = _opened(picture)
    if number % 2:
        portrait = ImageOps.mirror(portrait)
    width, height = portrait.size
    cut = 0.02 * number
    portrait = portrait.crop((round(width * cut), 0, width, round(height * (1 - cut))))
    ImageEnhance.Brightness(portrait).enhance(1 + 0.05 * number).save(file, "JPEG", quality=QUALITY - 10 * number)


def write_code(file: Path, text: str) -> None:
    """A QR code, PNG 580x580 or so."""
    code = cv2.QRCodeEncoder.create().encode(text)
    large = np.kron(code, np.ones((20, 20), np.uint8))
    Image.fromarray(np.pad(large, 40, constant_values=255)).convert("RGB").save(file, "PNG")


def draw_cartoon(file: Path) -> None:
    """A cartoon head in flat colours, PNG 640x640."""
    page = Image.new("RGB", (640, 640), (120, 200, 235))
    pen = ImageDraw.Draw(page)
    ink = (40, 30, 30)
    pen.ellipse((150, 110, 490, 540), fill=(250, 214, 165), outline=ink, width=8)
    pen.pieslice((140, 70, 500, 430), 180, 360, fill=(200, 70, 40), outline=ink, width=8)
    for left in (220, 350):
        pen.ellipse((left, 270, left + 70, 340), fill="white", outline=ink, width=6)
        pen.ellipse((left + 25, 292, left + 50, 322), fill=ink)
    pen.line((320, 330, 300, 400, 335, 400), fill=ink, width=6, joint="curve")
    pen.arc((240, 380, 400, 490), 20, 160, fill=ink, width=8)
    page.save(file, "PNG")


def _opened(picture: Path) -> Image.Image:
    """The picture upright, RGB, not longer than `LONG_SIDE`."""
    with Image.open(picture) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    upright.thumbnail((LONG_SIDE, LONG_SIDE))
    return upright
