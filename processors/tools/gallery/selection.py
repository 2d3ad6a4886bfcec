"""Which pictures of a person are kept: none twice, none of somebody else, and the few that differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.runtime.gallery_settings import Gallery
from processors.tools.gallery.faces import ReadFace
from processors.tools.gallery.folder import Skipped

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Person:
    """What is kept of a person.

    Attributes:
        name: Name.
        exemplars: Most telling pictures, the one nearest to the centroid first.
        centroid: float32 [D], of unit length: the mean of all usable pictures.
    """

    name: str
    exemplars: tuple[ReadFace, ...]
    centroid: NDArray[np.float32]


def select(name: str, faces: Sequence[ReadFace], rules: Gallery) -> tuple[Person | None, list[Skipped]]:
    """Choose among the faces of one person's folder; the order of the faces does not matter.

    Returns:
        The person, None if nothing is left, and what was left out.
    """
    skipped: list[Skipped] = []
    # the largest first: of two alike it is the one to keep
    waiting = sorted(faces, key=lambda face: (-face.side_px, face.sha256, face.path))
    kept: list[ReadFace] = []
    for face in waiting:
        same = next((other for other in kept if other.sha256 == face.sha256), None)
        alike = next((other for other in kept if float(other.vector @ face.vector) > rules.duplicate), None)
        if same is not None:
            skipped.append(Skipped(face.path, "duplicate", f"the same file as {same.path}"))
        elif alike is not None:
            likeness = float(alike.vector @ face.vector)
            skipped.append(Skipped(face.path, "near-duplicate", f"likeness {likeness:.3f} to {alike.path}"))
        else:
            kept.append(face)
    own = largest_group(np.stack([face.vector for face in kept]), rules.same_person) if kept else []
    for number, face in enumerate(kept):
        if number not in own:
            skipped.append(Skipped(face.path, "outlier", f"not the face of most pictures of {name}"))
    used = [kept[number] for number in own]
    if not used:
        return None, skipped
    vectors = np.stack([face.vector for face in used])
    middle = centroid(vectors)
    chosen = farthest_points(vectors, middle, rules.exemplars)
    return Person(name, tuple(used[number] for number in chosen), middle), skipped


def centroid(vectors: Vectors) -> NDArray[np.float32]:
    """Mean of vectors [N, D], of unit length."""
    mean = vectors.astype(np.float64).mean(axis=0)
    middle: NDArray[np.float32] = (mean / np.linalg.norm(mean)).astype(np.float32)
    return middle


def largest_group(vectors: Vectors, least: float) -> list[int]:
    """Numbers of the vectors in the largest set that is connected by likenesses of at least ``least``.

    Two sets of the same size: nobody knows which is the person's, so none.

    Args:
        vectors: float32 [N, D], N >= 1, of unit length.
        least: Cosine.
    """
    joined = vectors @ vectors.T >= least
    group = np.arange(len(vectors))
    for _ in range(len(vectors)):
        lowest = np.where(joined, group[None, :], len(vectors)).min(axis=1)
        lowest = np.minimum(lowest, group)
        if (lowest == group).all():
            break
        group = lowest
    names, sizes = np.unique(group, return_counts=True)
    largest = names[sizes == sizes.max()]
    return np.flatnonzero(group == largest[0]).tolist() if len(largest) == 1 else []


def farthest_points(vectors: Vectors, middle: NDArray[np.float32], most: int) -> list[int]:
    """Numbers of vectors that stand for all: the one nearest to the middle, then always the one that is least like
    those chosen (Gonzalez 1985); of those equal the first.

    Args:
        vectors: float32 [N, D].
        middle: float32 [D].
        most: How many, >= 1.
    """
    chosen = [int(np.argmax(vectors @ middle))]
    nearest = vectors @ vectors[chosen[0]]
    while len(chosen) < min(most, len(vectors)):
        nearest[chosen] = np.inf
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return chosen
