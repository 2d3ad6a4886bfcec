"""Pictures to vectors: EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946), trained on ImageNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.onnx import CPU, Session, load_session
from models.weights import load, manifest

VERSION = "1"
WEIGHTS = "efficientnet-lite0"

DIM = 1280
CLASSES = 1000
BATCH = 16
_RESIZED = 256
_CROP = 224
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32) * 255.0
_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32) * 255.0


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """What the network says of N pictures.

    Attributes:
        embedding: float32 [N, 1280], pooled features, not normalised.
        logits: float32 [N, 1000], ImageNet classes before the softmax.
    """

    embedding: NDArray[np.float32]
    logits: NDArray[np.float32]


class ImageEncoder:
    """Encodes pictures. May be used by several threads at once.

    Args:
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.

    Raises:
        WeightsError, ProviderError: The weights or the provider are unusable.
    """

    def __init__(self, providers: Sequence[str] = CPU, threads: int = 1, folder: Path | None = None) -> None:
        self._session: Session = load_session(load(WEIGHTS, folder), providers, threads)

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events."""
        return f"{self._session.weights.label}/{VERSION}"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return self._session.providers

    def encode(self, frames: NDArray[np.uint8]) -> ImageFeatures:
        """Features and class scores of each picture.

        Args:
            frames: uint8 [N, H, W, 3], RGB; N may be 0.

        Raises:
            ValueError: Not such an array.
        """
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise ValueError(f"uint8 [N, H, W, 3] expected, got {frames.dtype} {frames.shape}")
        embedding = np.empty((len(frames), DIM), dtype=np.float32)
        logits = np.empty((len(frames), CLASSES), dtype=np.float32)
        for first in range(0, len(frames), BATCH):
            batch = np.stack([prepare(frame) for frame in frames[first : first + BATCH]])
            answer = self._session.run(image=batch)
            embedding[first : first + BATCH] = answer["embedding"]
            logits[first : first + BATCH] = answer["logits"]
        return ImageFeatures(embedding, logits)

    def pool(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One vector for an item: the direction of its frames' mean.

        Args:
            frames: uint8 [N, H, W, 3], RGB, N >= 1.

        Returns:
            float32 [1280], Euclidean norm 1.

        Raises:
            ValueError: Not such an array, or no frame.
        """
        if len(frames) == 0:
            raise ValueError("no frame to pool")
        return pooled(self.encode(frames).embedding)


def pooled(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of N >= 1 feature vectors [N, D], scaled to norm 1: float32 [D]."""
    mean = embedding.mean(axis=0)
    unit: NDArray[np.float32] = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return unit


@cache
def class_names() -> tuple[str, ...]:
    """Names of the 1000 classes in the order of ``ImageFeatures.logits``; they lie beside the network's card."""
    return tuple((manifest()[WEIGHTS].folder / "classes.txt").read_text(encoding="utf-8").splitlines())


def prepare(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the network sees of uint8 [H, W, 3] RGB: float32 [3, 224, 224], standardised.

    The middle 224 x 224 of the picture whose shorter side is 256 (as in its evaluation).
    """
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    # cut, then resize: a strip of 10000 x 10 must not grow to 256000 x 256 in between
    square = frame[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > _RESIZED else cv2.INTER_LINEAR
    small = cv2.resize(square, (_RESIZED, _RESIZED), interpolation=how)
    edge = (_RESIZED - _CROP) // 2
    middle = small[edge : edge + _CROP, edge : edge + _CROP].astype(np.float32)
    return np.ascontiguousarray(((middle - _MEAN) / _STD).transpose(2, 0, 1))
