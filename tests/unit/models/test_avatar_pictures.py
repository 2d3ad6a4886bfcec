"""Pictures for those who review: small, ours, the same each time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from models.avatar_pictures import CROP_SIDE, PREVIEW_SIDE, crop, preview
from models.face_detection import Face

RANDOM = np.random.default_rng(3)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, dict(image.getexif())) == ("JPEG", "RGB", {})
    return image


def face(x: float, y: float, side: float) -> Face:
    return Face(x, y, side, side, 1.0, ((x, y),) * 6)


@pytest.mark.parametrize(
    ("size", "expected"), [((1024, 512), (PREVIEW_SIDE, 320)), ((300, 200), (300, 200)), ((1, 900), (1, PREVIEW_SIDE))]
)
def test_a_preview_is_bounded_and_small_ones_stay(size: tuple[int, int], expected: tuple[int, int]) -> None:
    image = RANDOM.integers(0, 256, (size[1], size[0], 3), np.uint8)
    assert opened(preview(image)).size == expected
    assert preview(image) == preview(image.copy())


def test_a_crop_shows_the_face_in_its_colours_with_a_margin() -> None:
    image = np.zeros((600, 800, 3), np.uint8)
    image[200:400, 300:500] = (200, 30, 60)
    shown = opened(crop(image, face(300, 200, 200)))
    assert shown.size == (CROP_SIDE, CROP_SIDE)
    middle = shown.getpixel((CROP_SIDE // 2, CROP_SIDE // 2))
    assert middle == pytest.approx((200, 30, 60), abs=12)
    assert shown.getpixel((10, 10)) == pytest.approx((0, 0, 0), abs=12)


@pytest.mark.parametrize("where", [(-20.0, -20.0), (60.0, 70.0), (90.0, 0.0)])
def test_a_face_at_the_edge_is_cut_out_too(where: tuple[float, float]) -> None:
    image = RANDOM.integers(0, 256, (100, 120, 3), np.uint8)
    assert opened(crop(image, face(*where, 40))).size == (64, 64)
