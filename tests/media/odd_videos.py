"""Video that lies about its length, its tables or its streams, is broken or is of another type."""

from __future__ import annotations

import io
import struct
import zlib

import av
import numpy as np

from tests.media import make_hostile as make
from tests.media.boxes import box, changed, element, full_box, patched
from tests.media.make_hostile import Case
from tests.media.verdicts import CUT, LIMIT, LONG, OTHER, UNREADABLE

_TRACK = (b"moov", b"trak")
_TABLES = (*_TRACK, b"mdia", b"minf", b"stbl")
_BILLIONS = struct.pack(">I", 2**32 - 1)


def mp4() -> bytes:
    """A second of moving picture with its index at the end."""
    return make.clip(1.0, sound=None)


def _table(name: bytes, body: bytes) -> bytes:
    """The clip with another sample table."""
    return changed(mp4(), (*_TABLES, name), lambda _: bytes(4) + body)


def _edits(*entries: tuple[int, int]) -> bytes:
    """The clip with an edit list of (duration, from where)."""
    body = struct.pack(">I", len(entries)) + b"".join(struct.pack(">IiHH", d, t, 1, 0) for d, t in entries)
    plain = changed(mp4(), (*_TRACK, b"edts"), lambda _: full_box(b"elst", body))
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


FAMILIES: dict[str, list[Case]] = {
    "video: tables and lengths that lie": [
        Case(
            "duration.mp4",
            "video",
            "",
            lambda: changed(mp4(), (*_TRACK, b"mdia", b"mdhd"), patched(16, struct.pack(">I", 2**31))),
        ),
        Case(
            "no-timescale.mp4", "video", "", lambda: changed(mp4(), (*_TRACK, b"mdia", b"mdhd"), patched(12, bytes(4)))
        ),
        Case("times.mp4", "video", LIMIT, lambda: _table(b"stts", _BILLIONS)),
        Case(
            "one-time-for-all.mp4",
            "video",
            "media-too-many-frames",
            lambda: _table(b"stts", struct.pack(">III", 1, 2**32 - 1, 1)),
        ),
        Case("sizes.mp4", "video", UNREADABLE, lambda: _table(b"stsz", struct.pack(">I", 0) + _BILLIONS)),
        Case("one-size-for-all.mp4", "video", CUT, lambda: _table(b"stsz", struct.pack(">I", 1) + _BILLIONS)),
        Case("chunks.mp4", "video", UNREADABLE, lambda: _table(b"stsc", _BILLIONS)),
        Case("offsets.mp4", "video", UNREADABLE, lambda: _table(b"stco", _BILLIONS)),
        Case("offsets-outside.mp4", "video", CUT, lambda: _table(b"stco", struct.pack(">II", 1, 2**32 - 1))),
        Case("edits.mp4", "video", "", lambda: _edits(*([(1, 0)] * 2_000))),
        Case("edit-of-days.mp4", "video", "", lambda: _edits((2**31, -1), (1000, 0))),
        Case("edit-backwards.mp4", "video", "", lambda: _edits((1000, -5000))),
        Case("compressed-index.mov", "video", OTHER, _compressed_index),
        Case("nested.mp4", "video", UNREADABLE, lambda: _nested(50_000)),
        Case("tiny-boxes.mp4", "video", "", lambda: mp4() + box(b"free", b"") * 100_000),
        Case(
            "box-of-2-63.mp4",
            "video",
            OTHER,
            lambda: box(b"ftyp", b"isom" + bytes(8)) + struct.pack(">I4sQ", 1, b"moov", 2**63 - 1),
        ),
        Case("large-behind-small.mp4", "video", "media-too-large", _large_picture_in_small_track),
        Case("declared-65535.mp4", "video", "", lambda: changed(mp4(), (*_TABLES, b"stsd"), patched(40, b"\xff" * 4))),
        Case("two-sizes.ts", "video", "", _two_sizes),
        Case("grows.ts", "video", UNREADABLE, _grows),
        Case("ten-hours-apart.mkv", "video", LONG, lambda: _timed([0, 25 * 36_000])),
        Case("backwards.mkv", "video", "", _backwards),
        Case(
            "ebml-2-56.mkv",
            "video",
            UNREADABLE,
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
            UNREADABLE,
            lambda: make.clip(1.0, container="webm", codec="libvpx", sound=None)[:60],
        ),
        Case("clip.flv", "video", OTHER, lambda: make.clip(1.0, container="flv", codec="flv", sound=None)),
        Case("clip.wmv", "video", OTHER, lambda: make.clip(1.0, container="asf", codec="wmv2", sound=None)),
        Case("exotic.avi", "video", OTHER, lambda: make.clip(1.0, container="avi", codec="ffvhuff", sound=None)),
        Case("exotic.mkv", "video", OTHER, lambda: make.clip(1.0, container="matroska", codec="ffv1", sound=None)),
        Case("program.mp4", "video", OTHER, lambda: b"\x7fELF" + bytes(5000)),
        Case("html-in.mp4", "video", "", lambda: mp4() + box(b"free", b"<script>alert(1)</script>")),
        Case(
            "packets-of-noise.ts",
            "video",
            UNREADABLE,
            lambda: b"".join(b"\x47" + np.random.default_rng(i).bytes(187) for i in range(2000)),
        ),
    ],
}
