"""Opening a video or sound file, with every check that is possible before the first decode."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container.input import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from models.media import recognition
from models.media.analysers.base import Geometry
from models.media.analysers.sound import check_format
from models.media.facts import Findings
from models.media.limits import Limits
from models.media.rejection import RejectedMediaError

_BUFFER = 256 * 1024
_WARM_SAMPLES = 16_000


@dataclass(frozen=True)
class Opened:
    """A file whose header was accepted.

    Attributes:
        container: PyAV's container.
        name: First name of the demuxer.
        video: The moving picture, None for sound.
        audio: The sound, None for a silent video.
        subtitles: Text streams.
        declared_ms: Of the whole, 0 when not trustworthy.
    """

    container: InputContainer
    name: str
    video: VideoStream | None
    audio: AudioStream | None
    subtitles: tuple[SubtitleStream, ...]
    declared_ms: int
    declares: bool

    def declared_of(self, stream: Stream) -> float:
        """Trustworthy duration of one stream in ms, 0 when there is none."""
        if not self.declares or stream.duration is None or stream.time_base is None:
            return 0.0
        seconds = float(stream.duration * stream.time_base)
        if isinstance(stream, AudioStream) and self.name == "wav":
            rate = (stream.codec_context.bit_rate or 0) / 8
            if recognition.wav_of_unknown_length(seconds, rate):
                return 0.0
        return 1000.0 * seconds


def open_media(file: IO[bytes], kind: str, size: int, limits: Limits) -> Opened:
    """Open and check.

    Raises:
        RejectedMediaError: The header is to blame.
        FFmpegError: FFmpeg cannot read it.
    """
    head = recognition.read_head(file)
    recognition.refuse_by_head(head)
    container = _open(file, kind, size, limits)
    name = container.format.name.split(",")[0]
    if name not in recognition.DEMUXERS[kind]:
        raise RejectedMediaError("media-type", f"a file of type {name}")
    if name == "wav" and recognition.wav_share_present(head, size) < limits.min_complete_share:
        raise RejectedMediaError("media-truncated", "a part of the samples is missing")
    if len(container.streams) > limits.max_streams:
        raise RejectedMediaError("media-too-many-streams", f"{len(container.streams)} streams")
    video = _video_stream(container) if kind == "video" else None
    if kind == "video" and video is None:
        raise RejectedMediaError("media-type", "there is no moving picture")
    audio = max(container.streams.audio, key=lambda s: s.disposition & Disposition.default, default=None)
    if kind == "audio" and audio is None:
        raise RejectedMediaError("media-type", "there is no sound")
    subtitles = tuple(s for s in container.streams.subtitles if _codec(s) in recognition.SUBTITLE_CODECS)
    declares = recognition.declares_duration(name, head)
    opened = Opened(container, name, video, audio, subtitles, 0, declares)
    return _checked(opened, kind, limits)


def _open(file: IO[bytes], kind: str, size: int, limits: Limits) -> InputContainer:
    options = {
        "format_whitelist": ",".join(recognition.DEMUXERS[kind]),
        "protocol_whitelist": "none",
        "max_streams": "100",
        "probesize": str(limits.probe_bytes),
        # also reach the decoders that FFmpeg opens to find the parameters
        "max_pixels": str(limits.video_max_pixels),
        "threads": "1",
    }
    try:
        return av.open(file, mode="r", options=options, buffer_size=_BUFFER, metadata_errors="replace")
    except InvalidDataError as error:
        if recognition.ends_early(file, size):
            raise RejectedMediaError("media-truncated", "the index is missing") from error
        raise
    except av.error.ArgumentError as error:  # how FFmpeg answers for a demuxer not on the list
        raise RejectedMediaError("media-type", "a type of file that is not accepted") from error
    except (UnicodeError, ValueError) as error:
        raise RejectedMediaError("media-unreadable", f"{type(error).__name__}: {error}") from error


def _codec(stream: Stream) -> str:
    """Name of the stream's decoder, empty when FFmpeg has none."""
    context = stream.codec_context
    return context.name if context is not None else ""


