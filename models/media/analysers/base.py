"""What the decode pass and its analysers agree on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.media.facts import Arrays


@dataclass(frozen=True)
class Geometry:
    """Size of the decoded frames and how they are meant to be seen.

    Attributes:
        width: Decoded pixels.
        height: Decoded pixels.
        pixel_aspect: Width of a pixel over its height.
        quarter_turns: Counter-clockwise quarter turns (0..3) that make the frame upright.
    """

    width: int
    height: int
    pixel_aspect: float = 1.0
    quarter_turns: int = 0

    @property
    def square(self) -> tuple[int, int]:
        """Width and height with square pixels, before turning; never more pixels than decoded."""
        if self.pixel_aspect >= 1.0:
            return self.width, max(1, round(self.height / self.pixel_aspect))
        return max(1, round(self.width * self.pixel_aspect)), self.height

    @property
    def displayed(self) -> tuple[int, int]:
        """Width and height as displayed: the stored lines kept, square pixels, turned."""
        width, height = max(1, round(self.width * self.pixel_aspect)), self.height
        return (height, width) if self.quarter_turns % 2 else (width, height)


@dataclass(frozen=True)
class Needs:
    """Size and rate an analyser asks for.

    Attributes:
        size: Exact (width, height) whatever the aspect; or None and ``long_side``.
        long_side: Fit square pixels into this side, never enlarged.
        means: About the mean colour of each pixel's area will do; nobody looks at the picture.
        step_ms: At most one frame in so many ms; 0 for every frame.
    """

    size: tuple[int, int] | None = None
    long_side: int = 0
    means: bool = False
    step_ms: int = 0

    def target(self, geometry: Geometry) -> tuple[int, int]:
        """(width, height) in pixels, not turned yet."""
        if self.size is not None:
            return self.size
        width, height = geometry.square
        scale = min(1.0, self.long_side / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))


class FrameView:
    """One frame at the size that was asked for, made when it is first looked at.

    Args:
        time_ms: Instant, ms from the first frame, never decreasing.
        make: Gives the image.
        weight: Bytes that are held until the image is made.
    """

    def __init__(self, time_ms: int, make: Callable[[], NDArray[np.uint8]], weight: int = 0) -> None:
        self.time_ms = time_ms
        self.weight = weight
        self._make: Callable[[], NDArray[np.uint8]] | None = make
        self._image = np.empty((0, 0, 3), np.uint8)

    @classmethod
    def made(cls, time_ms: int, image: NDArray[np.uint8]) -> Self:
        """Of an image that is there already."""
        return cls(time_ms, lambda: image)

    @property
    def image(self) -> NDArray[np.uint8]:
        """uint8 [height, width, 3] RGB, as decoded (not turned); shared, so not to be written."""
        if self._make is not None:
            self._image, self._make, self.weight = self._make(), None, 0
        return self._image


class FrameAnalyser(Protocol):
    """A plug-in of the pass."""

    @property
    def needs(self) -> Needs:
        """Read before every frame: the rate may change during the pass."""

    def feed(self, view: FrameView) -> None:
        """Take one frame."""

    def finish(self, end_ms: int, found: Arrays) -> Arrays:
        """The arrays of this analyser.

        Args:
            end_ms: End of the last frame.
            found: What the analysers before this one found.
        """
