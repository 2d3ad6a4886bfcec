"""Statistics of every frame at 64 x 36 and the shots they show."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.media.analysers.base import FrameView, Needs
from models.media.analysers.shots import find_shots
from models.media.facts import STATS_COLUMNS, Arrays

WIDTH, HEIGHT = 64, 36
_BLOCK = 64
_LUMA = np.array([[0.299, 0.587, 0.114]], dtype=np.float32) / 255.0
_BINS = 512


class FrameStatistics:
    """Arrays ``stats``, ``stats_times_ms`` and ``shots``.

    Frames are collected and worked on in blocks: one numpy call for 64 small frames costs about as
    much as one for a single frame.
    """

    def __init__(self) -> None:
        self._times: list[int] = []
        self._rows: list[NDArray[np.float32]] = []
        self._tiny: list[NDArray[np.uint8]] = []
        self._block = np.empty((_BLOCK, HEIGHT, WIDTH, 3), dtype=np.uint8)
        self._filled = 0
        self._last: NDArray[np.uint8] | None = None  # [1, HEIGHT, WIDTH, 3]

    @property
    def needs(self) -> Needs:
        """Every frame, 64 x 36."""
        return Needs(size=(WIDTH, HEIGHT), means=True)

    def feed(self, view: FrameView) -> None:
        """Collect one frame."""
        self._block[self._filled] = view.image
        self._times.append(view.time_ms)
        self._filled += 1
        if self._filled == _BLOCK:
            self._flush()

    def finish(self, end_ms: int, found: Arrays) -> Arrays:  # noqa: ARG002 - the first analyser
        """All rows and the shots."""
        self._flush()
        if not self._times:
            return {}
        stats = np.concatenate(self._rows)
        times = np.array(self._times, dtype=np.int64)
        shots = find_shots(stats, np.concatenate(self._tiny), times, end_ms)
        return {"stats": stats, "stats_times_ms": times, "shots": shots}

    def _flush(self) -> None:
        if self._filled == 0:
            return
        frames = self._block[: self._filled]
        before = frames[:1] if self._last is None else self._last
        chain = np.concatenate([before, frames])  # [n + 1, HEIGHT, WIDTH, 3]
        self._rows.append(_rows(chain))
        tiny = cv2.resize(_stacked(frames), (16, len(frames) * 9), interpolation=cv2.INTER_AREA)
        self._tiny.append(np.asarray(tiny, dtype=np.uint8).reshape(-1, 9, 16, 3))
        self._last = frames[-1:].copy()
        self._filled = 0


def _rows(chain: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Statistics of all frames but the first, which is only compared with.

    Args:
        chain: uint8 [n + 1, HEIGHT, WIDTH, 3].

    Returns:
        float32 [n, len(STATS_COLUMNS)].
    """
    count = len(chain) - 1
    luma = cv2.transform(_stacked(chain).astype(np.float32), _LUMA).reshape(count + 1, -1)  # [n + 1, pixels]
    means = luma.mean(axis=1)
    level = luma - means[:, None]
    now = chain[1:]
    red, green, blue = cv2.split(_stacked(now))
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    change = cv2.absdiff(_stacked(now), _stacked(chain[:-1]))
    histograms = _histograms(chain)
    rows = np.empty((count, len(STATS_COLUMNS)), dtype=np.float32)
    rows[:, 0] = means[1:]
    rows[:, 1] = np.sqrt(np.square(level[1:]).mean(axis=1))
    rows[:, 2] = _mean(spread, count)
    rows[:, 3] = np.abs(histograms[1:] - histograms[:-1]).sum(axis=1) / (2.0 * WIDTH * HEIGHT)
    rows[:, 4] = _mean(change, count)
    rows[:, 5] = np.abs(level[1:] - level[:-1]).mean(axis=1)
    return rows


def _stacked(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames below each other, [n * HEIGHT, WIDTH, 3]: OpenCV works on many as on one."""
    return frames.reshape(-1, WIDTH, 3)


def _mean(values: cv2.typing.MatLike, count: int) -> NDArray[np.float32]:
    """Mean of each frame over 255. Sums of at most 6912 bytes fit 32 bits."""
    flat = values.reshape(count, -1)
    means: NDArray[np.float32] = flat.sum(axis=1, dtype=np.uint32).astype(np.float32)
    means /= 255.0 * flat.shape[1]
    return means


def _histograms(chain: NDArray[np.uint8]) -> NDArray[np.int64]:
    """8 x 8 x 8 RGB histograms. int64 [n, 512]."""
    top = (chain >> 5).astype(np.int32)
    index = (top[..., 0] << 6) | (top[..., 1] << 3) | top[..., 2]
    index += (np.arange(len(chain), dtype=np.int32) * _BINS)[:, None, None]
    return np.bincount(index.ravel(), minlength=len(chain) * _BINS).reshape(len(chain), _BINS)
