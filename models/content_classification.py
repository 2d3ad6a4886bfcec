"""Cross-modal classes of an item, from the vectors of its sound, pictures and text.

One label for one item is the truth it was trained on, so the answer is a softmax: probabilities over
``CLASSES`` that sum to 1. An item without a modality is an ordinary case: its part is left out of the
network's attention, and it was trained with parts left out. A sound or picture that resembles nothing
the network learned from is treated as absent; when nothing is left, the answer is all zero: no label.

A first version: ``python -m models.training content-classification`` trains it on synthesised sounds, drawings
and template captions. Its card says what it scores there and how it does on real things; do not let
anything but ordering and display depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.onnx import CPU, Session, load_session
from models.weights import load
from schemas.common import Label

VERSION = "1"
WEIGHTS = "content-classification"

PARTS = {"audio": 200, "image": 1280, "text": 384}
"""Length of each part, in the order in which the network takes them."""
WIDTH = sum(PARTS.values())
CLASSES = (
    "piano", "guitar", "electronic-dance", "ambient", "talk",
    "concert", "sheet-music", "playlist", "landscape", "pets",
    "tutorial", "review", "heartbreak",
)  # fmt: skip
"""Order of the network's answer."""
THRESHOLD = 0.2
"""Least probability of a label that is given."""

Vector = NDArray[np.float32]


class ContentClassifier:
    """Classifies items. May be used by several threads at once.

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

    def classify(self, audio: Vector | None, image: Vector | None, text: Vector | None) -> tuple[Label, ...]:
        """Labels of one item, the most probable first; none when no class reaches ``THRESHOLD``.

        Args:
            audio: float32 [200], ``AudioFeatures.embedding``; only the direction of a vector counts.
            image: float32 [1280], ``ImageEncoder.pool``.
            text: float32 [384], ``TextEncoder.encode(..., "passage")``.

        Raises:
            ValueError: All three are absent, or one has another shape, values that are not finite
                or no direction (all zero).
        """
        probabilities = self.probabilities(audio, image, text)
        order = np.argsort(-probabilities, kind="stable")
        return tuple(
            Label(name=CLASSES[number], score=float(probabilities[number]))
            for number in order
            if probabilities[number] >= THRESHOLD
        )

    def probabilities(self, audio: Vector | None, image: Vector | None, text: Vector | None) -> Vector:
        """float32 [13] in the order of ``CLASSES``, sum 1, or all zero: nothing known. Otherwise as ``classify``."""
        answer = self._session.run(parts=join(audio, image, text)[None])
        found: Vector = answer["probabilities"][0]
        return found


def join(audio: Vector | None, image: Vector | None, text: Vector | None) -> Vector:
    """What the network takes: float32 [1864], the parts one after the other, an absent one all zero.

    Raises:
        ValueError: As ``ContentClassifier.classify``.
    """
    given = {"audio": audio, "image": image, "text": text}
    if all(vector is None for vector in given.values()):
        raise ValueError("an item needs at least one of sound, picture and text")
    joined = []
    for name, vector in given.items():
        if vector is None:
            joined.append(np.zeros(PARTS[name], dtype=np.float32))
            continue
        if vector.shape != (PARTS[name],) or not np.isfinite(vector).all() or not vector.any():
            raise ValueError(f"{name}: {PARTS[name]} finite numbers, not all zero, expected, got {vector.shape}")
        # in double precision, which no finite float32 overflows
        wide = vector.astype(np.float64)
        joined.append((wide / np.linalg.norm(wide)).astype(np.float32))
    return np.concatenate(joined)
