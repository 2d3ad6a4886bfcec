"""What a file is, from its first bytes; its name and declared type are never asked.

An allow-list of our own: a library that knows hundreds of types would only have to be narrowed down again.
It is a courtesy to honest users, not a defence; the sandboxed decode pass decides what a file really is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["video", "audio", "image"]

HEAD_BYTES = 512
"""How many first bytes ``sniff`` wants."""


@dataclass(frozen=True)
class Sniffed:
    """A recognised type.

    Attributes:
        content_type: Media type.
        families: What it may hold; containers of sound and pictures name both.
    """

    content_type: str
    families: frozenset[Family]


_VIDEO: frozenset[Family] = frozenset({"video"})
_AUDIO: frozenset[Family] = frozenset({"audio"})
_IMAGE: frozenset[Family] = frozenset({"image"})
_EITHER = _VIDEO | _AUDIO

_PREFIXES: tuple[tuple[bytes, str, frozenset[Family]], ...] = (
    (b"\xff\xd8\xff", "image/jpeg", _IMAGE),
    (b"\x89PNG\r\n\x1a\n", "image/png", _IMAGE),
    (b"GIF87a", "image/gif", _IMAGE),
    (b"GIF89a", "image/gif", _IMAGE),
    (b"ID3", "audio/mpeg", _AUDIO),
    (b"fLaC", "audio/flac", _AUDIO),
    (b"caff", "audio/x-caf", _AUDIO),
    (b"#!AMR", "audio/amr", _AUDIO),
    (b".snd", "audio/basic", _AUDIO),
    (b"MAC ", "audio/x-ape", _AUDIO),
    (b"wvpk", "audio/x-wavpack", _AUDIO),
    (b"TTA1", "audio/x-tta", _AUDIO),
    (b"\x0b\x77", "audio/ac3", _AUDIO),
    (b"OggS", "application/ogg", _EITHER),
    (b"FLV\x01", "video/x-flv", _EITHER),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf", _EITHER),
    (b"\x00\x00\x01\xba", "video/mpeg", _VIDEO),
    (b"\x00\x00\x01\xb3", "video/mpeg", _VIDEO),
)
_RIFF = {b"WAVE": ("audio/wav", _AUDIO), b"AVI ": ("video/x-msvideo", _VIDEO), b"WEBP": ("image/webp", _IMAGE)}
_BRANDS: tuple[tuple[tuple[bytes, ...], str, frozenset[Family]], ...] = (
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "image/heic", _IMAGE),
    ((b"avif", b"avis"), "image/avif", _IMAGE),
    ((b"M4A ", b"M4B ", b"M4P "), "audio/mp4", _AUDIO),
    ((b"qt  ",), "video/quicktime", _EITHER),
)
_OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_TS_PACKET, _M2TS_PACKET, _TS_SYNC = 188, 192, 0x47


def sniff(head: bytes) -> Sniffed | None:
    """Type of the file that starts with ``head``; None if it is none of the accepted ones."""
    for magic, content_type, families in _PREFIXES:
        if head.startswith(magic):
            return Sniffed(content_type, families)
    return _iso(head) or _riff(head) or _matroska(head) or _transport_stream(head) or _mpeg_audio(head)


def _iso(head: bytes) -> Sniffed | None:
    if head[4:8] in _OLD_QUICKTIME:
        return Sniffed("video/quicktime", _EITHER)
    if head[4:8] != b"ftyp":
        return None
    brand = head[8:12]
    for brands, content_type, families in _BRANDS:
        if brand in brands:
            return Sniffed(content_type, families)
    return Sniffed("video/3gpp" if brand.startswith(b"3g") else "video/mp4", _EITHER)


def _riff(head: bytes) -> Sniffed | None:
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return Sniffed("audio/aiff", _AUDIO)
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] in _RIFF:
        return Sniffed(*_RIFF[head[8:12]])
    return None


def _matroska(head: bytes) -> Sniffed | None:
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    return Sniffed("video/webm" if b"webm" in head[:64] else "video/x-matroska", _EITHER)


def _transport_stream(head: bytes) -> Sniffed | None:
    for first, packet in ((0, _TS_PACKET), (4, _M2TS_PACKET)):
        if len(head) > first + packet and head[first] == head[first + packet] == _TS_SYNC:
            return Sniffed("video/mp2t", _EITHER)
    return None


def _mpeg_audio(head: bytes) -> Sniffed | None:
    # Some encoders pad the start with zeros.
    sync = head.lstrip(b"\0")[:4]
    if len(sync) < 4 or sync[0] != 0xFF or sync[1] & 0xE0 != 0xE0:
        return None
    version, layer = sync[1] >> 3 & 3, sync[1] >> 1 & 3
    if layer == 0 and sync[1] & 0xF0 == 0xF0:
        return Sniffed("audio/aac", _AUDIO)
    # Layer I is left out: FF FE, the byte order mark of UTF-16 text, would be one.
    if version == 1 or layer not in (1, 2) or sync[2] >> 4 == 15 or sync[2] >> 2 & 3 == 3:
        return None
    return Sniffed("audio/mpeg", _AUDIO)
