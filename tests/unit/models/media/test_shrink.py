"""Mean colours from the planes: nearer to the truth than FFmpeg's scaler, and shots stay what they were."""

import av
import cv2
import make_hostile as make
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from models.media.analysers.base import FrameView
from models.media.analysers.frame_statistics import HEIGHT, WIDTH, FrameStatistics
from models.media.shrink import cells


def picture(width, height, seed=0):
    """Large shapes, edges and grain."""
    random = np.random.default_rng(seed)
    shapes = cv2.resize(random.integers(0, 256, (12, 16, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(shapes + random.normal(0, 8, shapes.shape), 0, 255).astype(np.uint8)


def coded(pixels, pixel_format="yuv420p", colorspace=None, color_range=None):
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    if colorspace is None:
        return frame.reformat(format=pixel_format)
    return frame.reformat(format=pixel_format, dst_colorspace=colorspace, dst_color_range=color_range)


def by_scaler(frame):
    return VideoReformatter().reformat(frame, WIDTH, HEIGHT, "rgb24", interpolation=Interpolation.AREA).to_ndarray()


def error(found, pixels):
    true = cv2.resize(pixels.astype(np.float64), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return float(np.abs(found - true).mean())


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"])
@pytest.mark.parametrize("size", [(1280, 720), (854, 480), (640, 272), (360, 640), (161, 91), (130, 74)])
def test_near_to_the_mean(size, pixel_format):
    pixels = picture(*size)
    frame = coded(pixels, pixel_format)
    found = cells(frame, WIDTH, HEIGHT)
    assert (found.shape, found.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert error(found, pixels) < 4.5
    if "420" in pixel_format:  # what nearly all videos are
        assert error(found, pixels) < error(by_scaler(frame), pixels)


@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("colorspace", list(Colorspace))
def test_colours_of_every_matrix(colorspace, color_range):
    pixels = picture(640, 360)
    assert error(cells(coded(pixels, "yuv444p", colorspace, color_range), WIDTH, HEIGHT), pixels) < 3.2


@pytest.mark.parametrize(
    ("size", "pixel_format"), [((120, 70), "yuv420p"), ((640, 360), "yuv420p10le"), ((640, 360), "rgb24")]
)
def test_others_are_left_to_the_scaler(size, pixel_format):
    assert cells(coded(picture(*size), pixel_format), WIDTH, HEIGHT) is None


def starts(images):
    statistics = FrameStatistics()
    for number, image in enumerate(images):
        statistics.feed(FrameView.made(number * 40, image))
    return statistics.finish(len(images) * 40, {})["shots"][:, 0].tolist()


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_fine_stripes_that_move_are_no_cuts(width):
    """The worst for a few pixels that stand for many: all of them may meet the same stripe."""
    stripes = (np.arange(1280 + 64) // width % 2 * 200 + 20).astype(np.uint8)
    moving = [np.repeat(np.tile(stripes[i % 64 : i % 64 + 1280], (720, 1))[..., None], 3, axis=2) for i in range(30)]
    assert starts([cells(coded(image), WIDTH, HEIGHT) for image in moving]) == [0]


def test_shots_are_those_of_the_scaler():
    frames = [coded(cv2.resize(make.noise(shot), (640, 360))) for shot in range(4) for _ in range(12)]
    frames += [coded(np.roll(picture(640, 360, 9), 9 * i, axis=1)) for i in range(20)]
    found = starts([cells(frame, WIDTH, HEIGHT) for frame in frames])
    assert found == starts([by_scaler(frame) for frame in frames]) == [0, 480, 960, 1440, 1920]
