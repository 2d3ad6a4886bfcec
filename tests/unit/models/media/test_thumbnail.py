"""The small picture of an item: which frame, which size, what of a sound."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.media.facts import complete
from models.media.thumbnail import LONG_SIDE, WAVE_SIZE, telling_frame, thumbnail, waveform


def decoded(data: bytes | None) -> np.ndarray:
    assert data is not None
    assert (data[:4], data[8:12]) == (b"RIFF", b"WEBP")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def halves(height: int, width: int) -> np.ndarray:
    """Left half red, right half blue; RGB."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[:, : width // 2, 0] = 255
    frame[:, width // 2 :, 2] = 255
    return frame


@pytest.mark.parametrize(
    ("size", "expected"),
    [((416, 234), (160, 90)), ((234, 416), (90, 160)), ((64, 48), (64, 48)), ((416, 1), (160, 1))],
)
def test_the_long_side_is_bounded_and_small_ones_stay(size: tuple[int, int], expected: tuple[int, int]) -> None:
    picture = decoded(thumbnail(complete({"frames": np.full((1, *size, 3), 99, np.uint8)})))
    assert picture.shape == (*expected, 3)
    assert max(picture.shape) <= LONG_SIDE


def test_colours_are_not_swapped() -> None:
    picture = decoded(thumbnail(complete({"frames": halves(200, 400)[np.newaxis]})))
    blue, _, red = picture[40, 20].tolist()
    assert red > 200 > 60 > blue
    blue, _, red = picture[40, 140].tolist()
    assert blue > 200 > 60 > red


def test_a_black_opening_does_not_stand_for_the_film() -> None:
    black = np.zeros((10, 20, 3), np.uint8)
    striped = black.copy()
    striped[::2] = 255
    assert telling_frame(np.stack([black, striped, black + 255])) is not None
    assert np.array_equal(telling_frame(np.stack([black, striped, black + 255])), striped)


def test_a_sound_shows_where_it_is_loud() -> None:
    pcm = np.zeros(16_000, np.int16)
    pcm[8_000:] = -32_768
    lit = (waveform(pcm) == np.array((222, 178, 120))).all(axis=2).sum(axis=0)
    height, width = WAVE_SIZE
    assert lit[: width // 2].max() == 2
    assert lit[width // 2 :].max() == height - 12


@pytest.mark.parametrize("samples", [1, 3, 39, 41])
def test_very_short_and_silent_sounds(samples: int) -> None:
    assert decoded(thumbnail(complete({"pcm": np.zeros(samples, np.int16)}))).shape == (*WAVE_SIZE, 3)


def test_pictures_come_before_sound_and_nothing_gives_nothing() -> None:
    both = complete({"frames": np.full((1, 30, 40, 3), 7, np.uint8), "pcm": np.ones(100, np.int16)})
    assert decoded(thumbnail(both)).shape == (30, 40, 3)
    assert thumbnail(complete({})) is None
    assert thumbnail(both) == thumbnail(both)
