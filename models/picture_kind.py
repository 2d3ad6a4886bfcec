"""What kind of picture it is: a photograph, a drawing, a screenshot, a statue, a photograph of a screen, or a code.

Codes are found by their detectors (``models.picture_codes``). The other five come from a small network that the project
trained (``python -m models.training picture-kind``) over the features of ``models.image_embedding`` and the numbers of
``models.picture_statistics``. Drawings, screenshots, statues and screens to learn from were made, none was real; its
card says what it scores on made ones of other styles, and how often it takes a photograph for something else. A
statue and a black-and-white photograph are near to each other: a rule should only ask a person to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import picture_codes, picture_statistics
from models.face_detection import Face
from models.image_embedding import DIM, ImageEncoder
from models.onnx import CPU, Session, load_session
from models.picture_codes import code
from models.picture_statistics import NAMES, statistics
from models.weights import load

VERSION = "2"
WEIGHTS = "picture-kind"
KINDS = ("photo", "drawing", "screenshot", "statue", "screen")
"""Order of the network's answer."""
WIDTH = DIM + len(NAMES)
SEEN_CLOSE = ("drawing", "statue")
"""Kinds that a face must bear out: a painted backdrop makes no drawing of the person before it."""
CLOSE_FROM = 0.5
"""Probability from which the face is looked at by itself; the lesser of both answers counts."""
CLOSE_SIDES = 2.2
"""Side of what is looked at then, in sides of the face."""


@dataclass(frozen=True, slots=True)
class PictureKind:
    """How surely a picture is of each kind, 0..1. All but ``code`` sum to 1, or to less where a face seen close speaks
    against a kind.

    Attributes:
        photo: A photograph of the thing itself.
        drawing: Drawn, painted, a cartoon, a pattern.
        screenshot: The screen of a computer or telephone, taken by itself.
        code: A QR or bar code.
        statue: A photograph of a person of stone or metal.
        screen: A photograph of a screen or of a print.
    """

    photo: float
    drawing: float
    screenshot: float
    code: float
    statue: float
    screen: float


class PictureKindReader:
    """Tells kinds of pictures. May be used by several threads at once.

    Args:
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.

    Raises:
        WeightsError, ProviderError: The weights or the provider are unusable.
    """

    def __init__(self, providers: Sequence[str] = CPU, threads: int = 1, folder: Path | None = None) -> None:
        self._encoder = ImageEncoder(providers, threads, folder)
        self._session: Session = load_session(load(WEIGHTS, folder), providers, threads)

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events."""
        codes = f"codes/{picture_codes.VERSION}+statistics/{picture_statistics.VERSION}"
        return f"{self._session.weights.label}/{VERSION}+{self._encoder.version}+{codes}"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return self._session.providers

    def read(self, image: NDArray[np.uint8], faces: Sequence[Face]) -> PictureKind:
        """Kinds of one picture.

        Args:
            image: uint8 [H, W, 3], RGB.
            faces: Its faces; may be none.

        Raises:
            ValueError: Not such an array, or a side of zero.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ValueError(f"uint8 [H, W, 3] expected, got {image.dtype} {image.shape}")
        kinds = self._kinds(image, faces)
        if faces and max(kinds[name] for name in SEEN_CLOSE) >= CLOSE_FROM:
            near = self._kinds(*closer(image, max(faces, key=lambda face: face.width * face.height)))
            kinds |= {name: min(kinds[name], near[name]) for name in SEEN_CLOSE}
        return PictureKind(code=code(image), **kinds)

    def _kinds(self, image: NDArray[np.uint8], faces: Sequence[Face]) -> dict[str, float]:
        answer = self._session.run(features=features(self._encoder, image, faces)[None])["probabilities"][0]
        return {name: float(np.clip(value, 0.0, 1.0)) for name, value in zip(KINDS, answer, strict=True)}


def closer(image: NDArray[np.uint8], face: Face) -> tuple[NDArray[np.uint8], list[Face]]:
    """The part of a picture round a face, and the face in its pixels."""
    reach = CLOSE_SIDES * max(face.width, face.height) / 2.0
    x, y = face.x + face.width / 2.0, face.y + face.height / 2.0
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    part = image[top : max(top + 1, int(y + reach)), left : max(left + 1, int(x + reach))]
    if part.size == 0:
        return image, [face]
    points = tuple((px - left, py - top) for px, py in face.keypoints)
    return part, [replace(face, x=face.x - left, y=face.y - top, keypoints=points)]


def features(encoder: ImageEncoder, image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.float32]:
    """What the network takes of one picture: float32 [1309], the encoder's features, then the statistics."""
    return np.concatenate([encoder.encode(image[None]).embedding[0], statistics(image, faces)])
