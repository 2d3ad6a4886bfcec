"""Frames reach the caller as the decoder made them: copied in strips in the child, mapped in the worker."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from models.media import pictures
from models.media.limits import LIMITS, Limits

STRIP = pictures._STRIP


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


def noise(height: int, width: int = 90) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("height", [2, STRIP - 1, STRIP, STRIP + 1, 3 * STRIP, 3 * STRIP + 7])
def test_no_row_is_lost_between_strips(height):
    found = pictures.analyse(io.BytesIO(png(noise(height))), Limits())
    assert np.array_equal(found.arrays["frames"], noise(height)[None])


def test_a_large_frame_is_whole_and_its_callers_own(media_analyser, tmp_path):
    pixels = noise(900, 1000)
    path = tmp_path / "upload"
    path.write_bytes(png(pixels))

    def frames():
        limits = replace(LIMITS, frame_long_side=1000)
        return media_analyser.analyse(path, "picture", size=path.stat().st_size, limits=limits).arrays["frames"]

    first, second = frames(), frames()
    first[:] = 0
    assert np.array_equal(second, pixels[None])
