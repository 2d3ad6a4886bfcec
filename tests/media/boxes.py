"""Bytes of the containers that hostile files are put together from, by hand where no muxer would write them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator


def box(name: bytes, body: bytes, declared: int = 0) -> bytes:
    """A box of MP4 and MOV; ``declared`` is a length that lies."""
    return struct.pack(">I", declared or 8 + len(body)) + name + body


def full_box(name: bytes, body: bytes) -> bytes:
    """A box with version 0 and no flags."""
    return box(name, bytes(4) + body)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + size]
        at += size


def changed(data: bytes, path: tuple[bytes, ...], change: Callable[[bytes], bytes]) -> bytes:
    """The file with another body in the box at ``path``; all lengths above it are put right.

    The index must stand behind the samples, so that no offset moves.
    """
    parts = []
    for name, body in _boxes(data):
        new = body
        if name == path[0]:
            new = change(body) if len(path) == 1 else changed(body, path[1:], change)
        parts.append(box(name, new))
    return b"".join(parts)


def patched(at: int, new: bytes) -> Callable[[bytes], bytes]:
    """A change of ``changed`` that overwrites bytes."""
    return lambda body: body[:at] + new + body[at + len(new) :]


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of RIFF."""
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def riff(form: bytes, *chunks: bytes) -> bytes:
    """A RIFF file."""
    body = form + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def wave_format(tag: int, channels: int, rate: int, align: int, bits: int) -> bytes:
    """The chunk that says how WAV samples are kept."""
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, (rate * align) % 2**32, align, bits))


def element(name: str, body: bytes, declared: int | None = None) -> bytes:
    """An element of Matroska (``name`` in hexadecimal) with a length of eight bytes."""
    size = len(body) if declared is None else declared
    return bytes.fromhex(name) + struct.pack(">Q", size | 1 << 56) + body


def syncsafe(number: int) -> bytes:
    """28 bits in four bytes, as ID3 counts."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def id3(frames: bytes, declared: int | None = None) -> bytes:
    """A tag of ID3 version 2.4."""
    return b"ID3\x04\0\0" + syncsafe(len(frames) if declared is None else declared) + frames


def id3_frame(name: bytes, body: bytes, flags: int = 0) -> bytes:
    """A frame of that tag."""
    return name + syncsafe(len(body)) + struct.pack(">H", flags) + body


def _ogg_table() -> list[int]:
    table = []
    for value in range(256):
        register = value << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register & 1 << 31 else 0)) & 0xFFFFFFFF
        table.append(register)
    return table


_OGG = _ogg_table()


def ogg_page(packet: bytes, *, flags: int, serial: int, number: int, granule: int = 0) -> bytes:
    """A page of Ogg with one packet (RFC 3533) and its right checksum."""
    lacing = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    head = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, serial, number, 0) + bytes([len(lacing)]) + lacing
    checksum = 0
    for byte in head + packet:
        checksum = (checksum << 8 ^ _OGG[checksum >> 24 ^ byte]) & 0xFFFFFFFF
    return head[:22] + struct.pack("<I", checksum) + head[26:] + packet
