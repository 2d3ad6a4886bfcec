"""A version of the gallery out of persons: its rows, its threshold, and a name that says what is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import orjson

from features.face_gallery import PICTURE_TYPE, PICTURES, Gallery, GalleryError, GalleryFacts, GalleryRow, Kind
from features.ports import Vector
from models.face_gallery import GallerySnapshot
from processors.tools.gallery.curve import Likenesses, has_curve, likenesses, threshold_for
from processors.tools.gallery.faces import ReadFace
from processors.tools.gallery.selection import Person
from schemas.common import ObjectRef

VERSION_DIGITS = 12
Origin = Literal["own", "shipped", "before"]
"""By a gallery's own faces, by the curve that comes with the source, or that of the version before."""


@dataclass(frozen=True, eq=False, slots=True)
class Composed:
    """A version that is not stored yet.

    Attributes:
        gallery: All of it.
        found: What its faces tell of one another.
        threshold_by: Where its threshold is from.
    """

    gallery: Gallery
    found: Likenesses
    threshold_by: Origin


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Rows and their vectors, float32 [R, D], in the same order."""

    rows: tuple[GalleryRow, ...]
    vectors: Vector

    def without(self, persons: Sequence[str]) -> Rows:
        """Those of everybody else."""
        kept = [at for at, row in enumerate(self.rows) if row.person not in persons]
        return Rows(tuple(self.rows[at] for at in kept), self.vectors[kept])

    def joined(self, other: Rows) -> Rows:
        """These and others."""
        if not self.rows:
            return other
        return Rows((*self.rows, *other.rows), np.concatenate([self.vectors, other.vectors]))


def rows_of(persons: Sequence[Person]) -> Rows:
    """Rows of persons: the centroid of each, then its exemplars.

    Args:
        persons: At least one.
    """
    made = [made for person in persons for made in _rows(person)]
    return Rows(tuple(row for row, _ in made), np.stack([vector for _, vector in made]))


def compose(
    rows: Rows, embedder: str, false_accepts: float, same_person: float, larger: GalleryFacts | None = None
) -> Composed:
    """Version of those rows.

    Args:
        rows: Rows.
        embedder: Version of the embedder of their vectors.
        false_accepts: Share of searches with a stranger's face that may find somebody.
        same_person: See `processors.tools.gallery.curve.likenesses`.
        larger: A version of the same embedder that holds all of these and more. Its threshold is taken where there is
            none for so few of such an embedder: strangers are found the less often the fewer there are.

    Raises:
        GalleryError: there are none, or there is no threshold for so few of such an embedder.
    """
    if not rows.rows:
        raise GalleryError("a gallery without anybody: nothing is made")
    held = GallerySnapshot("", 1.0, embedder, rows.rows, rows.vectors)
    found = likenesses(held, same_person)
    by: Origin
    if larger is not None and not has_curve(found, embedder):
        threshold, by, false_accepts = larger.threshold, "before", larger.false_accepts
    else:
        threshold, own = threshold_for(found, embedder, false_accepts)
        by = "own" if own else "shipped"
    facts = GalleryFacts(
        embedder=embedder,
        dim=rows.vectors.shape[1],
        threshold=threshold,
        false_accepts=false_accepts,
        persons=len(held.persons),
        rows=len(rows.rows),
        made_at_ms=int(datetime.now(UTC).timestamp() * 1000),
    )
    return Composed(Gallery(_name(rows.rows, facts), facts, rows.rows, rows.vectors), found, by)


def picture_of(face: ReadFace) -> ObjectRef:
    """Where the small picture of a face lies, once it is stored."""
    digest = hashlib.sha256(face.crop).hexdigest()
    return ObjectRef(
        key=f"{PICTURES}/{digest}.webp", sha256=digest, size_bytes=len(face.crop), content_type=PICTURE_TYPE
    )


def _name(rows: Sequence[GalleryRow], facts: GalleryFacts) -> str:
    """By what was put in, not by the vectors, which differ in the last bits from machine to machine."""
    told = sorted((row.person, row.kind, row.source, row.picture.sha256) for row in rows)
    said = orjson.dumps([told, facts.embedder, facts.threshold, facts.false_accepts])
    return hashlib.sha256(said).hexdigest()[:VERSION_DIGITS]


def _rows(person: Person) -> Iterator[tuple[GalleryRow, Vector]]:
    yield _row(person.name, "centroid", person.exemplars[0]), person.centroid
    for face in person.exemplars:
        yield _row(person.name, "exemplar", face), face.vector


def _row(person: str, kind: Kind, face: ReadFace) -> GalleryRow:
    identity = hashlib.sha256("\0".join((person, kind, face.sha256)).encode()).hexdigest()
    return GalleryRow(identity[:32], person, kind, face.sha256, picture_of(face))
