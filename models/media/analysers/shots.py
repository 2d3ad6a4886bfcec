"""Shot boundaries from the statistics of small frames.

The adaptive rule (a frame is a cut when its difference stands out of its neighbours' differences,
as in PySceneDetect's AdaptiveDetector) with two additions: the histogram distance, which does not
react to motion, and a flash rule: when the picture before a jump comes back within a few frames,
it was no cut. Runs of (nearly) one-coloured frames, that is fades through black or white, are
boundaries at their middle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.media.facts import STATS_COLUMNS

# tuned on clips made for the purpose and bikes.mp4 (see the report of tests/unit/models/media)
_WINDOW = 3  # frames on each side whose difference is "usual"
_MIN_DIFFERENCE = 0.045  # 0..1, smaller jumps are never cuts
_MIN_HISTOGRAM = 0.15  # 0..1
_MIN_RATIO = 2.5  # jump over usual difference
_FLOOR = 0.012  # 0..1, usual difference of a still picture with noise
_FLASH_FRAMES = 4  # longest flash
_FLASH_RETURN = 0.5  # the picture is back when it differs by less than this share of the jump
_FLAT_STD = 0.02  # 0..1, luma deviation of a one-coloured frame
_FLAT_DARK, _FLAT_BRIGHT = 0.1, 0.9  # 0..1
_MIN_SHOT_MS = 120

_COLUMN = {name: index for index, name in enumerate(STATS_COLUMNS)}


def find_shots(
    stats: NDArray[np.float32], tiny: NDArray[np.uint8], times: NDArray[np.int64], end_ms: int
) -> NDArray[np.int64]:
    """Shots that cover the video without a gap.

    Args:
        stats: float32 [F, K], columns STATS_COLUMNS.
        tiny: uint8 [F, 9, 16, 3], every frame.
        times: int64 [F], ms.
        end_ms: End of the last frame.

    Returns:
        int64 [S, 2], [start, end) in ms, S >= 1.
    """
    frames = sorted({*_cuts(stats, tiny), *_flat_boundaries(stats)})
    starts = [int(times[0])]
    for frame in frames:
        at = int(times[frame])
        if at - starts[-1] >= _MIN_SHOT_MS and end_ms - at >= _MIN_SHOT_MS:
            starts.append(at)
    return np.array(list(zip(starts, [*starts[1:], max(end_ms, starts[-1])], strict=True)), dtype=np.int64)


def _cuts(stats: NDArray[np.float32], tiny: NDArray[np.uint8]) -> list[int]:
    """Frames that begin a new shot by a hard cut."""
    difference = stats[:, _COLUMN["difference"]]
    histogram = stats[:, _COLUMN["histogram_distance"]]
    jumps = np.flatnonzero((difference > _MIN_DIFFERENCE) & (histogram > _MIN_HISTOGRAM))
    cuts: list[int] = []
    for frame in jumps.tolist():
        low, high = max(1, frame - _WINDOW), min(len(stats), frame + _WINDOW + 1)
        around = np.concatenate([difference[low:frame], difference[frame + 1 : high]])
        # the median: a second cut or a flash nearby must not hide this one
        usual = max(_FLOOR, float(np.median(around)) if around.size else 0.0)
        if difference[frame] / usual >= _MIN_RATIO and not _is_flash(tiny, frame):
            cuts.append(frame)
    return cuts


def _is_flash(tiny: NDArray[np.uint8], frame: int) -> bool:
    """Whether the jump at ``frame`` is the begin or the end of a flash.

    The begin: a picture like the one before comes back within ``_FLASH_FRAMES``. The end: the
    picture at ``frame`` was already there that many frames ago.
    """
    before, after = tiny[frame - 1], tiny[frame]
    back = _FLASH_RETURN * _distance(before, after)
    later = range(frame + 1, min(len(tiny), frame + 1 + _FLASH_FRAMES))
    earlier = range(max(0, frame - 1 - _FLASH_FRAMES), frame - 1)
    return any(_distance(before, tiny[i]) < back for i in later) or any(
        _distance(after, tiny[i]) < back for i in earlier
    )


def _distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def _flat_boundaries(stats: NDArray[np.float32]) -> list[int]:
    """Middles of runs of one-coloured dark or bright frames with pictures on both sides.

    A run must be longer than a flash, and its sides must ramp: a hard cut to black is already one.
    """
    luma, std = stats[:, _COLUMN["luma_mean"]], stats[:, _COLUMN["luma_std"]]
    flat = (std < _FLAT_STD) & ((luma < _FLAT_DARK) | (luma > _FLAT_BRIGHT))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(np.int8)))
    difference = stats[:, _COLUMN["difference"]]
    middles: list[int] = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        inside = begin > 0 and end < len(stats)
        if not inside or max(difference[begin], difference[end]) > 3 * _MIN_DIFFERENCE:
            continue
        ramp = luma[max(0, begin - 5)] - luma[begin], luma[min(len(luma) - 1, end + 5)] - luma[end - 1]
        if min(abs(float(ramp[0])), abs(float(ramp[1]))) > _MIN_DIFFERENCE:
            middles.append((begin + end) // 2)
    return middles
