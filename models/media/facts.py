"""What one decode pass finds out: the shared vocabulary of the child and the parent.

Only dataclasses and numpy: this module is imported in the sandbox.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

if TYPE_CHECKING:
    from pydantic import ConfigDict

MediaKind = Literal["video", "audio", "picture"]
KINDS: tuple[MediaKind, ...] = ("video", "audio", "picture")

Sampling = Literal["full", "keyframes", "full-then-keyframes", "none"]
"""How the pictures of a video were decoded.

``full``: every frame. ``keyframes``: key frames only, because the declared number of pixels does
not fit the time an item may take; shots and statistics are then as coarse as the key frames.
``full-then-keyframes``: the file declared less than it holds. ``none``: there are no pictures.
"""

STRICT: ConfigDict = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""How the parent validates these classes; pydantic itself is not imported in the sandbox."""

STATS_COLUMNS: tuple[str, ...] = (
    "luma_mean",  # 0..1, BT.601 luma of the 64 x 36 frame
    "luma_std",  # 0..0.5
    "saturation",  # 0..1, mean of max(R,G,B) - min(R,G,B)
    "histogram_distance",  # 0..1, total variation of 8x8x8 RGB histograms to the frame before
    "difference",  # 0..1, mean absolute RGB difference to the frame before
    "motion",  # 0..1, mean absolute luma difference after taking each frame's mean out
)
"""Columns of ``stats``; the three that compare are 0 on the first frame."""


@dataclass(frozen=True)
class EmbeddedText:
    """Text that travels inside the file: written by the uploader, so to be moderated.

    Cleaned of control and direction characters, cut in length, never trusted.

    Attributes:
        tags: Lower-case tag name -> value (title, artist, album, comment, description...).
        subtitles: The words of the text subtitle streams, one per line.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    tags: dict[str, str] = field(default_factory=dict)
    subtitles: str = ""


@dataclass(frozen=True)
class Facts:
    """Plain facts about one item. Numbers that do not apply are 0, texts empty.

    Attributes:
        kind: What the item was opened as.
        container: Demuxer or picture format, e.g. ``mov``, ``matroska``, ``mp3``, ``png``.
        video_codec: e.g. ``h264``; of a picture its format.
        audio_codec: e.g. ``aac``.
        has_video: A moving picture (cover art does not count) or a picture is there.
        has_audio: Sound samples are there.
        animated: A picture with more than one frame.
        width: Pixels as displayed: rotated and with square pixels.
        height: As ``width``.
        rotation: Degrees clockwise that the decoder's output was turned: 0, 90, 180 or 270.
        fps: Frames a second, measured when every frame was decoded, else as declared.
        duration_ms: Measured: last decoded instant minus first, of the longer stream.
        declared_ms: As the header says; 0 when it says nothing that can be trusted.
        frame_count: Frames decoded; of a picture its frames.
        sampling: See ``Sampling``.
        sample_rate: Hz of the sound in the file (``pcm`` is always 16 kHz).
        channels: Of the sound in the file (``pcm`` is always mono).
        audio_start_ms: Instant of the first sample on the time line of the frames.
        silence_share: 0..1, share of 0.1 s windows whose RMS is under -60 dBFS.
        loudness_dbfs: RMS of the whole mono signal in dB of full scale (-120 for silence). This is
            no ITU-R BS.1770 loudness: it has no K-weighting and no gate.
        peak: 0..1, largest absolute sample of the mono signal.
        bad_packets: Packets that did not decode and were left out.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: MediaKind
    container: str = ""
    video_codec: str = ""
    audio_codec: str = ""
    has_video: bool = False
    has_audio: bool = False
    animated: bool = False
    width: int = 0
    height: int = 0
    rotation: int = 0
    fps: float = 0.0
    duration_ms: int = 0
    declared_ms: int = 0
    frame_count: int = 0
    sampling: Sampling = "none"
    sample_rate: int = 0
    channels: int = 0
    audio_start_ms: int = 0
    silence_share: float = 0.0
    loudness_dbfs: float = -120.0
    peak: float = 0.0
    bad_packets: int = 0


@dataclass(frozen=True)
class ArraySpec:
    """Name, dtype and shape of an array; -1 stands for a length that depends on the item."""

    dtype: str
    shape: tuple[int, ...]


ARRAYS: dict[str, ArraySpec] = {
    # sampled RGB frames, 0..255, long side <= 416, square pixels, upright, alpha over white
    "frames": ArraySpec("uint8", (-1, -1, -1, 3)),
    # instant of each sampled frame, ms from the first frame
    "frame_times_ms": ArraySpec("int64", (-1,)),
    # index into ``shots`` of each sampled frame
    "frame_shots": ArraySpec("int32", (-1,)),
    # [start, end) of each shot in ms; together they cover the video without a gap
    "shots": ArraySpec("int64", (-1, 2)),
    # one row per decoded frame, columns STATS_COLUMNS
    "stats": ArraySpec("float32", (-1, len(STATS_COLUMNS))),
    # instant of each row of ``stats``, ms from the first frame
    "stats_times_ms": ArraySpec("int64", (-1,)),
    # mono sound, 16 kHz, full scale 32767
    "pcm": ArraySpec("int16", (-1,)),
    # log10(1 + 10000 * mel power), 62.5 rows a second, 96 mel bands
    "logmel": ArraySpec("float16", (-1, 96)),
}
"""Every array of an analysis; all are always there, empty (length 0) where they do not apply."""

Arrays = dict[str, np.ndarray]


def empty_array(name: str) -> np.ndarray:
    """The array ``name`` of length 0, with its dtype and rank."""
    spec = ARRAYS[name]
    return np.zeros(tuple(0 if n == -1 else n for n in spec.shape), dtype=spec.dtype)


def complete(arrays: Arrays) -> Arrays:
    """All arrays in the order of ``ARRAYS``, the missing ones empty."""
    return {name: arrays.get(name, empty_array(name)) for name in ARRAYS}


@dataclass(frozen=True)
class Findings:
    """Result of the pass inside the child."""

    facts: Facts
    arrays: Arrays
    text: EmbeddedText
