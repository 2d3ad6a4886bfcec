"""Videos in which people appear: faces that packages ship, at a known size in front of a photograph of a temple."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

import av
import cv2
import numpy as np

from infra.demo.faces import pixels
from models.face_detection import Face, FaceDetector

Picture = np.ndarray
RATE = 5
"""Frames in a second, unless told: still scenes need no more."""
REACH = 1.1
"""What is shown of a person, in sides of the face from its middle each way."""


@cache
def detector() -> FaceDetector:
    return FaceDetector()


@cache
def whole_picture(name: str) -> Picture:
    return pixels(name)


@cache
def faces_of(name: str) -> tuple[Face, ...]:
    """Faces of a packaged picture, from left to right."""
    return tuple(sorted(detector().detect(whole_picture(name)), key=lambda face: face.x))


@cache
def scenery(width: int, height: int) -> Picture:
    return cv2.resize(whole_picture("temple"), (width, height), interpolation=cv2.INTER_AREA)


def shown(image: Picture, face: Face, side: float, size: tuple[int, int], shift: float = 0.0) -> Picture:
    """A frame with one person in it.

    Args:
        image: uint8 [H, W, 3], where the person is from.
        face: The person's face there.
        side: Shorter side that the face gets, px.
        size: Width and height of the frame, px.
        shift: How far beside the middle, in sides of the face.
    """
    scale = side / min(face.width, face.height)
    reach = REACH * max(face.width, face.height)
    middle = (face.x + face.width / 2, face.y + face.height / 2)
    left, top = (max(0, round(at - reach)) for at in middle)
    right, bottom = (min(limit, round(at + reach)) for at, limit in zip(middle, image.shape[1::-1], strict=True))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    cut = cv2.resize(image[top:bottom, left:right], None, fx=scale, fy=scale, interpolation=how)
    frame = scenery(*size).copy()
    # the middle of the face comes to the middle of the frame, whatever of it then lies outside
    at_x = round(size[0] / 2 + shift * side - (middle[0] - left) * scale)
    at_y = round(size[1] / 2 - (middle[1] - top) * scale)
    x0, y0 = max(0, at_x), max(0, at_y)
    x1, y1 = min(size[0], at_x + cut.shape[1]), min(size[1], at_y + cut.shape[0])
    frame[y0:y1, x0:x1] = cut[y0 - at_y : y1 - at_y, x0 - at_x : x1 - at_x]
    return frame


def film(
    scenes: Sequence[tuple[Picture | None, float]], size: tuple[int, int], crf: int = 23, rate: int = RATE
) -> bytes:
    """An MP4 of still scenes, H.264.

    Args:
        scenes: Frame and seconds; None is the scenery without anybody.
        size: Width and height, even, px.
        crf: Quality of x264: 18 is good, 40 is bad.
        rate: Frames in a second.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "veryfast", "threads": "1", "crf": str(crf)}
        for picture, seconds in scenes:
            frame = av.VideoFrame.from_ndarray(scenery(*size) if picture is None else picture, format="rgb24")
            for _ in range(round(seconds * rate)):
                frame.pts = None
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()
