"""Files that ask their reader to open something else: another file of this machine, or a server on the network."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.media import make_hostile as make
from tests.media.boxes import box, changed, chunk, element, full_box, id3, id3_frame, riff
from tests.media.make_hostile import Case


@dataclass(frozen=True)
class Bait:
    """What the files name.

    Attributes:
        secrets: Absolute paths of files that nobody may read out.
        sibling: Path of another object as seen from an upload's folder.
        port: Of a listener on 127.0.0.1 that nobody may call.
    """

    secrets: tuple[str, ...]
    sibling: str
    port: int

    def url(self, scheme: str) -> str:
        """Address of the listener."""
        return f"{scheme}://127.0.0.1:{self.port}/secret.mp4"


def names(bait: Bait) -> list[str]:
    """File names that some readers take for addresses, patterns or paths."""
    secret = bait.secrets[0]
    return [
        f"concat:{secret}|{secret}",
        f"subfile,,start,0,end,0,,:{secret}",
        f"async:{secret}",
        bait.url("http"),
        bait.url("tcp"),
        "frame%05d.png",
        f"../../{bait.sibling}",
        secret,
        "CON",
        "-i",
        "photo\u202egpj.exe",
        "a" * 200 + ".mp4",
        "$(touch /tmp/overture-hostile).mp4",
        "';DROP TABLE items;--.mp4",
        "<script>alert(1)</script>.mp4",
    ]


def _mov_with(extra: bytes) -> bytes:
    """A clip with one more box in its index."""
    return changed(make.clip(1.0, sound=None), (b"moov",), lambda body: extra + body)


def _with_reference(kind: bytes, body: bytes) -> bytes:
    """A clip whose samples are said to lie elsewhere."""
    entry = struct.pack(">I", 1) + box(kind, body)
    path = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref")
    return changed(make.clip(1.0, sound=None), path, lambda _: bytes(4) + entry)


def _alias(path: str) -> bytes:
    """An alias record as the Macintosh wrote it, with an absolute and a relative path."""
    name = path.encode()
    head = bytes(4) + struct.pack(">4sHHH", b"alis", 200, 2, 0)
    fixed = b"\4disk".ljust(28, b"\0") + bytes(12) + (b"\7s.mp4".ljust(64, b"\0")) + bytes(16)
    fixed += struct.pack(">hh", 1, 1) + bytes(16)
    entries = b""
    for kind in (2, 18):
        entries += struct.pack(">hH", kind, len(name)) + name + bytes(len(name) % 2)
    return head + fixed + entries + struct.pack(">hH", -1, 0)


def _avi_with_playlist(playlist: str) -> bytes:
    """Motion JPEG whose subtitles are a playlist: how files of a server were read in 2017."""
    jpeg = make.picture("JPEG")
    header = struct.pack("<14I", 100_000, 100_000, 0, 0x10, 10, 0, 2, 0, 160, 90, 0, 0, 0, 0)
    rate = struct.pack("<IIIIIIiI", 0, 0, 1, 10, 0, 10, -1, 0) + struct.pack("<4H", 0, 0, 160, 90)
    vids = chunk(b"strh", b"vidsMJPG" + struct.pack("<II", 0, 0) + rate[4:])
    vids += chunk(b"strf", struct.pack("<IiiHH4sIiiII", 40, 160, 90, 1, 24, b"MJPG", 43200, 0, 0, 0, 0))
    words = chunk(b"strh", b"txts" + bytes(4) + struct.pack("<II", 0, 0) + rate[4:]) + chunk(b"strf", b"")
    text = playlist.encode()
    gab2 = b"GAB2\0" + struct.pack("<HI", 2, 2) + b"e\0" + struct.pack("<HI", 4, len(text)) + text
    lists = chunk(b"LIST", b"strl" + vids) + chunk(b"LIST", b"strl" + words)
    movie = b"".join(chunk(b"00dc", jpeg) for _ in range(5)) + chunk(b"01tx", gab2)
    movie += b"".join(chunk(b"00dc", jpeg) for _ in range(5))
    return riff(b"AVI ", chunk(b"LIST", b"hdrl" + chunk(b"avih", header) + lists), chunk(b"LIST", b"movi" + movie))


def _linked_matroska(secret: str) -> bytes:
    """A segment that names the file before it, with the file as an attachment's name."""
    names_of_others = element("3C83AB", secret.encode()) + element("3E83BB", secret.encode())
    identity = element("2AD7B1", b"\x0f\x42\x40") + element("4D80", b"x") + element("5741", b"x") + names_of_others
    data = make.clip(1.0, container="matroska", options={"live": "1"})
    at = data.index(b"\x1f\x43\xb6\x75")
    return data[:at] + element("1549A966", identity) + data[at:]


