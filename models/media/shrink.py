"""The mean colour of each cell of a frame, straight from the decoder's planes.

FFmpeg's scaler reads every pixel for an area average, which takes a third of the time of decoding. Here some pixels
stand for each cell: those nearest to a regular grid of 4 x 4 in brightness and 2 x 2 in colour. For YUV 4:2:0 the means
are closer to the true ones than those of the scaler's fast path (tests/unit/models/media/test_shrink.py).
"""

from __future__ import annotations

from functools import cache

import av
import cv2
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

_BRIGHTNESS_GRID = 4, 4
_COLOUR_GRID = 2, 2
_FORMATS = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"})
# weights of red and blue in the matrices that AVColorSpace numbers; BT.601 for all others, as in FFmpeg
_BT601 = 0.299, 0.114
_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}


def cells(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8] | None:
    """Mean colours of a grid of equal cells.

    Args:
        frame: A decoded frame.
        width: Cells in a row.
        height: Rows of cells.

    Returns:
        uint8 [height, width, 3] RGB; None for a frame that is too small or no planar YUV of eight bits.
    """
    if frame.format.name not in _FORMATS:
        return None
    planes = frame.planes
    grids = (_BRIGHTNESS_GRID, _COLOUR_GRID, _COLOUR_GRID)
    if any(plane.width < width or plane.height < height or plane.line_size < plane.width for plane in planes):
        return None
    means = [_means(plane, grid, width, height) for plane, grid in zip(planes, grids, strict=True)]
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return np.asarray(cv2.transform(cv2.merge(means), _matrix(frame.colorspace, full=full)), dtype=np.uint8)


def _means(plane: VideoPlane, grid: tuple[int, int], width: int, height: int) -> NDArray[np.uint8]:
    pixels: cv2.typing.MatLike = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
        : plane.height, : plane.width
    ]
    chosen = min(plane.width, width * grid[0]), min(plane.height, height * grid[1])
    if chosen != (plane.width, plane.height):
        pixels = cv2.resize(pixels, chosen, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


@cache
def _matrix(colorspace: int, *, full: bool) -> NDArray[np.float64]:
    """[3, 4]: (Y, U, V, 1) to RGB, all 0..255 (ITU-T H.273, 8.3)."""
    red, blue = _WEIGHTS.get(colorspace, _BT601)
    green = 1.0 - red - blue
    from_u, from_v = 2.0 * (1.0 - blue), 2.0 * (1.0 - red)
    turn = np.array([[1.0, 0.0, from_v], [1.0, -from_u * blue / green, -from_v * red / green], [1.0, from_u, 0.0]])
    black, spans = (0.0, (255.0, 255.0)) if full else (16.0, (219.0, 224.0))
    turn *= 255.0 / np.array([spans[0], spans[1], spans[1]])
    return np.hstack([turn, turn @ -np.array([[black], [128.0], [128.0]])])
