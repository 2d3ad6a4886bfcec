"""Kinds of pictures: codes by their detectors, the numbers on plain cases, the network on packaged photographs."""

from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from infra.demo import packaged
from infra.demo.faces import pixels
from models import picture_statistics
from models.face_detection import FaceDetector
from models.picture_codes import code
from models.picture_kind import KINDS, PictureKind, PictureKindReader
from models.picture_statistics import NAMES, statistics
from models.portrait_faces import find
from tests.degradations import avatar, screen

PORTRAITS = ("astronaut", "biden", "obama-2", "zidane", "six-actors", "group-3", "group-6")


@cache
def reader() -> PictureKindReader:
    return PictureKindReader()


@cache
def detector() -> FaceDetector:
    return FaceDetector()


def read(image: np.ndarray) -> PictureKind:
    return reader().read(image, find(detector(), image))


def qr(text: str, side: int) -> np.ndarray:
    """A QR code, uint8 [side, side, 3]."""
    grey = cv2.QRCodeEncoder.create().encode(text)
    square = cv2.resize(grey, (side, side), interpolation=cv2.INTER_NEAREST)
    return np.repeat(square[..., None], 3, axis=2)


def settings_page() -> np.ndarray:
    """A page of an app, drawn here with other words and sizes than those that were learned from."""
    page = Image.new("RGB", (360, 640), (250, 250, 252))
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 360, 56), fill=(33, 90, 180))
    draw.text((60, 16), "Notifications", fill=(255, 255, 255), font=ImageFont.load_default(20))
    for number, words in enumerate(("Sounds", "Vibration", "Badges", "Previews", "Quiet hours", "Sign out")):
        top = 80 + 80 * number
        draw.text((20, top), words, fill=(30, 30, 30), font=ImageFont.load_default(18))
        draw.text((20, top + 26), "Choose what you are told of", fill=(120, 120, 120), font=ImageFont.load_default(12))
        draw.rounded_rectangle((300, top, 340, top + 22), 11, fill=(60, 180, 90) if number % 2 else (190, 190, 190))
        draw.line((0, top + 58, 360, top + 58), fill=(220, 220, 220))
    return np.asarray(page)


def comic() -> np.ndarray:
    """A flat face with outlines."""
    picture = np.full((300, 300, 3), (120, 200, 240), np.uint8)
    for centre, axes, colour in (
        ((150, 150), (90, 110), (250, 210, 170)),
        ((115, 130), (20, 26), (255, 255, 255)),
        ((185, 130), (20, 26), (255, 255, 255)),
        ((150, 200), (36, 14), (200, 40, 60)),
    ):
        cv2.ellipse(picture, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(picture, centre, axes, 0, 0, 360, (20, 20, 20), 3, cv2.LINE_AA)
    for x in (115, 185):
        cv2.circle(picture, (x, 134), 8, (20, 20, 20), -1, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize("name", PORTRAITS)
def test_photographs_of_persons_are_photographs(name: str) -> None:
    image = pixels(name)
    told = read(avatar(image, find(detector(), image)[0]))
    assert told.photo > 0.5
    assert max(told.drawing, told.screenshot, told.statue, told.screen) < 0.5
    assert told.code == 0.0


def test_a_painted_backdrop_makes_no_drawing_of_the_person_before_it() -> None:
    image = pixels("hopper")
    whole = reader().read(image, [])
    assert whole.drawing > 0.6
    for seen in (image, avatar(image, find(detector(), image)[0])):
        told = read(seen)
        assert max(told.drawing, told.screenshot, told.statue, told.screen) < 0.6
    assert read(comic()).drawing > 0.85


def test_a_black_and_white_photograph_is_no_certain_statue() -> None:
    image = pixels("biden")
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert read(avatar(grey, find(detector(), image)[0])).statue < 0.5


def test_a_settings_page_is_a_screenshot() -> None:
    assert read(settings_page()).screenshot > 0.85


def test_a_comic_is_a_drawing() -> None:
    assert read(comic()).drawing > 0.85


@pytest.mark.parametrize("name", ["biden", "astronaut"])
def test_a_photograph_of_a_screen_is_one(name: str) -> None:
    image = pixels(name)
    face = find(detector(), image)[0]
    assert read(screen(avatar(image, face), face, 1.0)).screen > 0.6


def test_kinds_are_shares_of_one() -> None:
    told = read(comic())
    assert sum(getattr(told, kind) for kind in KINDS) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 900, 3), (900, 2, 3), (16, 16, 3), (33, 32, 3)])
