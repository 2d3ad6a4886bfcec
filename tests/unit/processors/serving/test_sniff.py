"""First bytes of files, honest ones of many kinds and those that only look like one."""

from __future__ import annotations

import pytest

from processors.serving.sniff import sniff

PAD = bytes(600)


@pytest.mark.parametrize(
    ("head", "content_type", "families"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg", "image"),
        (b"\x89PNG\r\n\x1a\n", "image/png", "image"),
        (b"GIF89a", "image/gif", "image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", "image"),
        (b"\0\0\0\x18ftypheic", "image/heic", "image"),
        (b"\0\0\0\x18ftypmif1", "image/heic", "image"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "audio/wav", "audio"),
        (b"RF64\xff\xff\xff\xffWAVE", "audio/wav", "audio"),
        (b"FORM\0\0\0\0AIFF", "audio/aiff", "audio"),
        (b"fLaC", "audio/flac", "audio"),
        (b"ID3\x04", "audio/mpeg", "audio"),
        (b"\xff\xfb\x90\x64", "audio/mpeg", "audio"),
        (b"\0\0\0\xff\xfb\x90\x64", "audio/mpeg", "audio"),
        (b"\xff\xf1\x50\x80", "audio/aac", "audio"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4", "audio"),
        (b"\0\0\0\x18ftypisom", "video/mp4", "audio video"),
        (b"\0\0\0\x14ftypqt  ", "video/quicktime", "audio video"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video/quicktime", "audio video"),
        (b"\0\0\0\x14ftyp3gp5", "video/3gpp", "audio video"),
        (b"\x1aE\xdf\xa3\x9fB\x82\x84webm", "video/webm", "audio video"),
        (b"\x1aE\xdf\xa3\xa3B\x82\x88matroska", "video/x-matroska", "audio video"),
        (b"OggS\0\x02", "application/ogg", "audio video"),
        (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo", "video"),
        (b"\x47" + bytes(187) + b"\x47", "video/mp2t", "audio video"),
        (bytes(4) + b"\x47" + bytes(191) + b"\x47", "video/mp2t", "audio video"),
        (b"\0\0\x01\xba\x44", "video/mpeg", "video"),
    ],
)
def test_known(head: bytes, content_type: str, families: str) -> None:
    found = sniff(head + PAD)
    assert found is not None
    assert found.content_type == content_type
    assert " ".join(sorted(found.families)) == families


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0",
        b"\xff",
        b"\xff\xd8",
        bytes(512),
        b"hello world, this is a text",
        b"\xef\xbb\xbfhello",
        "hello there".encode("utf-16"),
        b"<svg xmlns=...>",
        b"<?xml version='1.0'?>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"MZ\x90",
        b"\x7fELF",
        b"BM\x36\x10",
        b"II*\0",
        b"%!PS-Adobe",
        b"MThd\0\0\0\x06",
        b"RIFF\0\0\0\0XXXX",
        b"#EXTM3U\nfile:///etc/passwd",
        b"ffconcat version 1.0",
        b"\xff\xff\xff\xff\xff\xff",
    ],
)
def test_unknown(head: bytes) -> None:
    assert sniff(head) is None
