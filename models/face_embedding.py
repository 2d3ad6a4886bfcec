"""Faces as vectors: pictures of one person lie near each other.

Each face is cut out (``models.face_alignment``), and the vectors of its chip and of the mirrored
chip are averaged: a keypoint that is off then matters less, and without it no limit parts the
people of docs/bench/face_pairs.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from models.face_alignment import ARCFACE_TEMPLATE, Template, chips, dlib_template
from models.face_detection import Face
from models.onnx import CPU, load_session
from models.weights import CARDS, Weights, WeightsError, load

VERSION = "1"
WEIGHTS = "face-resnet"
SAME_PERSON = 0.355
"""Distance of two vectors of `DlibFaceEmbedder` up to which they are one person's: between the greatest of one person
and the least of two in docs/bench/face_pairs.md."""

BATCH = 16
"""Faces in one run of the network; it sees each twice."""


class FaceEmbedder(Protocol):
    """Turns faces into vectors. May be used by several threads at once."""

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events. Vectors of two versions cannot be compared."""
        ...

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.float32]:
        """One vector for each face.

        Args:
            image: uint8 [H, W, 3], RGB.
            faces: Faces in pixels of ``image``, upright or turned; may be empty.

        Returns:
            float32 [N, dim], each of length 1.

        Raises:
            ValueError: Not such an array, or a face without extent or outside of the picture.
        """
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """What a network wants to see.

    Attributes:
        template: Where the keypoints lie on a chip.
        mean: Taken off 0..255.
        scale: What is divided by then.
        channels_first: [N, 3, side, side] instead of [N, side, side, 3].
    """

    template: Template
    mean: float
    scale: float
    channels_first: bool


DLIB = Form(dlib_template(150, 0.25), mean=0.0, scale=1.0, channels_first=False)
ARCFACE = Form(ARCFACE_TEMPLATE, mean=127.5, scale=127.5, channels_first=True)


class NetworkFaceEmbedder:
    """A `FaceEmbedder` over one ONNX network with one input and one output.

    Args:
        weights: Verified file.
        form: What it wants to see.
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.

    Raises:
        ProviderError: The provider is unusable.
        WeightsError: The network does not take chips of that form, or answers no vectors.
    """

    def __init__(self, weights: Weights, form: Form, providers: Sequence[str] = CPU, threads: int = 1) -> None:
        self._session = load_session(weights, providers, threads)
        self._form = form
        self._input = self._session.inputs[0]
        side = form.template.side
        try:
            self._dim: int = self._vectors(np.zeros((2, side, side, 3), np.uint8)).shape[1]
        except (InvalidArgument, ValueError) as error:
            raise WeightsError(f"{weights.label} is no network for faces of {side} px: {error}") from error

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events."""
        return f"{self._session.weights.label}/{VERSION}"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return self._session.providers

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def embed(self, image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.float32]:
        """One vector for each face; see `FaceEmbedder.embed`."""
        found = np.empty((len(faces), self._dim), dtype=np.float32)
        for first in range(0, len(faces), BATCH):
            some = chips(image, faces[first : first + BATCH], self._form.template)
            both = self._vectors(np.concatenate([some, some[:, :, ::-1]]))
            mean = both[: len(some)] + both[len(some) :]
            found[first : first + BATCH] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return found

    def _vectors(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network answers, float32 [N, dim]."""
        pixels = (pictures.astype(np.float32) - self._form.mean) / np.float32(self._form.scale)
        if self._form.channels_first:
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        (vectors,) = self._session.feed({self._input: pixels}).values()
        if vectors.ndim != 2 or len(vectors) != len(pictures):
            raise ValueError(f"{len(pictures)} vectors expected, got {vectors.shape}")
        return vectors


class DlibFaceEmbedder(NetworkFaceEmbedder):
    """dlib's residual network (King 2017, CC0), 128 numbers a face.

    Args:
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.

    Raises:
        WeightsError, ProviderError: The weights or the provider are unusable.
    """

    def __init__(self, providers: Sequence[str] = CPU, threads: int = 1, folder: Path | None = None) -> None:
        super().__init__(load(WEIGHTS, folder), DLIB, providers, threads)


class ArcFaceEmbedder(NetworkFaceEmbedder):
    """A network of InsightFace's form: chips of 112 px, mostly 512 numbers a face.

    We ship none: InsightFace's own weights are for non-commercial research only. Whoever has a
    licence writes a card with the file's https address (kind ``hub``) and builds it with
    ``python -m models.build --cards FOLDER``.

    Args:
        name: Name on the card.
        cards: Folder of cards with that one.
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.

    Raises:
        WeightsError, ProviderError: The weights or the provider are unusable.
    """

    def __init__(
        self,
        name: str,
        cards: Path = CARDS,
        providers: Sequence[str] = CPU,
        threads: int = 1,
        folder: Path | None = None,
    ) -> None:
        super().__init__(load(name, folder, cards), ARCFACE, providers, threads)
