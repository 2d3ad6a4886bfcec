"""Mono 16 kHz samples of one audio stream, their log-mel spectrogram and their level."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from models.media.facts import Arrays
from models.media.limits import Limits
from models.media.logmel import SAMPLE_RATE, logmel
from models.media.rejection import RejectedMediaError

_WINDOW = SAMPLE_RATE // 10
_SILENCE_RMS = 10 ** (-60 / 20)
_FLOOR_DBFS = -120.0
_FLOATS = ("flt", "dbl")


@dataclass(frozen=True)
class Level:
    """Fields of ``Facts`` of the same names."""

    silence_share: float
    loudness_dbfs: float
    peak: float


def check_format(rate: int, channels: int, limits: Limits) -> None:
    """Raise ``RejectedMediaError`` for a rate or channel count that no recording has."""
    if not limits.audio_min_rate <= rate <= limits.audio_max_rate:
        raise RejectedMediaError("media-bad-audio", f"{rate} Hz")
    if not 1 <= channels <= limits.audio_max_channels:
        raise RejectedMediaError("media-bad-audio", f"{channels} channels")


class Sound:
    """Collects one audio stream.

    Args:
        limits: Rates, channels and duration.
        max_ms: Longest sound of this kind of item.
    """

    def __init__(self, limits: Limits, max_ms: int) -> None:
        self._limits = limits
        self._max_samples = max_ms * SAMPLE_RATE // 1000
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        self._parts: list[NDArray[np.int16]] = []
        self._format: tuple[int, int, str] | None = None
        self.samples = 0
        self.start_ms: float | None = None

    def feed(self, frame: av.AudioFrame) -> None:
        """Resample one decoded frame.

        Raises:
            RejectedMediaError: Broken samples, a forbidden rate or too much sound.
        """
        channels = frame.layout.nb_channels
        now = (frame.sample_rate, channels, frame.format.name)
        if now != self._format:
            check_format(frame.sample_rate, channels, self._limits)
            if self._format is not None:  # streams that change on the way (AAC with SBR) are honest
                self._flush()
                self._resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
            self._format = now
        if self.start_ms is None:
            self.start_ms = 1000.0 * frame.time if frame.time is not None else 0.0
        if frame.format.name.startswith(_FLOATS) and not np.isfinite(frame.to_ndarray()).all():
            raise RejectedMediaError("media-bad-audio", "samples that are no numbers")
        # the resampler would fill gaps of broken time stamps with silence without end
        frame.pts = None
        self._keep(self._resampler.resample(frame))

    def finish(self) -> tuple[Arrays, Level]:
        """Arrays ``pcm`` and ``logmel``, and the level."""
        if self._format is not None:
            self._flush()
        pcm = np.concatenate(self._parts) if self._parts else np.zeros(0, dtype=np.int16)
        self._parts.clear()
        return {"pcm": pcm, "logmel": logmel(pcm)}, level_of(pcm)

    def _flush(self) -> None:
        self._keep(self._resampler.resample(None))

    def _keep(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            part = np.frombuffer(memoryview(frame.planes[0]), np.int16, frame.samples).copy()
            self.samples += part.size
            if self.samples > self._max_samples:
                raise RejectedMediaError("media-too-long", f"more than {self._max_samples} samples")
            self._parts.append(part)


def level_of(pcm: NDArray[np.int16]) -> Level:
    """Silence, RMS and peak of mono 16 kHz sound; an incomplete last window counts as one."""
    if pcm.size == 0:
        return Level(0.0, _FLOOR_DBFS, 0.0)
    starts = np.arange(0, pcm.size, _WINDOW)
    energy = np.empty(len(starts))
    for first in range(0, len(starts), 600):  # a minute at a time, so that memory stays flat
        begin = int(starts[first])
        part = pcm[begin : begin + 600 * _WINDOW].astype(np.float64) / 32768.0
        inner = starts[first : first + 600] - begin
        energy[first : first + 600] = np.add.reduceat(np.square(part), inner)
    lengths = np.minimum(_WINDOW, pcm.size - starts)
    mean_square = float(energy.sum()) / pcm.size
    loudness = 10.0 * np.log10(mean_square) if mean_square > 0 else _FLOOR_DBFS
    return Level(
        silence_share=float(np.mean(np.sqrt(energy / lengths) < _SILENCE_RMS)),
        loudness_dbfs=round(max(_FLOOR_DBFS, float(loudness)), 3),
        peak=round(float(max(-int(pcm.min()), int(pcm.max()))) / 32768.0, 6),
    )
