"""The one decode pass: every packet is read once, every frame decoded once and shown to all analysers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import av
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from models.media.analysers.sound import Level, Sound
from models.media.container import Opened
from models.media.embedded_text import embedded_text
from models.media.facts import Arrays, EmbeddedText, Facts, Findings, MediaKind, Sampling, complete
from models.media.frame_feeder import FrameFeeder
from models.media.keyframes import KeyframeChoice
from models.media.limits import Limits
from models.media.rejection import RejectedMediaError

AnyPacket: TypeAlias = "Packet[Any]"

_ALWAYS_FORGIVEN_PACKETS = 3
_MAX_SUBTITLE_EVENTS = 4000


class DecodePass:
    """Reads one opened file from begin to end. Use once."""

    def __init__(self, opened: Opened, kind: str, limits: Limits) -> None:
        self._opened = opened
        self._kind: MediaKind = "video" if kind == "video" else "audio"
        self._limits = limits
        self._started = time.monotonic()
        self._keyframes = KeyframeChoice(opened, limits) if self._too_much_to_decode() else None
        self._sampling: Sampling = "full" if self._keyframes is None else "keyframes"
        self._frames: FrameFeeder | None = None
        self._sound: Sound | None = None
        longest = limits.video_max_ms if kind == "video" else limits.audio_max_ms
        if opened.video is not None:
            self._frames = FrameFeeder(opened.video, limits, keyframes=self._keyframes is not None)
        if opened.audio is not None:
            self._sound = Sound(limits, longest)
        self._subtitles: list[str] = []
        self._packets = self._bad = 0
        # stream index -> length of its clock's tick in ms; a Fraction for each packet costs more than the packet
        self._ticks: dict[int, float] = {}
        # stream index -> (first begin, last end) of its packets in ms
        self._spans: dict[int, tuple[float, float]] = {}

    def run(self) -> Findings:
        """Decode everything.

        Raises:
            RejectedMediaError: Too long, too many, broken or cut.
        """
        for packet in self._demux():
            stream = packet.stream
            if isinstance(stream, VideoStream):
                self._take_video(packet)
            elif isinstance(stream, AudioStream):
                self._take_audio(packet)
            elif isinstance(stream, SubtitleStream):
                self._take_subtitle(packet)
        arrays, level = self._finish()
        return Findings(self._facts(level), complete(arrays), self._text())

    def _too_much_to_decode(self) -> bool:
        video = self._opened.video
        if video is None:
            return False
        size = video.codec_context.width * video.codec_context.height
        frames = video.frames or self._opened.declared_ms / 1000.0 * float(video.average_rate or 0)
        return frames * size > self._limits.full_decode_pixels

    def _demux(self) -> Iterator[AnyPacket]:
        """All packets of the wanted streams; a read error ends the file, as in every player.

        What is missing then shows when the measured duration is compared with the declared one.
        """
        streams: list[Stream] = [s for s in (self._opened.video, self._opened.audio) if s is not None]
        for stream in streams:
            context = stream.codec_context
            context.thread_count = 1
            # among the options of open() it has no effect on the decoders
            context.options = {"max_pixels": str(self._limits.video_max_pixels)}
        packets = self._opened.container.demux([*streams, *self._opened.subtitles])
        while True:
            try:
                packet = next(packets)
            # PyAV, at the end: a stream that began after the header, which it has no object for
            except (StopIteration, IndexError):
                return
            except FFmpegError:
                self._bad += 1
                yield from self._flush_packets(streams)
                return
            self._packets += 1
            if self._packets > self._limits.max_packets:
                raise RejectedMediaError("media-limit", f"more than {self._limits.max_packets} packets")
            self._note_span(packet)
            yield packet

    def _flush_packets(self, streams: list[Stream]) -> Iterator[AnyPacket]:
        for stream in streams:
            packet: AnyPacket = Packet()
            packet.stream = stream
            yield packet

    def _note_span(self, packet: AnyPacket) -> None:
        at = packet.pts if packet.pts is not None else packet.dts
        if at is None:
            return
        index = packet.stream_index
        tick = self._ticks.get(index)
        if tick is None:
            if packet.time_base is None:
                return
            tick = self._ticks[index] = 1000.0 * float(packet.time_base)
        begin = at * tick
        end = begin + (packet.duration or 0) * tick
        low, high = self._spans.get(index, (begin, end))
        self._spans[index] = (min(low, begin), max(high, end))

    def _take_video(self, packet: AnyPacket) -> None:
        feeder = self._frames
        if feeder is None or (self._keyframes is not None and not self._keyframes.wants(packet)):
            return
        for frame in self._decoded(packet):
            if isinstance(frame, av.VideoFrame):
                feeder.feed(frame)
        if self._keyframes is None and self._spent(feeder):
            self._keyframes = KeyframeChoice(self._opened, self._limits)
            self._sampling = "full-then-keyframes"

    def _spent(self, feeder: FrameFeeder) -> bool:
        """More pictures than were declared, or a machine too busy for all of them."""
        limits = self._limits
        too_many = feeder.pixels > 1.1 * limits.full_decode_pixels
        return too_many or time.monotonic() - self._started > limits.full_decode_s

    def _take_audio(self, packet: AnyPacket) -> None:
        if self._sound is not None:
            for frame in self._decoded(packet):
                if isinstance(frame, av.AudioFrame):
                    self._sound.feed(frame)

    def _take_subtitle(self, packet: AnyPacket) -> None:
        if packet.size and len(self._subtitles) < _MAX_SUBTITLE_EVENTS:
            for event in self._decoded(packet):
                words: bytes = getattr(event, "dialogue", None) or getattr(event, "text", None) or b""
                self._subtitles.append(words.decode("utf-8", "replace"))

    def _decoded(self, packet: AnyPacket) -> list[object]:
        try:
            return list(packet.decode())
        except (av.error.MemoryError, MemoryError):
            raise
        except FFmpegError:
            self._bad += 1
            return []

    def _finish(self) -> tuple[Arrays, Level]:
        arrays: Arrays = {}
        level = Level(0.0, -120.0, 0.0)
        self._check_complete()
        if self._frames is not None:
            if self._frames.count == 0:
                raise RejectedMediaError("media-unreadable", "no frame can be decoded")
            arrays |= self._frames.finish(self._frames_ms())
        if self._sound is not None:
            found, level = self._sound.finish()
            arrays |= found
        if self._kind == "audio":
            if arrays["pcm"].size == 0:
                raise RejectedMediaError("media-unreadable", "no sound can be decoded")
            if arrays["pcm"].size < self._limits.audio_min_ms * 16:
                raise RejectedMediaError("media-too-short", f"{arrays['pcm'].size / 16:.0f} ms")
        allowed = max(_ALWAYS_FORGIVEN_PACKETS, self._limits.max_bad_packet_share * self._packets)
        if self._bad > allowed:
            raise RejectedMediaError("media-unreadable", f"{self._bad} of {self._packets} packets are broken")
        return arrays, level

    def _check_complete(self) -> None:
        """A cut file decodes without an error: compare what came with what the header promised."""
        opened = self._opened
        for stream in (opened.video, opened.audio):
            if stream is not None:
                self._check_span(opened.declared_of(stream), self._spans.get(stream.index))
        if opened.name == "matroska" and self._spans:
            spans = self._spans.values()
            whole = min(low for low, _ in spans), max(high for _, high in spans)
            self._check_span(float(opened.declared_ms), whole)

    def _check_span(self, declared: float, span: tuple[float, float] | None) -> None:
        measured = span[1] - span[0] if span is not None else 0.0
        missing = declared - measured
        limits = self._limits
        if missing > limits.truncation_slack_ms and measured < limits.min_complete_share * declared:
            raise RejectedMediaError("media-truncated", f"{measured / 1000:.1f} of {declared / 1000:.1f} s are there")

    def _text(self) -> EmbeddedText:
        opened = self._opened
        streams = [s.metadata for s in (opened.video, opened.audio, *opened.subtitles) if s is not None]
        return embedded_text([opened.container.metadata, *streams], self._subtitles, self._limits)

    def _facts(self, level: Level) -> Facts:
        opened, frames, sound = self._opened, self._frames, self._sound
        geometry = frames.geometry if frames is not None else None
        has_audio = sound is not None and sound.samples > 0
        width, height = geometry.displayed if geometry is not None else (0, 0)
        sound_ms = sound.samples // 16 if sound is not None else 0
        start = (sound.start_ms or 0.0) - (frames.start_ms if frames is not None else 0.0) if sound else 0.0
        return Facts(
            kind=self._kind,
            container=opened.name,
            video_codec=opened.video.codec_context.name if opened.video is not None else "",
            audio_codec=opened.audio.codec_context.name if opened.audio is not None and has_audio else "",
            has_video=frames is not None,
            has_audio=has_audio,
            width=width,
            height=height,
            rotation=(-90 * geometry.quarter_turns) % 360 if geometry is not None else 0,
            fps=self._fps(),
            duration_ms=max(sound_ms, self._frames_ms()),
            declared_ms=opened.declared_ms,
            frame_count=frames.count if frames is not None else 0,
            sampling=self._sampling if frames is not None else "none",
            sample_rate=opened.audio.rate if opened.audio is not None and has_audio else 0,
            channels=opened.audio.channels if opened.audio is not None and has_audio else 0,
            audio_start_ms=round(start) if has_audio and frames is not None else 0,
            silence_share=level.silence_share,
            loudness_dbfs=level.loudness_dbfs,
            peak=level.peak,
            bad_packets=self._bad,
        )

    def _frames_ms(self) -> int:
        """Length of the moving picture."""
        if self._frames is None or self._opened.video is None:
            return 0
        if self._sampling == "full":
            return self._frames.end_ms
        # key frames end before the video does: its packets say when
        begin, end = self._spans.get(self._opened.video.index, (0.0, 0.0))
        return max(self._frames.end_ms, round(end - begin))

    def _fps(self) -> float:
        if self._frames is None:
            return 0.0
        return self._frames.fps if self._sampling == "full" else self._frames.declared_fps
