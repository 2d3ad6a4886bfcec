"""Video and sound that lies about its length, its tables or its streams, is broken or is of another type."""

from __future__ import annotations

import io
import math
import struct
import zlib

import av
import numpy as np

from tests.media import make_hostile as make
from tests.media.boxes import (
    box,
    changed,
    chunk,
    element,
    full_box,
    id3,
    id3_frame,
    ogg_page,
    patched,
    riff,
    wave_format,
)
from tests.media.make_hostile import Case
from tests.media.odd_pictures import flipped

_TRACK = (b"moov", b"trak")
_TABLES = (*_TRACK, b"mdia", b"minf", b"stbl")


def _mp4() -> bytes:
    """A second of moving picture with its index at the end."""
    return make.clip(1.0, sound=None)


def _song() -> bytes:
    return make.audio("libmp3lame", "mp3", make.tone(2.0))


def _flac() -> bytes:
    return make.audio("flac", "flac", make.tone(2.0))


def _ogg(seconds: float = 2.0) -> bytes:
    return make.audio("libopus", "ogg", make.tone(seconds, 48_000), 48_000)


def _table(name: bytes, body: bytes) -> bytes:
    """The clip with another sample table."""
    return changed(_mp4(), (*_TABLES, name), lambda _: bytes(4) + body)


def _edits(*entries: tuple[int, int]) -> bytes:
    """The clip with an edit list of (duration, from where)."""
    body = struct.pack(">I", len(entries)) + b"".join(struct.pack(">IiHH", d, t, 1, 0) for d, t in entries)
    plain = changed(_mp4(), (*_TRACK, b"edts"), lambda _: full_box(b"elst", body))
    return plain if b"elst" in plain else changed(plain, _TRACK, lambda b: b + box(b"edts", full_box(b"elst", body)))


def _compressed_index() -> bytes:
    """A movie header of 300 MB that is 300 kB long."""
    size = 300_000_000
    packed = zlib.compress(bytes(size), 9)
    head = box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", size) + packed)
    return box(b"ftyp", b"qt  " + bytes(8)) + box(b"moov", box(b"cmov", head))


def _nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = box(b"moov", data)
    return box(b"ftyp", b"isom" + bytes(8)) + data


def _nested_tags(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = element("67C8", data)
    return _matroska_with(element("1254C367", element("7373", data)))


def _matroska_with(extra: bytes) -> bytes:
    data = make.clip(1.0, container="matroska", options={"live": "1"})
    at = data.index(b"\x1f\x43\xb6\x75")
    return data[:at] + extra + data[at:]


def _tag(name: bytes, value: bytes) -> bytes:
    return element("67C8", element("45A3", name) + element("4487", value))


def _attachment(number: int, size: int) -> bytes:
    names = element("466E", b"../../../etc/%d.ttf" % number) + element("4660", b"application/x-truetype-font")
    return element("61A7", names + element("465C", bytes(size)) + element("46AE", struct.pack(">I", number + 1)))


def _timed(times: list[int], rate: int = 25) -> bytes:
    return make.video([make.noise(i) for i in range(len(times))], rate=rate, times=times, container="matroska")


def _backwards() -> bytes:
    """Matroska whose clusters go back in time."""
    data = make.clip(3.0, container="matroska", options={"live": "1", "cluster_time_limit": "500"}, sound=None)
    parts = data.split(b"\x1f\x43\xb6\x75")
    return b"\x1f\x43\xb6\x75".join([parts[0], *reversed(parts[1:])])


def _large_picture_in_small_track() -> bytes:
    """Coded as 6000 x 4000, declared as 160 x 90."""
    data = make.video([np.zeros((4000, 6000, 3), np.uint8)])
    return changed(data, (*_TABLES, b"stsd"), patched(8 + 8 + 24, struct.pack(">HH", 160, 90)))


def _two_sizes() -> bytes:
    small = make.video([make.noise(i) for i in range(25)], container="mpegts")
    return small + make.video([make.noise(i, 320, 180) for i in range(25)], container="mpegts")


def _grows() -> bytes:
    small = make.video([make.noise(i) for i in range(25)], container="mpegts")
    return small + make.video([np.zeros((4000, 6000, 3), np.uint8)] * 6, container="mpegts")


def _many_subtitles(events: int, length: int) -> bytes:
    """A clip with more words than pictures."""
    lines = "".join(
        f"{i + 1}\n00:00:00,{i * 900 // events:03} --> 00:00:01,000\n{i} {'x' * length}\n\n" for i in range(events)
    )
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(make.clip(1.0))) as source,
        av.open(io.BytesIO(lines.encode()), format="srt") as words,
        av.open(file, "w", format="matroska") as output,
    ):
        inputs = [source.streams.video[0], words.streams.subtitles[0]]
        copies = [output.add_stream_from_template(stream) for stream in inputs]
        for stream, copy in zip(inputs, copies, strict=True):
            for packet in stream.container.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    output.mux(packet)
    return file.getvalue()


