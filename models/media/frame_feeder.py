"""Shows decoded frames to the analysers, each made small as they ask."""

from __future__ import annotations

from functools import partial
from typing import cast

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from models.media.analysers.base import FrameAnalyser, FrameView, Geometry
from models.media.analysers.frame_statistics import FrameStatistics
from models.media.analysers.samples import Samples
from models.media.container import check_frame_size, geometry_of
from models.media.facts import Arrays
from models.media.limits import Limits
from models.media.rejection import RejectedMediaError
from models.media.shrink import cells

_USUAL_FRAME_MS = 40.0


class FrameFeeder:
    """Shows the frames of one video to its analysers."""

    def __init__(self, stream: VideoStream, limits: Limits, *, keyframes: bool) -> None:
        self._stream = stream
        self._limits = limits
        self._every_candidate = keyframes
        self._analysers: list[FrameAnalyser] = []
        self._last_shown: list[int] = []
        self._scalers: dict[tuple[int, int], VideoReformatter] = {}
        self._rate = float(stream.average_rate or 0) or 1000.0 / _USUAL_FRAME_MS
        self.geometry: Geometry | None = None
        self.start_ms = 0.0
        self.last_ms = 0
        self.count = 0
        self.pixels = 0

    @property
    def end_ms(self) -> int:
        """End of the last frame, ms from the first."""
        return round(self.last_ms + 1000.0 / self._rate) if self.count else 0

    @property
    def fps(self) -> float:
        """Frames a second over what was decoded; as declared for a single frame."""
        if self.count > 1 and self.last_ms > 0:
            return round(1000.0 * (self.count - 1) / self.last_ms, 3)
        return round(self._rate, 3)

    @property
    def declared_fps(self) -> float:
        """Frames a second as the header says."""
        return round(self._rate, 3)

    def feed(self, frame: av.VideoFrame) -> None:
        """Take one decoded frame."""
        check_frame_size(frame.width, frame.height, self._limits)
        if self.count >= self._limits.video_max_frames:
            raise RejectedMediaError("media-too-many-frames", f"more than {self.count} frames")
        if self.geometry is None:
            self._begin(frame)
        self._set_time(frame)
        self.count += 1
        self.pixels += frame.width * frame.height
        self._show(frame, self.last_ms)

    def finish(self, end_ms: int) -> Arrays:
        """Arrays of all analysers for a video that ends at ``end_ms``."""
        found: Arrays = {}
        for analyser in self._analysers:
            found |= analyser.finish(end_ms, found)
        return found

    def _begin(self, frame: av.VideoFrame) -> None:
        self.geometry = geometry_of(self._stream, frame)
        self.start_ms = 1000.0 * frame.time if frame.time is not None else 0.0
        self._analysers = [
            FrameStatistics(),
            Samples(self._limits, self.geometry, every_frame=self._every_candidate),
        ]
        self._last_shown = [-(2**40)] * len(self._analysers)

    def _set_time(self, frame: av.VideoFrame) -> None:
        if frame.time is not None:
            now = round(1000.0 * frame.time - self.start_ms)
        else:
            now = round(self.count * 1000.0 / self._rate)
        self.last_ms = max(self.last_ms, now)
        if self.last_ms > self._limits.video_max_ms:
            raise RejectedMediaError("media-too-long", f"more than {self.last_ms / 1000:.0f} s")

    def _show(self, frame: av.VideoFrame, time_ms: int) -> None:
        geometry = self.geometry
        if geometry is None:
            return
        for number, analyser in enumerate(self._analysers):
            needs = analyser.needs
            if time_ms - self._last_shown[number] < needs.step_ms:
                continue
            self._last_shown[number] = time_ms
            make = partial(self._means if needs.means else self._scaled, frame, needs.target(geometry))
            analyser.feed(FrameView(time_ms, make, self._held_bytes(frame)))

    def _held_bytes(self, frame: av.VideoFrame) -> int:
        """What a frame keeps in memory: all that was coded, of which little may be shown."""
        whole = max(1.0, self._stream.codec_context.coded_height / frame.height)
        return int(whole * sum(plane.buffer_size for plane in frame.planes))

    def _means(self, frame: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
        found = cells(frame, *size)
        return self._scaled(frame, size) if found is None else found

    def _scaled(self, frame: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
        scaler = self._scalers.setdefault(size, VideoReformatter())
        small = scaler.reformat(frame, *size, format="rgb24", interpolation=Interpolation.AREA, threads=1)
        return cast("NDArray[np.uint8]", small.to_ndarray())
