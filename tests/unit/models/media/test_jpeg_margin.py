"""JPEGs that are decoded at a fraction of their size because no more is wanted."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from models.media import pictures
from models.media.limits import Limits

SIDE = 400


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Smooth, so that ways of shrinking differ little: 2000 x 1500."""
    random = np.random.default_rng(5)
    small = Image.fromarray(random.integers(0, 256, (30, 40, 3), np.uint8))
    return small.resize((2000, 1500), Image.Resampling.BICUBIC)


def found(image: Image.Image, margin: float | None, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], np.ndarray]:
    """Longer side of what was decoded, and the frame."""
    decoded: list[int] = []
    plain = pictures.to_rgb

    def noted(opened: Image.Image, long_side: int) -> np.ndarray:
        decoded.append(max(opened.size))
        return plain(opened, long_side)

    monkeypatch.setattr(pictures, "to_rgb", noted)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    analysis = pictures.analyse(file, Limits(frame_long_side=SIDE, jpeg_margin=margin))
    assert (analysis.facts.width, analysis.facts.height) == image.size
    return decoded, analysis.arrays["frames"][0]


def test_no_more_is_decoded_than_is_wanted(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,), plain = found(photo, None, monkeypatch)
    (part,), small = found(photo, 1.0, monkeypatch)
    assert (whole, part) == (2000, 500)
    assert plain.shape == small.shape == (300, 400, 3)
    assert np.abs(plain.astype(int) - small).mean() < 2.0


@pytest.mark.parametrize(("size", "decoded"), [((1400, 799), 700), ((799, 1400), 700), ((799, 799), 799)])
def test_both_sides_keep_what_is_wanted(
    photo: Image.Image, size: tuple[int, int], decoded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,), frame = found(photo.resize(size), 1.0, monkeypatch)
    assert part == decoded
    assert max(frame.shape) == SIDE