def _wave(tag: int, channels: int, rate: int, align: int, bits: int, body: bytes, *more: bytes) -> bytes:
    return riff(b"WAVE", wave_format(tag, channels, rate, align, bits), *more, chunk(b"data", body))


def _plain_wave(*more: bytes) -> bytes:
    return _wave(1, 1, 16_000, 2, 16, (make.tone(1.0) * 32767).astype("<i2").tobytes(), *more)


def _rf64() -> bytes:
    """64-bit sizes at the top of their range."""
    sizes = chunk(b"ds64", struct.pack("<QQQI", 2**63, 2**63, 2**63, 0))
    data = _plain_wave()
    return b"RF64\xff\xff\xff\xffWAVE" + sizes + data[12:]


def _aiff(rate: bytes) -> bytes:
    data = make.audio("pcm_s16be", "aiff", make.tone(1.0))
    at = data.index(b"COMM") + 8 + 8
    return data[:at] + rate + data[at + 10 :]


def _opus_head(channels: int, gain: int = 0) -> bytes:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 65535, 48_000, gain, 0)
    tags = b"OpusTags" + struct.pack("<I", 4) + b"test" + bytes(4)
    pages = ogg_page(head, flags=2, serial=1, number=0) + ogg_page(tags, flags=0, serial=1, number=1)
    return pages + ogg_page(b"\xfc" + bytes(60), flags=4, serial=1, number=2, granule=2**62)


def _many_chains(count: int) -> bytes:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    return b"".join(ogg_page(head, flags=2, serial=number, number=0) for number in range(count))


def _vorbis_garbage() -> bytes:
    head = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 2, 44_100, 0, 0, 0, 0xB8, 1)
    junk = np.random.default_rng(3).bytes(4000)
    pages = ogg_page(head, flags=2, serial=1, number=0)
    pages += ogg_page(b"\x03vorbis" + b"\xff" * 400, flags=0, serial=1, number=1)
    return pages + ogg_page(b"\x05vorbis" + junk, flags=4, serial=1, number=2, granule=2**40)


def _info_lies() -> bytes:
    """The header of an MP3 that says there are 2^31 frames."""
    data = _song()
    at = next(data.index(mark) for mark in (b"Xing", b"Info") if mark in data)
    return data[: at + 8] + struct.pack(">I", 2**31) + data[at + 12 :]


