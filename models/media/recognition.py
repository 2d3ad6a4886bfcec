"""Which containers and codecs are accepted, and what a header says that can be trusted."""

from __future__ import annotations

import struct
from typing import IO

from models.media.rejection import RejectedMediaError

# FFmpeg demuxers by their first name; nothing that reads other files (hls, dash, concat, image2,
# sdp...) and no raw or guess-only format but MP3 and ADTS
DEMUXERS: dict[str, tuple[str, ...]] = {
    "video": ("mov", "matroska", "avi", "mpegts"),
    "audio": ("mov", "matroska", "mp3", "wav", "flac", "ogg", "aac", "aiff"),
}
VIDEO_CODECS = frozenset(
    {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mpeg2video", "mjpeg", "prores", "h263"}
)
AUDIO_CODECS = frozenset(
    {"aac", "mp3", "mp3float", "mp2", "mp2float", "opus", "libopus", "vorbis", "libvorbis", "flac", "alac"}
    | {"ac3", "eac3", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be"}
    | {"pcm_u8", "pcm_s8", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw"}
    | {"adpcm_ima_wav", "adpcm_ms", "adpcm_ima_qt", "amrnb", "amrwb"}
)
SUBTITLE_CODECS = frozenset({"mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"})

_PLAYLISTS = (b"ffconcat", b"#EXTM3U", b"[playlist]", b"v=0\r\n", b"v=0\n", b"RTSPtext", b"<?xml", b"<MPD", b"<smil")
# a header may be behind a byte order mark or white space
_LEADING = b"\xef\xbb\xbf \t\r\n"
_OTHER_TYPES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"PK\x03\x04", b"\x7fELF", b"MZ", b"FLV", b"MThd")
_WAV_UNKNOWN_BYTES = 0x7FFF0000
_HEAD = 65_536


def read_head(file: IO[bytes]) -> bytes:
    """The first 64 KiB; the file is back at its begin afterwards."""
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0)
    return head


def refuse_by_head(head: bytes) -> None:
    """Refuse scripts that name other files, before any demuxer sees them.

    Raises:
        RejectedMediaError: ``media-hostile`` or ``media-type``.
    """
    text = head.lstrip(_LEADING)
    if text.startswith(_PLAYLISTS):
        raise RejectedMediaError("media-hostile", "a playlist, not a recording")
    if head.startswith(_OTHER_TYPES):
        raise RejectedMediaError("media-type", "not a recording")


def ends_early(file: IO[bytes], size: int) -> bool:
    """Whether the top-level boxes of an MP4 / MOV file go beyond its end."""
    offset = 0
    for _ in range(64):
        file.seek(offset)
        header = file.read(16)
        if len(header) < 8:
            return False
        length, name = struct.unpack(">I4s", header[:8])
        if offset == 0 and name not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return False
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack(">Q", header[8:])
        if length == 0:  # to the end of the file: its index can only have been before
            return False
        if length < 8:
            return False
        offset += length
        if offset > size:
            return True
    return False


def declares_duration(container: str, head: bytes) -> bool:
    """Whether the duration FFmpeg reports was written in the header.

    Elsewhere it is an estimate from the bit rate, which says nothing about completeness.
    """
    if container in ("mov", "avi", "wav", "aiff"):
        return True
    if container == "matroska":  # the element Duration with 4 or 8 bytes
        return b"\x44\x89\x84" in head or b"\x44\x89\x88" in head
    if container == "flac":
        at = head.find(b"fLaC")
        # 36 bits of STREAMINFO, after the block's header and 13 bytes
        total = head[at + 21 : at + 26] if at >= 0 else b""
        return len(total) == 5 and int.from_bytes(total, "big") & 0xFFFFFFFFF != 0
    if container == "mp3":
        return b"Xing" in head or b"Info" in head or b"VBRI" in head
    return False


def wav_of_unknown_length(declared_s: float, bytes_per_second: float) -> bool:
    """Recorders that cannot go back write 0x7FFFFFFF or 0xFFFFFFFF (or nearly) as the length."""
    return declared_s * bytes_per_second >= _WAV_UNKNOWN_BYTES


def wav_share_present(head: bytes, size: int) -> float:
    """Share of a WAV file's declared samples that are in the file; 1 when it declares nothing.

    FFmpeg silently takes what is there.
    """
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return 1.0
    offset = 12
    while offset + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, offset)
        offset += 8
        if name == b"data":
            known = 0 < length < _WAV_UNKNOWN_BYTES
            return min(1.0, (size - offset) / length) if known else 1.0
        offset += length + length % 2
    return 1.0