def test_odd_shapes_have_a_kind(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)
    told = reader().read(image, [])
    assert all(0.0 <= getattr(told, name) <= 1.0 for name in PictureKind.__slots__)
    assert np.isfinite(statistics(image, [])).all()


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)]
)
def test_other_arrays_are_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        reader().read(image, [])


def test_a_large_code_is_all_that_a_picture_is_about() -> None:
    picture = np.full((500, 500, 3), 255, np.uint8)
    picture[100:400, 100:400] = qr("https://music.example/friends/12", 300)
    assert code(picture) == 1.0
    turned = cv2.warpAffine(picture, cv2.getRotationMatrix2D((250, 250), 20, 1.0), (500, 500), borderValue=(255,) * 3)
    assert code(turned) > 0.9


def test_a_small_code_is_something_for_a_person() -> None:
    image = np.asarray(Image.fromarray(pixels("biden")).resize((640, 800)))
    picture = image.copy()
    picture[590:800, 10:220] = 255
    picture[605:785, 25:205] = qr("hello", 180)
    assert 0.5 <= code(picture) < 0.9
    assert code(image) == 0.0


def test_a_bar_code_is_found() -> None:
    # EAN-13 of 4006381333931: first digit by the parity of the left half
    left = ("0001101", "0100111", "0101111", "0111101", "0001001", "0110011")
    right = ("1000010", "1000010", "1000010", "1110100", "1000010", "1100110")
    bars = "101" + "".join(left) + "01010" + "".join(right) + "101"
    row = np.repeat(np.array([0 if bar == "1" else 255 for bar in bars], np.uint8), 3)
    picture = np.full((260, row.size + 80, 3), 255, np.uint8)
    picture[50:210, 40:-40] = row[None, :, None]
    assert code(picture) > 0.5


@pytest.mark.parametrize("name", ["coffee", "cat", "temple", "flower", "rocket", "mask-blue", "group-6"])
def test_photographs_have_no_code(name: str) -> None:
    assert code(pixels(name)) == 0.0


def test_numbers_of_a_plain_and_of_a_noisy_picture() -> None:
    plain = dict(zip(NAMES, statistics(np.full((200, 300, 3), 90, np.uint8), []), strict=True))
    assert plain["flat"] == plain["even rows"] == plain["commonest colour"] == plain["grey"] == 1.0
    assert max(plain[name] for name in ("colours", "grain", "edges", "has face")) == pytest.approx(0.0, abs=1e-5)
    noise = np.random.default_rng(1).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    rough = dict(zip(NAMES, statistics(noise, []), strict=True))
    assert rough["colours"] > 3.5
    assert rough["flat"] < 0.01
    assert rough["grain"] > 2.0


def test_regular_lines_stand_out_of_the_spectrum() -> None:
    image = pixels("coffee")[:400, :400]
    down, right = np.mgrid[0:400, 0:400]
    lines = np.clip(image + (12 * np.sin(2 * np.pi * (0.21 * right + 0.14 * down)))[..., None], 0, 255).astype(np.uint8)
    peak = NAMES.index("raster peak")
    assert statistics(lines, [])[peak] > statistics(image, [])[peak] + 1.0


def test_a_drawn_page_of_a_book_is_no_photograph() -> None:
    with Image.open(packaged.picture("text.png").locate()) as opened:
        assert read(np.asarray(opened.convert("RGB"))).photo < 0.5


def test_versions_name_weights_and_code() -> None:
    expected = "picture-kind@1.0/2+efficientnet-lite0@1.0/1+codes/1+statistics/1"
    assert reader().version == expected
    assert reader().providers == ("CPUExecutionProvider",)
    assert len(NAMES) == statistics(np.zeros((9, 9, 3), np.uint8), []).size
    assert picture_statistics.VERSION == "1"
