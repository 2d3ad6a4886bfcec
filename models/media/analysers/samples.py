"""A few frames that stand for the whole."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from models.media.analysers.base import FrameView, Geometry, Needs
from models.media.facts import Arrays
from models.media.limits import MIB, Limits

_MS_PER_SAMPLE = 2000
_UNMADE_BYTES = 64 * MIB


class CandidateStore:
    """Frames at regular distances, never more than a number: when full, every second one goes and
    the distance doubles.

    Most are never chosen, so images are made as late as memory allows.

    Args:
        room: Most frames held.
        step_ms: Distance at the beginning; 0 keeps every frame until there is no room.
    """

    def __init__(self, room: int, step_ms: int) -> None:
        self._room = max(2, room)
        self.step_ms = step_ms
        self.views: list[FrameView] = []
        self._weight = 0

    @property
    def times(self) -> list[int]:
        """Instants of the frames held, ms."""
        return [view.time_ms for view in self.views]

    def add(self, view: FrameView) -> None:
        """Keep the frame when it is due."""
        if self.views and view.time_ms - self.views[-1].time_ms < self.step_ms:
            return
        if len(self.views) == self._room:
            span = max(1, self.views[-1].time_ms - self.views[0].time_ms)
            self.views = self.views[::2]
            self.step_ms = max(2 * self.step_ms, 2 * span // self._room)
            self._weight = sum(each.weight for each in self.views)
        if self._weight + view.weight > _UNMADE_BYTES:
            _ = view.image
        self._weight += view.weight
        self.views.append(view)


def choose_times(shots: NDArray[np.int64], most: int) -> list[tuple[int, float]]:
    """Which instants to show.

    Every shot gets its middle; longer shots get more, one for each started two seconds, the
    longest stretch first, while there is room. With more shots than room, shots at even distances
    are taken.

    Args:
        shots: int64 [S, 2] ms.
        most: Number of instants in all.

    Returns:
        (index of the shot, instant in ms) in order of time.
    """
    total = len(shots)
    if total > most:
        chosen = np.unique(np.linspace(0, total - 1, most).round().astype(int)).tolist()
        return [(shot, float(shots[shot].mean())) for shot in chosen]
    lengths = (shots[:, 1] - shots[:, 0]).tolist()
    counts = [1] * total
    wanted = [max(1, math.ceil(length / _MS_PER_SAMPLE)) for length in lengths]
    for _ in range(most - total):
        open_shots = [i for i in range(total) if counts[i] < wanted[i]]
        if not open_shots:
            break
        longest = max(open_shots, key=lambda i: lengths[i] / (counts[i] + 1))
        counts[longest] += 1
    return [
        (shot, shots[shot, 0] + lengths[shot] * (part + 0.5) / counts[shot])
        for shot in range(total)
        for part in range(counts[shot])
    ]


def finished(image: NDArray[np.uint8], quarter_turns: int) -> NDArray[np.uint8]:
    """The image upright."""
    return np.ascontiguousarray(np.rot90(image, quarter_turns))


class Samples:
    """Arrays ``frames``, ``frame_times_ms`` and ``frame_shots``. Needs ``shots``."""

    def __init__(self, limits: Limits, geometry: Geometry, *, every_frame: bool) -> None:
        self._limits = limits
        self._geometry = geometry
        step = 0 if every_frame else limits.candidate_step_ms
        self._store = CandidateStore(limits.max_candidates, step)

    @property
    def needs(self) -> Needs:
        """A few frames a second, fewer the longer the video is."""
        return Needs(long_side=self._limits.frame_long_side, step_ms=self._store.step_ms)

    def feed(self, view: FrameView) -> None:
        """Hold the frame as a candidate."""
        self._store.add(view)

    def finish(self, end_ms: int, found: Arrays) -> Arrays:  # noqa: ARG002 - the shots say it
        """The candidates next to the chosen instants; a shot without a candidate is left out."""
        if "shots" not in found or not self._store.views:
            return {}
        shots = found["shots"]
        times = np.array(self._store.times)
        chosen: dict[int, int] = {}  # candidate -> shot
        for shot, instant in choose_times(shots, self._limits.video_max_samples):
            inside = np.flatnonzero((times >= shots[shot, 0]) & (times < shots[shot, 1]))
            if inside.size:
                nearest = inside[np.argmin(np.abs(times[inside] - instant))]
                chosen.setdefault(int(nearest), shot)
        order = sorted(chosen)
        if not order:
            return {}
        images = [self._store.views[i].image for i in order]
        height, width = images[0].shape[:2]
        images = [
            # a stream may change its aspect on the way: all frames get the size of the first
            image
            if image.shape[:2] == (height, width)
            else np.asarray(cv2.resize(image, (width, height)), dtype=np.uint8)
            for image in images
        ]
        turns = self._geometry.quarter_turns
        return {
            "frames": np.stack([finished(image, turns) for image in images]),
            "frame_times_ms": times[order].astype(np.int64),
            "frame_shots": np.array([chosen[i] for i in order], dtype=np.int32),
        }
