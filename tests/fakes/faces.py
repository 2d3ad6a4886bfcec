"""People and their faces as vectors, drawn as an embedder sees them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.user import FaceEmbedded

SIZE = 128
"""Numbers of a vector."""
PLANES = 30
COMMON = 0.845
"""Cosine of strangers in the mean. With 30 directions for the rest, 0.4 % of strangers have a cosine above 0.917, as of
dlib's network on LFW (its distance of 0.6); measured on 36 faces of packages: mean 0.835, deviation 0.036."""
SAME = 150.0
"""Concentration of one person's faces: cosines of 0.95 to 0.985, measured on five pictures 0.951 to 0.986."""
Floats = npt.NDArray[np.float64]


def unit(rows: Floats) -> Floats:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def von_mises_fisher(rng: np.random.Generator, means: Floats, concentration: Floats | float) -> Floats:
    """One draw around each mean (unit rows, [N, D]); Wood, "Simulation of the von Mises Fisher distribution", 1994."""
    count, size = means.shape
    kappa = np.broadcast_to(np.asarray(concentration, dtype=np.float64), count)
    b = (size - 1) / (2 * kappa + np.sqrt(4 * kappa**2 + (size - 1) ** 2))
    x0 = (1 - b) / (1 + b)
    c = kappa * x0 + (size - 1) * np.log(1 - x0**2)
    cosine, todo = np.empty(count), np.arange(count)
    while len(todo):
        z = rng.beta((size - 1) / 2, (size - 1) / 2, len(todo))
        w = (1 - (1 + b[todo]) * z) / (1 - (1 - b[todo]) * z)
        taken = kappa[todo] * w + (size - 1) * np.log(1 - x0[todo] * w) - c[todo] >= np.log(rng.random(len(todo)))
        cosine[todo[taken]] = w[taken]
        todo = todo[~taken]
    aside = rng.normal(size=means.shape)
    aside = unit(aside - (aside * means).sum(1, keepdims=True) * means)
    return cosine[:, None] * means + np.sqrt(1 - cosine**2)[:, None] * aside


class Space:
    """The directions in which faces differ, within the embedder's space."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._basis = np.linalg.qr(rng.normal(size=(SIZE, PLANES + 1)))[0].T

    def people(self, count: int) -> Floats:
        """So many strangers, [N, PLANES]."""
        return unit(self._rng.normal(size=(count, PLANES)))

    def alike(self, people: Floats, concentration: float) -> Floats:
        """Somebody who resembles each of them, [N, PLANES]."""
        return von_mises_fisher(self._rng, people, concentration)

    def faces(self, people: Floats, concentration: Floats | float = SAME) -> npt.NDArray[np.float32]:
        """One face of each, unit rows, float32 [N, SIZE]."""
        drawn = von_mises_fisher(self._rng, people, concentration)
        vectors = np.sqrt(COMMON) * self._basis[0] + np.sqrt(1 - COMMON) * drawn @ self._basis[1:]
        return vectors.astype(np.float32)


def embedded(user: str, at: datetime, vector: Sequence[float] | npt.NDArray[np.float32], **other: Any) -> FaceEmbedded:
    """The event of a face; the same face at the same time has the same id."""
    values = tuple(np.asarray(vector, dtype=np.float32).tolist())
    described = {"vector_version": "test-1" if values else "", **other}
    return FaceEmbedded(
        event_id=f"{user}@{at.isoformat()}",
        source_event_id=f"avatar-of-{user}",
        occurred_at=at,
        user_id=user,
        vector=values,
        **described,
    )
