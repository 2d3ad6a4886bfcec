"""The frames of an animation that differ most, whatever instants they are shown at.

By content and not by time: whoever makes a file knows at which instants a sampler would look, and could show something
else in between. Only numpy and OpenCV: this module is imported in the sandbox.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
THUMBNAIL = 16
"""Side of the pictures that are compared, px."""
ROOM = 16
"""Frames held while an animation is read."""


class UnlikeFrames:
    """Holds at most `ROOM` frames: the first, which apps show where they do not animate, and those least like another.

    A frame that is like one already held makes no room for itself, so the same picture shown a thousand times is held
    once. The same frames in the same order always leave the same ones.
    """

    def __init__(self) -> None:
        self.times: list[int] = []
        self.images: list[Image] = []
        self._small: NDArray[np.int32] = np.zeros((0, THUMBNAIL * THUMBNAIL * 3), np.int32)

    def add(self, time_ms: int, image: Image) -> None:
        """Take one frame.

        Args:
            time_ms: Instant, ms from the first frame, never decreasing.
            image: uint8 [H, W, 3], RGB.
        """
        small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.int32).reshape(1, -1)
        self.times.append(time_ms)
        self.images.append(image)
        self._small = np.concatenate([self._small, small])
        if len(self.times) > ROOM:
            self._drop(self._most_alike())

    def chosen(self, most: int) -> list[int]:
        """Numbers of at most ``most`` frames held, in order of time: the first, then always the farthest from those.

        Frames equal to a chosen one are left out.
        """
        picked = [0]
        distance = self._from(0)
        while len(picked) < most and distance.any():
            picked.append(int(distance.argmax()))
            distance = np.minimum(distance, self._from(picked[-1]))
        return sorted(picked)

    def _most_alike(self) -> int:
        """The frame after the first that is nearest to one before it; the latest of several."""
        nearest = [
            int(np.abs(self._small[:at] - self._small[at]).sum(axis=1).min()) for at in range(1, len(self.times))
        ]
        return len(nearest) - int(np.argmin(nearest[::-1]))

    def _from(self, at: int) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.abs(self._small - self._small[at]).sum(axis=1)
        return found

    def _drop(self, at: int) -> None:
        del self.times[at], self.images[at]
        self._small = np.delete(self._small, at, axis=0)
