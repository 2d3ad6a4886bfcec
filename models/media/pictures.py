"""Pictures and animations: Pillow with an explicit list of formats, HEIC by libheif."""

from __future__ import annotations

import io
import math
import struct
import warnings
from typing import IO, Any

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import (
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from models.media.analysers.samples import finished
from models.media.embedded_text import embedded_text
from models.media.facts import EmbeddedText, Facts, Findings, complete
from models.media.limits import LIMITS, Limits
from models.media.rejection import RejectedMediaError
from models.media.unlike_frames import UnlikeFrames

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "HEIF")
# what Pillow's parsers raise on broken input, besides OSError
_BROKEN = (SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError, AttributeError)
_OTHER_TYPES = (
    *(b"BM", b"II*\0", b"MM\0*", b"%!PS", b"8BPS", b"\0\0\1\0", b"<svg", b"<?xml", b"%PDF", b"PK\x03\x04", b"DDS "),
    *(b"\0\0\0\x0cjP", b"ID3", b"OggS", b"fLaC", b"\x1a\x45\xdf\xa3", b"\xff\xfb", b"\xff\xf3", b"\x7fELF"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_STRIP = 64
"""Rows of a picture that are copied at a time."""
_EXIF_ORIENTATION = 0x0112
_EXIF_TEXT = {0x010E: "description", 0x013B: "artist", 0x8298: "copyright"}
# orientation -> (mirror left to right first, counter-clockwise quarter turns)
_ORIENTATIONS = {
    1: (False, 0),
    2: (True, 0),
    3: (False, 2),
    4: (True, 2),
    5: (True, 1),
    6: (False, 3),
    7: (True, 3),
    8: (False, 1),
}


def warm_up() -> None:
    """Register the decoders and use each once: several import more on first use."""
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener(thumbnails=False)
    Image.preinit()
    plugins = (GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin)
    for plugin, name in zip(plugins, ("GIF", "JPEG", "JPEG", "PNG", "WEBP"), strict=True):
        file = io.BytesIO()
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = 6
        Image.new("RGB", (900, 900)).save(file, format=name, exif=exif.tobytes())
        if name not in Image.OPEN:
            raise RuntimeError(f"{plugin.__name__} is not registered")
        analyse(file, LIMITS)


def analyse(file: IO[bytes], limits: Limits) -> Findings:
    """Decode one picture or a selection of an animation's frames.

    Raises:
        RejectedMediaError: The picture is to blame.
    """
    Image.MAX_IMAGE_PIXELS = limits.picture_max_pixels
    warnings.simplefilter("ignore")
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(image, limits)
            return _decode(image, limits)
    except UnidentifiedImageError as error:
        file.seek(0)
        raise RejectedMediaError(*_unidentified(file.read(512))) from error
    except Image.DecompressionBombError as error:
        raise RejectedMediaError("media-too-large", str(error)) from error
    except (PermissionError, ImportError):
        raise  # the sandbox was asked for something: that is ours
    except OSError as error:
        cut = "truncated" in str(error).lower() or "broken data stream" in str(error)
        raise RejectedMediaError("media-truncated" if cut else "media-unreadable", str(error)) from error
    except (*_BROKEN, RuntimeError, struct.error) as error:
        # PngImagePlugin's limits on text chunks: a bomb
        bomb = "Decompressed data too large" in str(error) or "Too much memory" in str(error)
        code = "media-hostile" if bomb else "media-unreadable"
        raise RejectedMediaError(code, f"{type(error).__name__}: {error}") from error


def _unidentified(head: bytes) -> tuple[str, str]:
    """Whether it is another kind of picture or nothing at all."""
    other_iso = head[4:8] == b"ftyp" and head[8:12] not in _HEIF_BRANDS
    if head.startswith(_OTHER_TYPES) or other_iso:
        return "media-type", "a picture of a kind that is not accepted"
    return "media-unreadable", "no picture"


def _check_size(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.picture_max_pixels or max(width, height) > limits.picture_max_side:
        raise RejectedMediaError("media-too-large", f"{width} x {height} pixels")
    if max(width, height) > limits.picture_max_aspect * max(1, min(width, height)):
        raise RejectedMediaError("media-too-large", f"{width} x {height} is no picture's shape")


def _decode(image: Image.Image, limits: Limits) -> Findings:
    width, height = image.size
    picture_format = (image.format or "").lower()
    mirror, turns = _orientation(image)
    # a JPEG of several pictures (MPO, motion photo) is one photograph
    animated = picture_format in ("gif", "webp", "png") and bool(getattr(image, "is_animated", False))
    store = UnlikeFrames()
    ends = _read_frames(image, store, limits, single=not animated)
    end_ms = ends[-1]
    shots = np.array([[0, end_ms]], dtype=np.int64)
    starts = np.array(store.times)
    chosen = store.chosen(limits.picture_max_samples)
    frames = [store.images[i] for i in chosen]
    upright = [finished(np.fliplr(frame) if mirror else frame, turns) for frame in frames]
    facts = Facts(
        kind="picture",
        container="jpeg" if picture_format == "mpo" else picture_format,
        video_codec="jpeg" if picture_format == "mpo" else picture_format,
        has_video=True,
        animated=len(ends) > 1,
        width=height if turns % 2 else width,
        height=width if turns % 2 else height,
        rotation=(-90 * turns) % 360,
        fps=round(1000.0 * len(ends) / end_ms, 3) if len(ends) > 1 and end_ms else 0.0,
        duration_ms=end_ms,
        frame_count=len(ends),
        sampling="full",
    )
    arrays = complete(
        {
            "frames": upright[0][None] if len(upright) == 1 else np.stack(upright),
            "frame_times_ms": starts[chosen].astype(np.int64),
            "frame_shots": np.zeros(len(chosen), dtype=np.int32),
            "shots": shots,
        }
    )
    return Findings(facts, arrays, _text(image, limits))


def _read_frames(image: Image.Image, store: UnlikeFrames, limits: Limits, *, single: bool) -> list[int]:
    """Go through the frames once. Returns the end of each in ms (0 for a still picture)."""
    if single:
        image.draft("RGB", _least_size(image, limits))
        store.add(0, to_rgb(image, limits.frame_long_side))
        return [0]
    now, pixels, ends = 0, 0, []
    for number in range(limits.picture_max_frames + 1):
        try:
            image.seek(number)
        except EOFError:
            break
        if number == limits.picture_max_frames:
            raise RejectedMediaError("media-too-many-frames", f"more than {number} frames")
        _check_size(image, limits)
        # a frame of one pixel costs as much as its canvas
        pixels += image.width * image.height
        if pixels > limits.picture_animation_pixels:
            raise RejectedMediaError("media-limit", f"more than {pixels} pixels in {number + 1} frames")
        store.add(now, to_rgb(image, limits.frame_long_side))
        # browsers show frames of 0 or 10 ms for 100 ms
        shown = int(image.info.get("duration") or 0)
        now += shown if 10 < shown < 600_000 else 100
        ends.append(now)
    return ends if len(ends) > 1 else [0]


def _least_size(image: Image.Image, limits: Limits) -> tuple[int, int]:
    """Width and height that a JPEG must keep while it is decoded."""
    if limits.jpeg_margin is None:
        return 2 * limits.frame_long_side, 2 * limits.frame_long_side
    scale = limits.jpeg_margin * limits.frame_long_side / max(image.size)
    return math.ceil(image.width * scale), math.ceil(image.height * scale)


def _orientation(image: Image.Image) -> tuple[bool, int]:
    """Mirror and quarter turns by EXIF; broken EXIF is common in honest files and means upright."""
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except (*_BROKEN, OSError, struct.error):
        return _ORIENTATIONS[1]
    return _ORIENTATIONS.get(value, _ORIENTATIONS[1]) if isinstance(value, int) else _ORIENTATIONS[1]


def _text(image: Image.Image, limits: Limits) -> EmbeddedText:
    tags = {name: value for name, value in image.info.items() if isinstance(name, str) and isinstance(value, str)}
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        tags["comment"] = comment.decode("utf-8", "replace")
    try:
        exif = image.getexif()
        tags |= {name: str(exif[tag]) for tag, name in _EXIF_TEXT.items() if tag in exif}
    except (*_BROKEN, OSError, struct.error):
        pass  # broken EXIF holds no text
    return embedded_text([tags], (), limits)


def to_rgb(image: Image.Image, long_side: int) -> NDArray[np.uint8]:
    """The current frame: 8-bit RGB over white, long side at most ``long_side``, area-averaged.

    Returns:
        uint8 [height, width, 3].
    """
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        small = _fit(np.asarray(image, dtype=np.float32), long_side)
        # sixteen bits a sample: Pillow's own conversion clips instead of scaling
        grey = np.clip(small / 257.0, 0, 255).round().astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGB", "L"):
        plain = image
    elif "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        plain = _shrunk(image.convert("RGBA"), long_side)
        plain = Image.alpha_composite(Image.new("RGBA", plain.size, "white"), plain).convert("RGB")
    else:
        plain = image.convert("RGB")
    plain = _shrunk(plain, long_side)
    # convert() copies a picture that is RGB already
    return _fit(_pixels(plain if plain.mode == "RGB" else plain.convert("RGB")), long_side)


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """An RGB picture as uint8 [height, width, 3], strip by strip: as a whole it would be in memory two times more on
    the way, and a new process pays for each page that it touches."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        bottom = min(height, top + _STRIP)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def _shrunk(image: Image.Image, long_side: int) -> Image.Image:
    """By a whole factor, to not less than twice the final size: bounds memory."""
    factor = max(image.size) // (2 * long_side)
    return image.reduce(factor) if factor > 1 else image


def _fit(pixels: NDArray[Any], long_side: int) -> NDArray[Any]:
    height, width = pixels.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1.0:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