def _video_stream(container: InputContainer) -> VideoStream | None:
    """The first moving picture; cover art and time-lapse thumbnails do not count."""
    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    return next((s for s in container.streams.video if not s.disposition & still), None)


def _checked(opened: Opened, kind: str, limits: Limits) -> Opened:
    longest = limits.video_max_ms if kind == "video" else limits.audio_max_ms
    declared = 0.0
    if opened.video is not None:
        _check_video(opened.video, limits)
        declared = opened.declared_of(opened.video)
    if opened.audio is not None:
        if _codec(opened.audio) not in recognition.AUDIO_CODECS:
            raise RejectedMediaError("media-type", f"sound of type {_codec(opened.audio)!r}")
        check_format(opened.audio.rate, opened.audio.channels, limits)
        declared = max(declared, opened.declared_of(opened.audio))
    if declared == 0.0 and opened.declares and opened.name == "matroska" and opened.container.duration:
        declared = opened.container.duration / 1000.0
    if declared > longest:
        raise RejectedMediaError("media-too-long", f"{declared / 1000:.0f} s")
    return Opened(
        opened.container, opened.name, opened.video, opened.audio, opened.subtitles, int(declared), opened.declares
    )


def _check_video(stream: VideoStream, limits: Limits) -> None:
    if _codec(stream) not in recognition.VIDEO_CODECS:
        raise RejectedMediaError("media-type", f"pictures of type {_codec(stream)!r}")
    width, height = stream.codec_context.width, stream.codec_context.height
    check_frame_size(width, height, limits)
    if stream.frames > limits.video_max_frames:
        raise RejectedMediaError("media-too-many-frames", f"{stream.frames} frames")


def check_frame_size(width: int, height: int, limits: Limits) -> None:
    """Raise ``RejectedMediaError`` for frames that are too large or of an absurd shape."""
    if width <= 0 or height <= 0:
        raise RejectedMediaError("media-unreadable", "frames without a size")
    aspect = max(width, height) / min(width, height)
    if width * height > limits.video_max_pixels or aspect > limits.video_max_aspect:
        raise RejectedMediaError("media-too-large", f"{width} x {height} pixels")


def geometry_of(stream: VideoStream, frame: av.VideoFrame) -> Geometry:
    """How the frames of a stream are meant to be seen, from its first frame."""
    aspect = float(stream.sample_aspect_ratio or 1)
    if not 0.1 <= aspect <= 10.0:  # nonsense that players ignore too
        aspect = 1.0
    return Geometry(frame.width, frame.height, aspect, round(frame.rotation / 90) % 4)


def analyse(file: IO[bytes], kind: str, size: int, limits: Limits) -> Findings:
    """Open, check and decode a video or a sound file.

    Raises:
        RejectedMediaError: The input is to blame.
        FFmpegError: FFmpeg cannot read it.
    """
    from models.media.decode_pass import DecodePass

    opened = open_media(file, kind, size, limits)
    with opened.container:
        return DecodePass(opened, kind, limits).run()


def warm_up() -> None:
    """Encode and decode a little sound and picture, so that nothing is imported later."""
    from models.media.limits import LIMITS

    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        video = output.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = output.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for number in range(24):  # two cuts, so that shot detection has run as well
            pixels = np.random.default_rng(number // 8).integers(0, 255, (48, 64, 3), np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts = number
            output.mux(video.encode(picture))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, _WARM_SAMPLES), np.int16), "s16", "mono")
        sound.rate = 16_000
        output.mux(audio.encode(sound))
        for stream in (video, audio):
            output.mux(stream.encode(None))
    file.seek(0)
    try:
        analyse(file, "video", len(file.getvalue()), LIMITS)
    except (RejectedMediaError, FFmpegError) as error:
        raise RuntimeError("the decoders do not work on this machine") from error
