"""How much of a face is covered: by a hand, a mask, dark glasses, a phone.

A small convolutional network that the project trained (``python -m models.training face-occlusion``) sees the face
upright in 64 x 64 pixels and says of 16 x 16 cells how surely each is covered. What counts is the share of the face's
oval, sure cells in full and unsure ones in part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.face_crop import check, oval, upright
from models.face_detection import Face
from models.onnx import CPU, load_session
from models.weights import load

VERSION = "1"
WEIGHTS = "face-occlusion"

SIDE = 64
CELLS = 16
REACH = 1.2
"""Side of what the network sees, in sides of the face's square."""
DOUBT = (0.3, 0.7)
"""A cell up to the first is free, from the second covered, linear in between."""


class OcclusionReader:
    """Measures how much is covered. May be used by several threads at once.

    Args:
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.

    Raises:
        WeightsError, ProviderError: The weights or the provider are unusable.
    """

    def __init__(self, providers: Sequence[str] = CPU, threads: int = 1, folder: Path | None = None) -> None:
        self._session = load_session(load(WEIGHTS, folder), providers, threads)

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events."""
        return f"{self._session.weights.label}/{VERSION}"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return self._session.providers

    def read(self, image: NDArray[np.uint8], face: Face) -> float:
        """Share of the face's oval that is covered, 0..1.

        Args:
            image: uint8 [H, W, 3], RGB.
            face: A face of it.

        Raises:
            ValueError: No such picture, or the face is not in it.
        """
        check(image, face)
        pixels = upright(image, face, SIDE, REACH).reshape(1, -1).astype(np.float32)
        return float(covered_share(self._session.run(pixels=pixels)["covered"])[0])


def covered_share(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of the oval that is covered.

    Args:
        cells: float32 [N, 256], probability of each cell, row by row.

    Returns:
        float32 [N], 0..1.
    """
    low, high = DOUBT
    sure = np.clip((cells.reshape(-1, CELLS, CELLS) - low) / (high - low), 0.0, 1.0)
    share: NDArray[np.float32] = sure[:, inside()].mean(axis=1)
    return share


def inside() -> NDArray[np.bool_]:
    """Cells inside the oval, bool [16, 16]."""
    middle = round(CELLS * 16 / REACH)
    edge = (CELLS * 16 - middle) // 2
    fine = np.zeros((CELLS * 16, CELLS * 16), np.float32)
    fine[edge : edge + middle, edge : edge + middle] = oval(middle)
    found: NDArray[np.bool_] = fine.reshape(CELLS, 16, CELLS, 16).mean(axis=(1, 3)) > 0.5
    return found
