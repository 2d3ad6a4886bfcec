"""Faces compared with the gallery of public figures: all rows, exactly, in memory.

A gallery of 3,000 persons is 18,000 rows, which one product of matrices searches; nothing nearest is missed as in an
index. Vectors are rounded to whole numbers, so that the same face gives the same likeness on every machine, alone or
among others: what BLAS adds up in which order differs, but whole numbers under 2**24 are exact in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.common import ObjectRef

Vectors = NDArray[np.float32]

NO_GALLERY = "none"
"""Version of the gallery where none was built."""
UNITS = 4000
"""Steps of a component from 0 to 1: (UNITS * (1 + LENGTH_TOLERANCE) + sqrt(D) / 2)**2 < 2**24 up to D = 8,000. The
likeness differs from the unrounded one by 1e-4 (standard deviation)."""
ONE_THREAD = 2**18
"""Multiplications at a time: OpenBLAS gives larger products to several threads, which on a busy machine wait for each
other ten times as long as they work (measured)."""
FACES = 16
"""Faces at a time."""
LENGTH_TOLERANCE = 1e-3
DIGITS = 6


class Row(Protocol):
    """One row of a gallery, as it is stored."""

    @property
    def id(self) -> str:
        """Unique within a version."""

    @property
    def person(self) -> str:
        """Name of the person."""

    @property
    def kind(self) -> str:
        """``centroid``: the mean of the person's pictures; ``exemplar``: one of them."""

    @property
    def picture(self) -> ObjectRef | None:
        """Where a small picture of the face lies."""


@dataclass(frozen=True, slots=True)
class Match:
    """How much a face resembles a person.

    Attributes:
        person: Name of the person.
        likeness: Cosine of the face and the nearest of the person's rows, -1..1, six digits.
        exemplar: Id of the person's exemplar that is nearest.
        picture: Where a small picture of that exemplar lies.
    """

    person: str
    likeness: float
    exemplar: str
    picture: ObjectRef | None


