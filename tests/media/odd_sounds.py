"""Sound that lies about its length or its headers, is broken or is of another type."""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np

from tests.media import make_hostile as make
from tests.media.boxes import chunk, id3, id3_frame, ogg_page, riff, wave_format
from tests.media.make_hostile import Case
from tests.media.verdicts import LIMIT, LONG, OTHER, UNREADABLE

_BAD_SOUND = "media-bad-audio"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


def song() -> bytes:
    return make.audio("libmp3lame", "mp3", make.tone(2.0))


def flac() -> bytes:
    return make.audio("flac", "flac", make.tone(2.0))


def ogg(seconds: float = 2.0) -> bytes:
    return make.audio("libopus", "ogg", make.tone(seconds, 48_000), 48_000)


def _wave(tag: int, channels: int, rate: int, align: int, bits: int, body: bytes, *more: bytes) -> bytes:
    return riff(b"WAVE", wave_format(tag, channels, rate, align, bits), *more, chunk(b"data", body))


def plain_wave(*more: bytes) -> bytes:
    return _wave(1, 1, 16_000, 2, 16, (make.tone(1.0) * 32767).astype("<i2").tobytes(), *more)


def _rf64() -> bytes:
    """64-bit sizes at the top of their range."""
    sizes = chunk(b"ds64", struct.pack("<QQQI", 2**63, 2**63, 2**63, 0))
    data = plain_wave()
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
    data = song()
    at = next(data.index(mark) for mark in (b"Xing", b"Info") if mark in data)
    return data[: at + 8] + struct.pack(">I", 2**31) + data[at + 12 :]


def _inflated_tag() -> bytes:
    """A compressed text of ID3 that inflates to 256 MiB."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(b"C" * 2**20) for _ in range(255)) + packer.flush()
    size = bytes((0x7F, 0x7F, 0x7F, 0x7F))
    return id3(id3_frame(b"TIT2", size + body, 0x0009)) + song()


def _flac_info(at: int, new: bytes) -> bytes:
    data = flac()
    start = data.index(b"fLaC") + 8 + at
    return data[:start] + new + data[start + len(new) :]


def _flac_blocks(count: int) -> bytes:
    data = flac()
    return data[:42] + (b"\x01\0\0\0" * count) + data[42:]


def _words_in_mp3() -> bytes:
    """Lone surrogates, controls, right-to-left overrides and bytes that are no text."""
    broken = b"\1\xff\xfe" + "la".encode("utf-16-le") + b"\x00\xd8" + "\u202ela\x07".encode("utf-16-le")
    frames = (
        id3_frame(b"TIT2", broken)
        + id3_frame(b"TPE1", b"\3\xff\xfe\xc0\x80la")
        + id3_frame(b"COMM", b"\3eng\0" + b"\xed\xa0\x80x")
    )
    return id3(frames) + song()


def _exotic(codec: str, container: str, rate: int = 16_000) -> bytes:
    return make.audio(codec, container, make.tone(1.0, rate), rate)


FAMILIES: dict[str, list[Case]] = {
    "sound: headers that lie": [
        Case("rate-0.wav", "audio", UNREADABLE, lambda: _wave(1, 1, 0, 2, 16, bytes(32_000))),
        Case("rate-2-31.wav", "audio", _BAD_SOUND, lambda: _wave(1, 1, 2**31 - 1, 2, 16, bytes(32_000))),
        Case("channels-0.wav", "audio", _BAD_SOUND, lambda: _wave(1, 0, 16_000, 2, 16, bytes(32_000))),
        Case("channels-65535.wav", "audio", _BAD_SOUND, lambda: _wave(1, 65535, 16_000, 65534, 16, bytes(500_000))),
        Case("block-0.wav", "audio", "", lambda: _wave(1, 1, 16_000, 0, 16, bytes(32_000))),
        Case("many-lists.wav", "audio", "", lambda: plain_wave(*([chunk(b"LIST", b"INFO")] * 100_000))),
        Case("sizes-of-64-bits.wav", "audio", UNREADABLE, _rf64),
        Case("speech.wav", "audio", OTHER, lambda: _wave(0x22, 1, 8000, 32, 0, bytes(32_000))),
        Case("nothing.wav", "audio", UNREADABLE, lambda: _wave(1, 1, 16_000, 2, 16, b"")),
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
        Case("rate-nan.aiff", "audio", UNREADABLE, lambda: _aiff(b"\x7f\xff\xc0" + bytes(7))),
        Case("rate-1e300.aiff", "audio", UNREADABLE, lambda: _aiff(b"\x43\xe4\xbf" + bytes(7))),
        Case("samples-2-36.flac", "audio", LONG, lambda: _flac_info(13, b"\x0f\xff\xff\xff\xff")),
        Case("checksum.flac", "audio", "", lambda: _flac_info(18, bytes(range(16)))),
        Case("many-blocks.flac", "audio", "", lambda: _flac_blocks(100_000)),
        Case("cover-16-mib.flac", "audio", UNREADABLE, lambda: flac()[:42] + b"\x86\xff\xff\xff" + flac()[42:]),
        Case("channels-0.opus", "audio", _BAD_SOUND, lambda: _opus_head(0)),
        Case("channels-255.opus", "audio", _BAD_SOUND, lambda: _opus_head(255)),
        Case("garbage.ogg", "audio", UNREADABLE, _vorbis_garbage),
        Case("chained.ogg", "audio", "", lambda: ogg(1.0) + ogg(1.0)),
        Case("many-chains.ogg", "audio", LIMIT, lambda: _many_chains(2000)),
        Case("frames-2-31.mp3", "audio", LONG, _info_lies),
        Case("tag-of-256-mib.mp3", "audio", UNREADABLE, lambda: id3(b"", 2**28 - 1) + song()),
        Case("tag-inflates.mp3", "audio", "", _inflated_tag),
        Case("many-frames-of-tags.mp3", "audio", "", lambda: id3(id3_frame(b"TXXX", b"\3a\0b") * 100_000) + song()),
        Case("tags-on-tags.mp3", "audio", "", lambda: id3(bytes(100)) * 1000 + song()),
        Case(
            "large-cover.mp3",
            "audio",
            "",
            lambda: id3(id3_frame(b"APIC", b"\0image/png\0\3\0" + make.huge_png(30_000))) + song(),
        ),
        Case("words.mp3", "audio", "", _words_in_mp3),
        Case("html-in-tag.mp3", "audio", "", lambda: id3(id3_frame(b"TIT2", b"\3<script>alert(1)</script>")) + song()),
    ],
    "sound: cut, or of another type": [
        Case("cut.m4a", "audio", "media-truncated", lambda: make.half(make.audio("aac", "mp4", make.tone(8.0)))),
        Case(
            "cut.aiff", "audio", "media-truncated", lambda: make.half(make.audio("pcm_s16be", "aiff", make.tone(4.0)))
        ),
        Case("cut.ogg", "audio", "", lambda: make.half(ogg(8.0))),
        Case("picture-as.mp3", "audio", OTHER, lambda: make.picture("PNG")),
        Case("archive-as.mp3", "audio", OTHER, lambda: b"PK\x03\x04" + bytes(5000)),
        Case("notes.mid", "audio", OTHER, lambda: b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + bytes(50)),
        Case("song.wma", "audio", OTHER, lambda: _ASF + bytes(5000)),
        Case("song.au", "audio", OTHER, lambda: _exotic("pcm_s16be", "au")),
        Case("exotic.mka", "audio", OTHER, lambda: _exotic("wavpack", "matroska")),
    ],
}