def _inflated_tag() -> bytes:
    """A compressed text of ID3 that inflates to 256 MiB."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(b"C" * 2**20) for _ in range(255)) + packer.flush()
    size = bytes((0x7F, 0x7F, 0x7F, 0x7F))
    return id3(id3_frame(b"TIT2", size + body, 0x0009)) + _song()


def _flac_info(at: int, new: bytes) -> bytes:
    data = _flac()
    start = data.index(b"fLaC") + 8 + at
    return data[:start] + new + data[start + len(new) :]


def _flac_blocks(count: int) -> bytes:
    data = _flac()
    return data[:42] + (b"\x01\0\0\0" * count) + data[42:]


def _words_in_mp3() -> bytes:
    """Lone surrogates, controls, right-to-left overrides and bytes that are no text."""
    broken = b"\1\xff\xfe" + "la".encode("utf-16-le") + b"\x00\xd8" + "\u202ela\x07".encode("utf-16-le")
    frames = (
        id3_frame(b"TIT2", broken)
        + id3_frame(b"TPE1", b"\3\xff\xfe\xc0\x80la")
        + id3_frame(b"COMM", b"\3eng\0" + b"\xed\xa0\x80x")
    )
    return id3(frames) + _song()


def _exotic(codec: str, container: str, rate: int = 16_000) -> bytes:
    return make.audio(codec, container, make.tone(1.0, rate), rate)


_LONG, _OTHER, _UNREADABLE = "media-too-long", "media-type", "media-unreadable"
_BAD_SOUND, _LIMIT, _CUT = "media-bad-audio", "media-limit", "media-truncated"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_BILLIONS = struct.pack(">I", 2**32 - 1)

FAMILIES: dict[str, list[Case]] = {
    "video: tables and lengths that lie": [
        Case(
            "duration.mp4",
            "video",
            "",
            lambda: changed(_mp4(), (*_TRACK, b"mdia", b"mdhd"), patched(16, struct.pack(">I", 2**31))),
        ),
        Case(
            "no-timescale.mp4", "video", "", lambda: changed(_mp4(), (*_TRACK, b"mdia", b"mdhd"), patched(12, bytes(4)))
        ),
        Case("times.mp4", "video", _LIMIT, lambda: _table(b"stts", _BILLIONS)),
        Case(
            "one-time-for-all.mp4",
            "video",
            "media-too-many-frames",
            lambda: _table(b"stts", struct.pack(">III", 1, 2**32 - 1, 1)),
        ),
        Case("sizes.mp4", "video", _UNREADABLE, lambda: _table(b"stsz", struct.pack(">I", 0) + _BILLIONS)),
        Case("one-size-for-all.mp4", "video", _CUT, lambda: _table(b"stsz", struct.pack(">I", 1) + _BILLIONS)),
        Case("chunks.mp4", "video", _UNREADABLE, lambda: _table(b"stsc", _BILLIONS)),
        Case("offsets.mp4", "video", _UNREADABLE, lambda: _table(b"stco", _BILLIONS)),
        Case("offsets-outside.mp4", "video", _CUT, lambda: _table(b"stco", struct.pack(">II", 1, 2**32 - 1))),
        Case("edits.mp4", "video", "", lambda: _edits(*([(1, 0)] * 2_000))),
        Case("edit-of-days.mp4", "video", "", lambda: _edits((2**31, -1), (1000, 0))),
        Case("edit-backwards.mp4", "video", "", lambda: _edits((1000, -5000))),
        Case("compressed-index.mov", "video", _OTHER, _compressed_index),
        Case("nested.mp4", "video", _UNREADABLE, lambda: _nested(50_000)),
        Case("tiny-boxes.mp4", "video", "", lambda: _mp4() + box(b"free", b"") * 100_000),
        Case(
            "box-of-2-63.mp4",
            "video",
            _OTHER,
            lambda: box(b"ftyp", b"isom" + bytes(8)) + struct.pack(">I4sQ", 1, b"moov", 2**63 - 1),
        ),
        Case("large-behind-small.mp4", "video", "media-too-large", _large_picture_in_small_track),
        Case("declared-65535.mp4", "video", "", lambda: changed(_mp4(), (*_TABLES, b"stsd"), patched(40, b"\xff" * 4))),
        Case("two-sizes.ts", "video", "", _two_sizes),
        Case("grows.ts", "video", _UNREADABLE, _grows),
        Case("ten-hours-apart.mkv", "video", _LONG, lambda: _timed([0, 25 * 36_000])),
        Case("backwards.mkv", "video", "", _backwards),
        Case(
            "ebml-2-56.mkv",
            "video",
            _UNREADABLE,
            lambda: bytes.fromhex("1a45dfa3") + b"\x01" + b"\xff" * 6 + b"\xfe" + bytes(50),
        ),
        Case("nested-tags.mkv", "video", "", lambda: _nested_tags(2000)),
        Case(
            "many-tags.mkv",
            "video",
            "",
            lambda: _matroska_with(
                element("1254C367", element("7373", b"".join(_tag(b"T%d" % i, b"word") for i in range(20_000))))
            ),
        ),
        Case(
            "long-tag.mkv",
            "video",
            "",
            lambda: _matroska_with(element("1254C367", element("7373", _tag(b"TITLE", b"long " * 2_000_000)))),
        ),
        Case(
            "bad-words.mkv",
            "video",
            "",
            lambda: _matroska_with(
                element("1254C367", element("7373", _tag(b"TITLE", b"\xff\xfe\xed\xa0\x80 \xe2\x80\xae\x07song")))
            ),
        ),
        Case("attachment.mkv", "video", "", lambda: _matroska_with(element("1941A469", _attachment(0, 10_000_000)))),
        Case(
            "attachments.mkv",
            "video",
            "media-too-many-streams",
            lambda: _matroska_with(element("1941A469", b"".join(_attachment(i, 10) for i in range(60)))),
        ),
        Case("many-subtitles.mkv", "video", "", lambda: _many_subtitles(30_000, 20)),
        Case("long-subtitle.mkv", "video", "", lambda: _many_subtitles(3, 3_000_000)),
    ],
    "video: cut, or of another type": [
        Case("cut.mkv", "video", "media-truncated", lambda: make.half(make.clip(4.0, container="matroska"))),
        Case("cut.avi", "video", "media-truncated", lambda: make.half(make.clip(4.0, container="avi", codec="mpeg4"))),
        Case(
            "index-only.mp4",
            "video",
            "media-truncated",
            lambda: make.clip(1.0, options={"movflags": "faststart"})[:3000],
        ),
        Case(
            "head-only.webm",
            "video",
            _UNREADABLE,
            lambda: make.clip(1.0, container="webm", codec="libvpx", sound=None)[:60],
        ),
        Case("clip.flv", "video", _OTHER, lambda: make.clip(1.0, container="flv", codec="flv", sound=None)),
        Case("clip.wmv", "video", _OTHER, lambda: make.clip(1.0, container="asf", codec="wmv2", sound=None)),
        Case("exotic.avi", "video", _OTHER, lambda: make.clip(1.0, container="avi", codec="ffvhuff", sound=None)),
        Case("exotic.mkv", "video", _OTHER, lambda: make.clip(1.0, container="matroska", codec="ffv1", sound=None)),
        Case("program.mp4", "video", _OTHER, lambda: b"\x7fELF" + bytes(5000)),
        Case("html-in.mp4", "video", "", lambda: _mp4() + box(b"free", b"<script>alert(1)</script>")),
        Case(
            "packets-of-noise.ts",
            "video",
            _UNREADABLE,
            lambda: b"".join(b"\x47" + np.random.default_rng(i).bytes(187) for i in range(2000)),
        ),
    ],
    "sound: headers that lie": [
        Case("rate-0.wav", "audio", _UNREADABLE, lambda: _wave(1, 1, 0, 2, 16, bytes(32_000))),
        Case("rate-2-31.wav", "audio", _BAD_SOUND, lambda: _wave(1, 1, 2**31 - 1, 2, 16, bytes(32_000))),
        Case("channels-0.wav", "audio", _BAD_SOUND, lambda: _wave(1, 0, 16_000, 2, 16, bytes(32_000))),
        Case("channels-65535.wav", "audio", _BAD_SOUND, lambda: _wave(1, 65535, 16_000, 65534, 16, bytes(500_000))),
        Case("block-0.wav", "audio", "", lambda: _wave(1, 1, 16_000, 0, 16, bytes(32_000))),
        Case("many-lists.wav", "audio", "", lambda: _plain_wave(*([chunk(b"LIST", b"INFO")] * 100_000))),
        Case("sizes-of-64-bits.wav", "audio", _UNREADABLE, _rf64),
        Case("speech.wav", "audio", _OTHER, lambda: _wave(0x22, 1, 8000, 32, 0, bytes(32_000))),
        Case("nothing.wav", "audio", _UNREADABLE, lambda: _wave(1, 1, 16_000, 2, 16, b"")),
        Case("minus-infinity.wav", "audio", _BAD_SOUND, lambda: make.float_wav(np.full(16_000, -np.inf, np.float32))),
        Case("denormal.wav", "audio", "", lambda: make.float_wav(np.full(16_000, 1e-40, np.float32))),
        Case("largest-float.wav", "audio", "", lambda: make.float_wav(np.full(16_000, 3e38, np.float32))),
        Case(
            "stereo-not-a-number.wav",
            "audio",
            _BAD_SOUND,
            lambda: make.float_wav(np.array([0.0, np.nan] * 8000), channels=2),
        ),
        Case(
            "double-not-a-number.wav",
            "audio",
            _BAD_SOUND,
            lambda: _wave(3, 1, 16_000, 8, 64, np.full(16_000, math.nan).tobytes()),
        ),
        Case("rate-nan.aiff", "audio", _UNREADABLE, lambda: _aiff(b"\x7f\xff\xc0" + bytes(7))),
        Case("rate-1e300.aiff", "audio", _UNREADABLE, lambda: _aiff(b"\x43\xe4\xbf" + bytes(7))),
        Case("samples-2-36.flac", "audio", _LONG, lambda: _flac_info(13, b"\x0f\xff\xff\xff\xff")),
        Case("checksum.flac", "audio", "", lambda: _flac_info(18, bytes(range(16)))),
        Case("many-blocks.flac", "audio", "", lambda: _flac_blocks(100_000)),
        Case("cover-16-mib.flac", "audio", _UNREADABLE, lambda: _flac()[:42] + b"\x86\xff\xff\xff" + _flac()[42:]),
        Case("channels-0.opus", "audio", _BAD_SOUND, lambda: _opus_head(0)),
        Case("channels-255.opus", "audio", _BAD_SOUND, lambda: _opus_head(255)),
        Case("garbage.ogg", "audio", _UNREADABLE, _vorbis_garbage),
        Case("chained.ogg", "audio", "", lambda: _ogg(1.0) + _ogg(1.0)),
        Case("many-chains.ogg", "audio", _LIMIT, lambda: _many_chains(2000)),
        Case("frames-2-31.mp3", "audio", _LONG, _info_lies),
        Case("tag-of-256-mib.mp3", "audio", _UNREADABLE, lambda: id3(b"", 2**28 - 1) + _song()),
        Case("tag-inflates.mp3", "audio", "", _inflated_tag),
        Case("many-frames-of-tags.mp3", "audio", "", lambda: id3(id3_frame(b"TXXX", b"\3a\0b") * 100_000) + _song()),
        Case("tags-on-tags.mp3", "audio", "", lambda: id3(bytes(100)) * 1000 + _song()),
        Case(
            "large-cover.mp3",
            "audio",
            "",
            lambda: id3(id3_frame(b"APIC", b"\0image/png\0\3\0" + make.huge_png(30_000))) + _song(),
        ),
        Case("words.mp3", "audio", "", _words_in_mp3),
        Case("html-in-tag.mp3", "audio", "", lambda: id3(id3_frame(b"TIT2", b"\3<script>alert(1)</script>")) + _song()),
    ],
    "sound: cut, or of another type": [
        Case("cut.m4a", "audio", "media-truncated", lambda: make.half(make.audio("aac", "mp4", make.tone(8.0)))),
        Case(
            "cut.aiff", "audio", "media-truncated", lambda: make.half(make.audio("pcm_s16be", "aiff", make.tone(4.0)))
        ),
        Case("cut.ogg", "audio", "", lambda: make.half(_ogg(8.0))),
        Case("picture-as.mp3", "audio", _OTHER, lambda: make.picture("PNG")),
        Case("archive-as.mp3", "audio", _OTHER, lambda: b"PK\x03\x04" + bytes(5000)),
        Case("notes.mid", "audio", _OTHER, lambda: b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + bytes(50)),
        Case("song.wma", "audio", _OTHER, lambda: _ASF + bytes(5000)),
        Case("song.au", "audio", _OTHER, lambda: _exotic("pcm_s16be", "au")),
        Case("exotic.mka", "audio", _OTHER, lambda: _exotic("wavpack", "matroska")),
    ],
}

_SOURCES = {
    "mp4": ("video", _mp4),
    "mkv": ("video", lambda: make.clip(1.0, container="matroska")),
    "ts": ("video", lambda: make.clip(1.0, container="mpegts")),
    "mp3": ("audio", _song),
    "flac": ("audio", _flac),
    "ogg": ("audio", _ogg),
    "wav": ("audio", _plain_wave),
    "png": ("picture", lambda: make.picture("PNG")),
    "jpg": ("picture", lambda: make.picture("JPEG")),
    "gif": ("picture", lambda: make.animation("GIF", 5)),
    "webp": ("picture", lambda: make.animation("WEBP", 5)),
    "heic": ("picture", make.heic),
}
ANY = "any"
"""No verdict is wrong for a file with random faults, as long as there is one."""

FLIPPED: dict[str, list[Case]] = {
    "bits turned at random": [
        # its table of streams changes in the middle
        Case("stream-begins-late.ts", "video", ANY, lambda: flipped(_SOURCES["ts"][1](), 23, 0.02, 16)),
        *(
            Case(f"flipped-{seed}.{name}", kind, ANY, lambda make_it=make_it, seed=seed: flipped(make_it(), seed))
            for name, (kind, make_it) in _SOURCES.items()
            for seed in (1, 2, 3)
        ),
    ]
}