class GallerySnapshot:
    """One version of the gallery; never changes, so several threads may use it at once.

    Args:
        version: As events name it.
        threshold: Likeness from which a face is taken for the person's.
        embedder: Version of the embedder whose vectors these are.
        rows: Rows, in any order.
        vectors: float32 [R, D], of unit length.

    Attributes:
        rows: Rows, ordered by person.
        vectors: float32 [R, D] in the order of ``rows``.
        persons: Names, in order.

    Raises:
        ValueError: lengths that differ, vectors that are not finite or not of unit length, or a person without any
            exemplar.
    """

    def __init__(self, version: str, threshold: float, embedder: str, rows: Sequence[Row], vectors: Vectors) -> None:
        if vectors.ndim != 2 or len(vectors) != len(rows):
            raise ValueError(f"gallery {version}: {len(rows)} rows with vectors {vectors.shape}")
        # each person's rows are one span; the order within settles ties
        order = sorted(range(len(rows)), key=lambda at: (rows[at].person, rows[at].kind, rows[at].id))
        self.version, self.threshold, self.embedder = version, threshold, embedder
        self.rows = tuple(rows[at] for at in order)
        self.vectors: Vectors = vectors[order]
        names = [row.person for row in self.rows]
        starts = [at for at, name in enumerate(names) if at == 0 or name != names[at - 1]]
        self.persons = tuple(names[at] for at in starts)
        self._bounds = [*starts, len(names)]
        self._exemplar = np.array([row.kind == "exemplar" for row in self.rows], np.bool_)
        if lacking := set(names) - {row.person for row in rows if row.kind == "exemplar"}:
            raise ValueError(f"gallery {version}: {min(lacking)!r} has no exemplar")
        self._whole = whole(self.vectors, f"gallery {version}")

    def spans(self) -> list[tuple[int, int]]:
        """First row and row after the last of each person, in the order of ``persons``."""
        return list(pairwise(self._bounds))

    def likenesses(self, vectors: Vectors) -> Vectors:
        """How much faces resemble each person, float32 [N, P] in the order of ``persons``.

        Raises:
            ValueError: see `match`.
        """
        return self._best(self._products(vectors)) / np.float32(UNITS**2)

    def match(self, vectors: Vectors, limit: int) -> list[list[Match]]:
        """Persons that faces resemble most, whether over the threshold or not.

        Args:
            vectors: float32 [N, D] of unit length, of the gallery's own embedder.
            limit: Most persons a face, >= 1.

        Returns:
            For each face its persons, the most alike first, those equally alike by name.

        Raises:
            ValueError: vectors of another length, not finite or not of unit length; the message names the row.
        """
        if limit < 1:
            raise ValueError(f"limit {limit}: at least 1 expected")
        products = self._products(vectors)
        best = self._best(products)
        # stable, so that those equally alike stay in the order of their names
        order = np.argsort(-best, axis=1, kind="stable")[:, :limit]
        return [
            [self._found(products[face], best[face], person) for person in persons.tolist()]
            for face, persons in enumerate(order)
        ]

    def _products(self, vectors: Vectors) -> Vectors:
        wanted = self.vectors.shape[1]
        if vectors.ndim != 2 or (self.rows and vectors.shape[1] != wanted):
            raise ValueError(f"faces {vectors.shape}: float32 [N, {wanted}] expected by gallery {self.version}")
        if not self.rows:
            return np.zeros((len(vectors), 0), np.float32)
        faces = whole(vectors, "faces")
        products = np.empty((len(faces), len(self.rows)), np.float32)
        for first in range(0, len(faces), FACES):
            some = faces[first : first + FACES]
            step = max(1, ONE_THREAD // some.size)
            for start in range(0, len(self.rows), step):
                part = self._whole[start : start + step]
                products[first : first + FACES, start : start + step] = some @ part.T
        return products

    def _best(self, products: Vectors) -> Vectors:
        best: Vectors = np.maximum.reduceat(products, self._bounds[:-1], axis=1) if self.persons else products
        return best

    def _found(self, products: Vectors, best: Vectors, person: int) -> Match:
        span = slice(*self._bounds[person : person + 2])
        own = np.where(self._exemplar[span], products[span], -np.inf)
        row = self.rows[span.start + int(np.argmax(own))]
        return Match(row.person, likeness_of(float(best[person])), row.id, row.picture)


def whole(vectors: Vectors, where: str) -> Vectors:
    """Vectors rounded to whole numbers, float32; see `UNITS`.

    Args:
        vectors: float32 [N, D].
        where: What they are, for the error.

    Raises:
        ValueError: one is not finite or not of unit length; the message names its row.
    """
    lengths = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1))
    wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= LENGTH_TOLERANCE))
    if len(wrong):
        raise ValueError(f"{where}: vector {wrong[0]} has length {lengths[wrong[0]]:.4f}, 1 expected")
    rounded: Vectors = np.rint(vectors * np.float32(UNITS)).astype(np.float32)
    return rounded


def likeness_of(product: float) -> float:
    """Cosine of two vectors from the product of their whole numbers, at most 1."""
    return round(min(1.0, product / UNITS**2), DIGITS)


EMPTY = GallerySnapshot(NO_GALLERY, 1.0, "", (), np.zeros((0, 0), np.float32))
"""What there is before any gallery was built: nobody is in it."""


class FaceGallery(Protocol):
    """The gallery of public figures, as it is now."""

    def snapshot(self) -> GallerySnapshot:
        """The version in use; blocks while one is loaded.

        Raises:
            UnavailableError: none could be loaded yet.
        """
        ...


class NoGallery:
    """What is compared with where faces are not to be compared: nobody."""

    def snapshot(self) -> GallerySnapshot:
        """`EMPTY`, whatever was built."""
        return EMPTY
