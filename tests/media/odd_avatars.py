"""Avatars as people send them: formats, tricks and mistakes round one real portrait, and pictures of no person."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import pillow_heif
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from infra.demo.faces import picture
from tests.media.make_hostile import clip, half, huge_png
from tests.media.make_hostile import picture as encoded

EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Avatar:
    """One file.

    Attributes:
        name: File name.
        make: Makes its bytes.
        codes: Reasons of which at least one must be given; empty: it is approved.
        decision: What becomes of it; empty: refused or looked at by a person.
    """

    name: str
    make: Callable[[], bytes]
    codes: tuple[str, ...] = ()
    decision: str = ""


@cache
def portrait() -> Image.Image:
    """A person who looks into the camera, 512 x 512."""
    with Image.open(picture("astronaut")) as image:
        return image.convert("RGB")


@cache
def other_portrait() -> Image.Image:
    """Another person, 512 x 600."""
    with Image.open(picture("hopper")) as image:
        return image.convert("RGB")


def face_of(image: Image.Image, side: int) -> Image.Image:
    """The middle of a portrait, a square of that side."""
    width, height = image.size
    return ImageOps.fit(image.crop((width // 5, 0, width - width // 5, int(height * 0.6))), (side, side))


def moving(form: str, second: Image.Image | None = None) -> bytes:
    """Three frames that hardly differ, or of which the last two show another picture."""
    first = portrait()
    later = (
        [second.resize(first.size)] * 2
        if second
        else [first.transform(first.size, 0, (1, 0, s, 0, 1, 0)) for s in (2, 4)]
    )
    options: dict[str, Any] = {"quality": 90} if form == "WEBP" else {}
    return encoded(form, first, save_all=True, append_images=later, duration=200, loop=0, **options)


def sixteen_bit() -> bytes:
    """A PNG with 16 bits for each of three channels."""
    done, data = cv2.imencode(".png", np.asarray(portrait())[:, :, ::-1].astype(np.uint16) * 257)
    assert done
    return bytes(data)


def turned(orientation: int) -> bytes:
    """A JPEG whose pixels lie otherwise and whose EXIF says how to put them right."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = portrait().transpose(undo[orientation]) if orientation in undo else portrait()
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return encoded("JPEG", image, exif=exif.tobytes(), quality=95)


def heic() -> bytes:
    """As telephones send it."""
    file = io.BytesIO()
    pillow_heif.from_pillow(portrait()).save(file, quality=90)
    return file.getvalue()