def _svg(bait: Bait) -> bytes:
    return (
        f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file://{bait.secrets[0]}">]>'
        f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{bait.url("http")}"/><text>&x;</text></svg>'
    ).encode()


def scripts(bait: Bait) -> dict[str, list[Case]]:
    """The family, with the bait in each file."""
    secret, http, tcp, rtmp = bait.secrets[0], bait.url("http"), bait.url("tcp"), bait.url("rtmp")

    def text(name: str, kind: str, code: str, words: str) -> Case:
        return Case(name, kind, code, lambda: words.encode())

    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n#EXTINF:9,\n{http}\n#EXT-X-ENDLIST\n"
    hostile, unreadable = "media-hostile", "media-unreadable"
    found = [
        text("ffconcat-file.mp4", "video", hostile, f"ffconcat version 1.0\nfile '{secret}'\n"),
        text("ffconcat-http.mp4", "video", hostile, f"ffconcat version 1.0\nfile '{http}'\n"),
        text("ffconcat-tcp.mp3", "audio", hostile, f"ffconcat version 1.0\nfile '{tcp}'\n"),
        text("ffconcat-sibling.mp4", "video", hostile, f"ffconcat version 1.0\nfile '{bait.sibling}'\n"),
        text("ffconcat-comment.mp4", "video", unreadable, f"# quiet\nffconcat version 1.0\nfile '{secret}'\n"),
        text("playlist.mp4", "video", hostile, playlist),
        text("playlist-key.mp4", "video", hostile, f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{http}"\n{secret}\n'),
        text("playlist-rtmp.mp4", "video", hostile, f"#EXTM3U\n#EXTINF:9,\n{rtmp}\n"),
        text("playlist.mp3", "audio", hostile, f"[playlist]\nFile1={http}\nNumberOfEntries=1\n"),
        text("dash-file.mp4", "video", hostile, f'<MPD><BaseURL>file://{secret}</BaseURL><x href="{http}"/></MPD>'),
        text("smil.mp4", "video", hostile, f'<smil><body><video src="{rtmp}"/></body></smil>'),
        text("session-port.mp4", "video", hostile, f"v=0\r\nc=IN IP4 127.0.0.1\r\nm=video {bait.port} RTP/AVP 96\r\n"),
        text("rtsp.mov", "video", hostile, f"RTSPtext\r\n{bait.url('rtsp')}\r\n"),
        text("asx.mp4", "video", unreadable, f'<asx version="3"><entry><ref href="{http}"/></entry></asx>'),
        text("concat.mp4", "video", unreadable, f"concat:{secret}|{http}"),
        text("subfile.mp4", "video", unreadable, f"subfile,,start,0,end,0,,:{secret}"),
        text("address.mp4", "video", unreadable, http),
        text("picture.mvg", "picture", unreadable, f"push graphic-context\nfill 'url({http})'\npop graphic-context\n"),
        text("script.eps", "picture", "media-type", f"%!PS-Adobe-3.0 EPSF-3.0\n({secret}) (r) file copypage\n"),
        Case("entity.svg", "picture", "media-type", lambda: _svg(bait)),
        Case("reference-url.mov", "video", "", lambda: _with_reference(b"url ", bytes(4) + http.encode() + b"\0")),
        Case(
            "reference-file.mov",
            "video",
            "",
            lambda: _with_reference(b"url ", bytes(4) + f"file://{secret}\0".encode()),
        ),
        Case("reference-alias.mov", "video", "media-truncated", lambda: _with_reference(b"alis", _alias(secret))),
        Case("movie-of-movies.mov", "video", "", lambda: _mov_with(_referred(http))),
        Case("subtitles-are-a-playlist.avi", "video", "", lambda: _avi_with_playlist(playlist)),
        Case(
            "subtitles-are-a-script.avi",
            "video",
            "",
            lambda: _avi_with_playlist(f"ffconcat version 1.0\nfile {secret}\n"),
        ),
        Case("linked.mkv", "video", "", lambda: _linked_matroska(secret)),
        Case("cover-elsewhere.mp3", "audio", "", lambda: _song_with_cover_at(http)),
    ]
    return {"names another file or server": found}


def _referred(address: str) -> bytes:
    reference = full_box(b"rdrf", b"url " + struct.pack(">I", len(address) + 1) + address.encode() + b"\0")
    return box(b"rmra", box(b"rmda", reference))


def _song_with_cover_at(address: str) -> bytes:
    cover = id3_frame(b"APIC", b"\0-->\0\3\0" + address.encode())
    return id3(cover) + make.audio("libmp3lame", "mp3", make.tone(1.0))
