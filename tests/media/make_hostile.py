"""Makes hostile files, which must be rejected, and honest odd ones, which must be accepted.

Nothing binary is in the repository: ``python tests/media/make_hostile.py FOLDER`` writes them all.
"""

from __future__ import annotations

import io
import struct
import sys
import tempfile
import wave
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pillow_heif
from PIL import Image, PngImagePlugin


@dataclass(frozen=True)
class Case:
    """A file to be analysed: ``code`` is the rejection it must meet, empty when it is honest."""

    name: str
    kind: str
    code: str
    make: Callable[[], bytes]


def noise(number: int, width: int = 160, height: int = 90) -> np.ndarray:
    """A smooth random picture, another one for each number. uint8 [height, width, 3]."""
    coarse = np.random.default_rng(number).integers(20, 236, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def tone(seconds: float, rate: int = 16_000, hz: float = 440.0) -> np.ndarray:
    """A sine at half scale. float32 [T]."""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def video(
    pictures: list[np.ndarray],
    *,
    container: str = "mp4",
    codec: str = "libx264",
    rate: int = 25,
    sound: np.ndarray | None = None,
    options: dict[str, str] | None = None,
    times: list[int] | None = None,
    tags: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    gop: int = 12,
) -> bytes:
    """A clip of the pictures; ``times`` in 1/rate s for a varying rate; mono 16 kHz ``sound``."""
    path = Path(tempfile.mkdtemp()) / "clip"  # moving the index to the front reads the file again
    with av.open(str(path), "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.gop_size = gop
        stream.options = {"preset": "ultrafast", "threads": "1"} if codec == "libx264" else {}
        audio = output.add_stream("aac", rate=16_000, layout="mono") if sound is not None else None
        output.metadata.update(tags or {})
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = times[number] if times else number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if audio is not None and sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[None, :], format="fltp", layout="mono")
            frame.rate = 16_000
            output.mux(audio.encode(frame))
            output.mux(audio.encode(None))
    data = path.read_bytes()
    path.unlink()
    path.parent.rmdir()
    return data


def clip(seconds: float = 4.0, **rest: object) -> bytes:
    """Moving noise with a tone."""
    frames = [np.roll(noise(1), 2 * i, axis=1) for i in range(int(25 * seconds))]
    return video(frames, **{"sound": tone(seconds), **rest})  # type: ignore[arg-type]


def audio(codec: str, container: str, samples: np.ndarray, rate: int = 16_000) -> bytes:
    """Mono sound in a codec that takes planar or packed floats or s16."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        form = stream.codec_context.format.name if stream.codec_context.format else "fltp"
        resampler = av.AudioResampler(format=form, layout="mono", rate=rate)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
        frame.rate = rate
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def half(data: bytes) -> bytes:
    """A file that was cut."""
    return data[: len(data) // 2]


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    """16-bit mono."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def float_wav(samples: np.ndarray, rate: int = 16_000, channels: int = 1) -> bytes:
    """32-bit float."""
    body = samples.astype("<f4").tobytes()
    head = struct.pack("<HHIIHH", 3, channels, rate, rate * 4 * channels, 4 * channels, 32)
    chunks = b"fmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def picture(form: str, image: Image.Image | None = None, **rest: object) -> bytes:
    """An encoded picture."""
    file = io.BytesIO()
    (image or Image.fromarray(noise(3))).save(file, format=form, **rest)
    return file.getvalue()


def png_chunk(name: bytes, body: bytes) -> bytes:
    """With length and checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def huge_png(side: int) -> bytes:
    """Grey, all zero, compressed 1000 to 1."""
    packer = zlib.compressobj(9)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    # after a full flush a block stands for itself, so it can be repeated
    block = packer.compress(bytes((side + 1) * 100)) + packer.flush(zlib.Z_FULL_FLUSH)
    body = start + block * (side // 100) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = png_chunk(b"IHDR", head), png_chunk(b"IDAT", body), png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def ztxt_bomb(chunk: bytes = b"zTXt") -> bytes:
    """A 1 MB text chunk that inflates to 1 GB."""
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(b"A" * 2**20) for _ in range(256)) + packer.flush()
    plain = picture("PNG")
    return plain[:33] + png_chunk(chunk, b"Comment\0\0" + bomb) + plain[33:]


def long_gif(frames: int) -> bytes:
    """1 x 1 pixels, many frames of 11 bytes."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b";"


def many_streams(count: int) -> bytes:
    """A Matroska file with more sound streams than any recording."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        streams = [output.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in range(count)]
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), "s16", "mono")
            frame.rate = 16_000
            output.mux(stream.encode(frame))
    return file.getvalue()


def turned_clip() -> bytes:
    """160 x 90, red on the left, to be shown turned by 90 degrees clockwise: red on top."""
    pixels = np.zeros((90, 160, 3), np.uint8)
    pixels[:, :80, 0] = 255
    pixels[:, 80:, 2] = 255
    data = bytearray(video([pixels] * 10))
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    return bytes(data)


def turned_jpeg() -> bytes:
    """96 x 64, red on the left, with an orientation (6) that puts it on top."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a walk"
    return picture("JPEG", half_red(), exif=exif.tobytes(), quality=95)


def half_red() -> Image.Image:
    """96 x 64, left half red, right half blue."""
    image = Image.new("RGB", (96, 64), "blue")
    image.paste("red", (0, 0, 48, 64))
    return image


def motion_photo() -> bytes:
    """A JPEG with a clip behind it, as telephones make them."""
    return picture("JPEG") + clip(1.0)


def heic() -> bytes:
    """HEIC, left half red."""
    file = io.BytesIO()
    pillow_heif.from_pillow(half_red()).save(file, quality=90)
    return file.getvalue()


def animation(form: str, count: int) -> bytes:
    """Frames of different colours, 100 ms each."""
    frames = [Image.fromarray(noise(i)) for i in range(count)]
    return picture(form, frames[0], save_all=True, append_images=frames[1:], duration=100, loop=0)


def png_with_text() -> bytes:
    """An honest caption."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "holiday")
    return picture("PNG", pnginfo=info)


def sixteen_bit_png() -> bytes:
    """A grey ramp of 16-bit samples."""
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    return picture("PNG", Image.fromarray(ramp))


def wav_of_unknown_length(mark: int) -> bytes:
    """As written by a recorder that streams."""
    data = bytearray(wav(tone(1.0)))
    data[4:8] = data[40:44] = struct.pack("<I", mark)
    return bytes(data)


def subtitled() -> bytes:
    """A clip with a tag that hides control characters, and text subtitles."""
    file = io.BytesIO()
    lines = io.BytesIO(b"1\n00:00:00,100 --> 00:00:01,000\n<i>buy followers</i>\nat example.org\n\n")
    with (
        av.open(io.BytesIO(clip(2.0))) as source,
        av.open(lines, format="srt") as words,
        av.open(file, "w", format="matroska") as output,
    ):
        inputs = [source.streams.video[0], words.streams.subtitles[0]]
        copies = [output.add_stream_from_template(stream) for stream in inputs]
        output.metadata["title"] = "My\u202e song\x07"
        output.metadata["comment"] = "a quiet song " * 400
        for stream, copy in zip(inputs, copies, strict=True):
            for packet in stream.container.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    output.mux(packet)
    return file.getvalue()


_NUMBERS = np.array([0.1, np.nan, 0.2, np.inf] * 4000, dtype=np.float32)
_CLIP = clip(4.0, options={"movflags": "faststart"})
_SOUND = tone(2.0)

HOSTILE = [
    *(Case(f"empty-{kind}", kind, "media-empty", lambda: b"") for kind in ("video", "audio", "picture")),
    *(
        Case(f"garbage-{kind}", kind, "media-unreadable", lambda: np.random.default_rng(5).bytes(50_000))
        for kind in ("video", "audio", "picture")
    ),
    Case("text.mp3", "audio", "media-unreadable", lambda: b"These are words and no music.\n" * 500),
    Case("ffconcat.mp4", "video", "media-hostile", lambda: b"ffconcat version 1.0\nfile other.mp4\n"),
    Case("ffconcat.mp3", "audio", "media-hostile", lambda: b"\xef\xbb\xbf\nffconcat version 1.0\nfile o.mp3\n"),
    Case(
        "list.m3u8",
        "video",
        "media-hostile",
        lambda: b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    ),
    Case("dash.mp4", "video", "media-hostile", lambda: b'<?xml version="1.0"?><MPD><Period/></MPD>'),
    Case("session.mp4", "video", "media-hostile", lambda: b"v=0\r\nm=video 9 RTP/AVP 96\r\n"),
    Case("cut-index-in-front.mp4", "video", "media-truncated", lambda: _CLIP[: int(len(_CLIP) * 0.5)]),
    Case("cut-index-at-end.mp4", "video", "media-truncated", lambda: clip(4.0)[:30_000]),
    Case("cut.wav", "audio", "media-truncated", lambda: wav(tone(4.0))[:60_000]),
    Case("cut.flac", "audio", "media-truncated", lambda: half(audio("flac", "flac", tone(8.0)))),
    Case("cut.mp3", "audio", "media-truncated", lambda: half(audio("libmp3lame", "mp3", tone(8.0)))),
    Case("cut.jpg", "picture", "media-truncated", lambda: picture("JPEG")[:1500]),
    Case("cut.png", "picture", "media-truncated", lambda: picture("PNG")[:5000]),
    Case("huge.png", "picture", "media-too-large", lambda: huge_png(30_000)),
    Case("needle.png", "picture", "media-too-large", lambda: picture("PNG", Image.new("L", (9000, 2)))),
    Case("ztxt.png", "picture", "media-hostile", ztxt_bomb),
    Case("long.gif", "picture", "media-too-many-frames", lambda: long_gif(1_000_000)),
    Case("picture.bmp", "picture", "media-type", lambda: picture("BMP")),
    Case("picture.tif", "picture", "media-type", lambda: picture("TIFF")),
    Case("script.eps", "picture", "media-type", lambda: picture("EPS")),
    Case("vector.svg", "picture", "media-type", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    Case("picture.mp4", "video", "media-type", lambda: picture("PNG")),
    Case("song-as.mp4", "video", "media-type", lambda: audio("aac", "mp4", _SOUND)),
    Case("silent-clip.m4a", "audio", "media-type", lambda: clip(1.0, sound=None)),
    Case("raw-video.avi", "video", "media-type", lambda: clip(1.0, container="avi", codec="rawvideo")),
    Case("day.wav", "audio", "media-bad-audio", lambda: wav(np.zeros(86_400, np.float32), rate=1)),
    Case("channels.wav", "audio", "media-bad-audio", lambda: float_wav(np.zeros(64_000), channels=64)),
    Case("not-a-number.wav", "audio", "media-bad-audio", lambda: float_wav(_NUMBERS)),
    Case("half-hour.wav", "audio", "media-too-long", lambda: wav(np.zeros(8_000 * 1800, np.float32), 8_000)),
    Case("click.wav", "audio", "media-too-short", lambda: wav(tone(0.02))),
    Case("streams.mkv", "audio", "media-too-many-streams", lambda: many_streams(40)),
]

HONEST = [
    Case("plain.mp4", "video", "", lambda: _CLIP),
    Case("no-sound.mp4", "video", "", lambda: clip(1.0, sound=None)),
    Case("fragmented.mp4", "video", "", lambda: clip(2.0, options={"movflags": "frag_keyframe+empty_moov"})),
    Case("plain.mov", "video", "", lambda: clip(1.0, container="mov")),
    Case("live.mkv", "video", "", lambda: clip(2.0, container="matroska", options={"live": "1"})),
    Case("vp8.webm", "video", "", lambda: clip(1.0, container="webm", codec="libvpx", sound=None)),
    Case("stream.ts", "video", "", lambda: clip(2.0, container="mpegts")),
    Case("ten-bit.mp4", "video", "", lambda: clip(1.0, pix_fmt="yuv420p10le")),
    Case(
        "varying-rate.mp4",
        "video",
        "",
        lambda: video([noise(i // 10) for i in range(40)], rate=1000, times=[i * i * 3 for i in range(40)]),
    ),
    Case("one-frame.mp4", "video", "", lambda: video([noise(1)])),
    Case("turned.mp4", "video", "", turned_clip),
    Case("subtitled.mkv", "video", "", subtitled),
    Case("plain.wav", "audio", "", lambda: wav(_SOUND)),
    Case("unknown-ff.wav", "audio", "", lambda: wav_of_unknown_length(0xFFFFFFFF)),
    Case("unknown-7f.wav", "audio", "", lambda: wav_of_unknown_length(0x7FFFFFFF)),
    Case("unknown-0.wav", "audio", "", lambda: wav_of_unknown_length(0)),
    Case("loud-float.wav", "audio", "", lambda: float_wav(3 * _SOUND)),
    Case("song.mp3", "audio", "", lambda: audio("libmp3lame", "mp3", _SOUND)),
    Case("song.flac", "audio", "", lambda: audio("flac", "flac", _SOUND)),
    Case("song.ogg", "audio", "", lambda: audio("libopus", "ogg", tone(2.0, 48_000), 48_000)),
    Case("song.m4a", "audio", "", lambda: audio("aac", "mp4", _SOUND)),
    Case("song.aac", "audio", "", lambda: audio("aac", "adts", _SOUND)),
    Case("song.aiff", "audio", "", lambda: audio("pcm_s16be", "aiff", _SOUND)),
    Case("music-clip.mp4", "audio", "", lambda: _CLIP),
    Case("plain.png", "picture", "", lambda: picture("PNG")),
    Case("caption.png", "picture", "", png_with_text),
    Case("sixteen-bit.png", "picture", "", sixteen_bit_png),
    Case("palette.png", "picture", "", lambda: picture("PNG", Image.fromarray(noise(3)).quantize(16))),
    Case("bilevel.png", "picture", "", lambda: picture("PNG", Image.new("1", (50, 50), 1))),
    Case("alpha.png", "picture", "", lambda: picture("PNG", Image.new("RGBA", (50, 50), (0, 0, 0, 0)))),
    Case("grey-alpha.png", "picture", "", lambda: picture("PNG", Image.new("LA", (50, 50), (0, 0)))),
    Case("plain.jpg", "picture", "", lambda: picture("JPEG")),
    Case("cmyk.jpg", "picture", "", lambda: picture("JPEG", Image.new("CMYK", (64, 64), (0, 255, 255, 0)))),
    Case("grey.jpg", "picture", "", lambda: picture("JPEG", Image.new("L", (64, 64), 128))),
    Case("motion.jpg", "picture", "", motion_photo),
    Case("turned.jpg", "picture", "", turned_jpeg),
    Case("two-pictures.jpg", "picture", "", lambda: animation("MPO", 2)),
    Case("broken-exif.jpg", "picture", "", lambda: picture("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\1\x12")),
    Case("large.jpg", "picture", "", lambda: picture("JPEG", Image.new("RGB", (7000, 5000), "green"))),
    Case("plain.webp", "picture", "", lambda: picture("WEBP")),
    Case("moving.webp", "picture", "", lambda: animation("WEBP", 12)),
    Case("moving.gif", "picture", "", lambda: animation("GIF", 12)),
    Case("still.gif", "picture", "", lambda: picture("GIF")),
    Case("photo.heic", "picture", "", heic),
]


def main(folder: Path) -> None:
    """Write every file."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in [*HOSTILE, *HONEST]:
        (folder / case.name).write_bytes(case.make())
    sys.stdout.write(f"{len(list(folder.iterdir()))} files\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