def collage(*people: Image.Image, columns: int) -> bytes:
    """Faces side by side."""
    rows = -(-len(people) // columns)
    sheet = Image.new("RGB", (columns * 240, rows * 240), "white")
    for number, person in enumerate(people):
        sheet.paste(face_of(person, 240), (number % columns * 240, number // columns * 240))
    return encoded("JPEG", sheet, quality=92)


def mirrored() -> bytes:
    """A person and the same in a mirror beside."""
    person = portrait().crop((80, 0, 400, 400))
    sheet = Image.new("RGB", (640, 400))
    sheet.paste(person, (0, 0))
    sheet.paste(ImageOps.mirror(person), (320, 0))
    return encoded("JPEG", sheet, quality=92)


def drawing() -> bytes:
    """A face of lines and plain colours."""
    sheet = Image.new("RGB", (600, 600), (250, 214, 120))
    pen = ImageDraw.Draw(sheet)
    ink = (30, 25, 25)
    pen.ellipse((150, 90, 450, 480), fill=(255, 219, 188), outline=ink, width=6)
    pen.pieslice((140, 60, 460, 330), 180, 360, fill=(90, 50, 30), outline=ink, width=6)
    for left in (215, 325):
        pen.ellipse((left, 240, left + 60, 290), fill="white", outline=ink, width=4)
        pen.ellipse((left + 20, 252, left + 42, 278), fill=ink)
        pen.line((left - 5, 225, left + 65, 220), fill=ink, width=7)
    pen.line((300, 290, 285, 350, 310, 355), fill=ink, width=5)
    pen.arc((235, 340, 365, 430), 20, 160, fill=(170, 40, 50), width=9)
    pen.rectangle((190, 480, 410, 600), fill=(60, 110, 190), outline=ink, width=6)
    return encoded("PNG", sheet)


def statue() -> bytes:
    """The portrait turned to stone: no colour, the grain of marble, no dark of the eyes."""
    grey = np.asarray(ImageOps.grayscale(portrait()), np.float32)
    smooth = cv2.bilateralFilter(grey, 9, 40, 9)
    random = np.random.default_rng(7)
    veins = cv2.GaussianBlur(random.normal(0, 60, grey.shape).astype(np.float32), (0, 0), 6)
    stone = np.clip(120 + 0.45 * (smooth - smooth.mean()) + veins + random.normal(0, 4, grey.shape), 0, 255)
    tinted = np.stack([stone * 1.02, stone, stone * 0.94], axis=2).clip(0, 255).astype(np.uint8)
    return encoded("JPEG", Image.fromarray(tinted), quality=92)


def screenshot() -> bytes:
    """The profile page of an app with a small portrait in it."""
    sheet = Image.new("RGB", (540, 960), (248, 248, 250))
    pen = ImageDraw.Draw(sheet)
    font, small = ImageFont.load_default(26), ImageFont.load_default(18)
    pen.rectangle((0, 0, 540, 36), fill=(20, 20, 24))
    pen.text((20, 8), "12:04", "white", small)
    pen.rectangle((0, 36, 540, 100), fill=(70, 90, 220))
    pen.text((24, 54), "Profile", "white", font)
    sheet.paste(face_of(portrait(), 120), (24, 130))
    pen.text((170, 150), "sky_walker", (20, 20, 24), font)
    for row in range(6):
        top = 300 + row * 96
        pen.rounded_rectangle((24, top, 516, top + 76), 12, fill="white", outline=(220, 220, 226), width=2)
        pen.text((44, top + 12), f"Song number {row + 1}", (20, 20, 24), font)
        pen.text((44, top + 46), "3:41   played 120 times", (120, 120, 128), small)
    pen.rectangle((0, 890, 540, 960), fill="white", outline=(220, 220, 226))
    return encoded("PNG", sheet)


def code() -> bytes:
    """A QR code on a poster."""
    matrix = cv2.QRCodeEncoder.create().encode("https://example.org/add/u-17")
    tile = Image.fromarray(matrix).resize((420, 420), Image.Resampling.NEAREST).convert("RGB")
    sheet = Image.new("RGB", (600, 640), "white")
    sheet.paste(tile, (90, 60))
    ImageDraw.Draw(sheet).text((300, 520), "Add me", (20, 20, 24), ImageFont.load_default(60), anchor="mt")
    return encoded("PNG", sheet)


def with_code() -> bytes:
    """A portrait with a QR code in its corner."""
    matrix = cv2.QRCodeEncoder.create().encode("https://example.org/add/u-17")
    tile = Image.fromarray(matrix).resize((150, 150), Image.Resampling.NEAREST)
    sheet = portrait().copy()
    sheet.paste(ImageOps.expand(tile, 20, 255), (0, 322))
    return encoded("PNG", sheet)


def strip() -> bytes:
    """One part high, twenty long."""
    sheet = Image.new("RGB", (2400, 120), (190, 200, 210))
    sheet.paste(face_of(portrait(), 120), (1100, 0))
    return encoded("JPEG", sheet, quality=92)


def blurred(sigma: float) -> bytes:
    """The portrait out of focus."""
    return encoded("JPEG", portrait().filter(ImageFilter.GaussianBlur(sigma)), quality=92)


def dark(share: float) -> bytes:
    """The portrait at that share of its light."""
    return encoded("JPEG", portrait().point(lambda value: int(value * share)), quality=92)


def tiny() -> bytes:
    """A person far away in a large picture."""
    sheet = Image.new("RGB", (1280, 960), (120, 140, 110))
    sheet.paste(portrait().resize((320, 320), Image.Resampling.LANCZOS), (560, 400))
    return encoded("JPEG", sheet, quality=92)


def plain(name: str) -> Callable[[], bytes]:
    """A packaged picture as it is."""
    return lambda: picture(name).read_bytes()


HONEST = [
    Avatar("plain.png", lambda: encoded("PNG", portrait())),
    Avatar("plain.jpg", lambda: encoded("JPEG", portrait(), quality=92)),
    Avatar("moving.gif", lambda: moving("GIF")),
    Avatar("moving.webp", lambda: moving("WEBP")),
    Avatar("moving.png", lambda: moving("PNG")),
    Avatar("cmyk.jpg", lambda: encoded("JPEG", portrait().convert("CMYK"), quality=92)),
    Avatar("sixteen-bit.png", sixteen_bit),
    *(Avatar(f"exif-{number}.jpg", lambda number=number: turned(number)) for number in range(1, 9)),  # type: ignore[misc]
    Avatar("photo.heic", heic),
    Avatar("motion.jpg", lambda: encoded("JPEG", portrait(), quality=92) + clip(1.0)),
    Avatar("grey.jpg", lambda: encoded("JPEG", ImageOps.grayscale(portrait()), quality=92)),
]
"""What is odd as a file but a fine avatar."""

REFUSED = [
    Avatar(
        "moving-to-a-cat.gif", lambda: moving("GIF", Image.open(picture("cat")).convert("RGB")), ("avatar-no-face",)
    ),
    Avatar("cat.png", plain("cat"), ("avatar-no-face",)),
    Avatar("coffee.png", plain("coffee"), ("avatar-no-face",)),
    Avatar("twelve.jpg", lambda: collage(*(portrait(), other_portrait()) * 6, columns=4), ("avatar-several-people",)),
    Avatar("drawing.png", drawing, ("avatar-drawing",)),
    Avatar("statue.jpg", statue, ("avatar-statue",)),
    Avatar("screenshot.png", screenshot, ("avatar-screenshot",)),
    Avatar("code.png", code, ("avatar-code",)),
    Avatar("with-code.png", with_code, ("avatar-code",)),
    Avatar("mirror.jpg", mirrored, ("avatar-mirror",)),
    Avatar("strip.jpg", strip, ("avatar-aspect",)),
    Avatar("blurred.jpg", lambda: blurred(3.5), ("avatar-blurred",)),
    Avatar("dark.jpg", lambda: dark(0.08), ("avatar-dark",)),
    Avatar("tiny.jpg", tiny, ("avatar-face-small",)),
]
"""What can be read but is no avatar; each must be given one of its reasons."""

UNREADABLE = [
    Avatar("empty.jpg", lambda: b"", ("media-empty",)),
    Avatar("cut.png", lambda: half(encoded("PNG", portrait())), ("media-truncated",)),
    Avatar("text.jpg", lambda: b"I am a text file, not a picture.\n" * 40, ("media-unreadable",)),
    Avatar("page.jpg", lambda: b"%PDF-1.4\n" + bytes(500), ("media-type",)),
    Avatar("line.png", lambda: encoded("PNG", Image.new("RGB", (6100, 100))), ("media-too-large",)),
    Avatar("huge.png", lambda: huge_png(7000), ("media-too-large",)),
]
"""What the decoder refuses, each with its reason."""
