"""Faces compared with a gallery in memory: who is found, in which order, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from models.face_gallery import EMPTY, UNITS, GallerySnapshot, whole
from schemas.common import ObjectRef

DIM = 128


@dataclass(frozen=True)
class Row:
    id: str
    person: str
    kind: str
    picture: ObjectRef | None = None


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((*shape, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def axis(number: int, *, part: float = 1.0, other: int = DIM - 1) -> np.ndarray:
    """A vector of which so much points along one axis."""
    vector = np.zeros(DIM, np.float32)
    vector[number], vector[other] = part, np.sqrt(1 - part**2)
    return vector


def picture(name: str) -> ObjectRef:
    return ObjectRef(key=f"gallery/{name}.webp", sha256=name, size_bytes=1, content_type="image/webp")


def gallery(**persons: list[np.ndarray]) -> GallerySnapshot:
    """The first vector of each person is the centroid."""
    rows, vectors = [], []
    for name, own in persons.items():
        for number, vector in enumerate(own):
            rows.append(Row(f"{name}{number}", name, "exemplar" if number else "centroid", picture(f"{name}{number}")))
            vectors.append(vector)
    return GallerySnapshot("1", 0.9, "e", rows, np.stack(vectors))


def test_the_nearest_row_of_each_person_counts_and_its_nearest_exemplar_is_shown() -> None:
    held = gallery(
        ann=[axis(0, part=0.9), axis(0, part=0.5), axis(0, part=0.8)],
        bob=[axis(1), axis(1, part=0.6)],
        cid=[axis(2), axis(2)],
    )
    [found, other] = held.match(np.stack([axis(0), axis(1)]), 2)
    assert [(match.person, match.exemplar) for match in found] == [("ann", "ann2"), ("bob", "bob1")]
    # by the centroid, although the picture is that of an exemplar
    assert found[0].likeness == pytest.approx(0.9, abs=3e-4)
    assert found[0].picture == picture("ann2")
    assert other[0].person == "bob"
    assert held.persons == ("ann", "bob", "cid")
    assert held.likenesses(axis(0)[None])[0] == pytest.approx([0.9, 0, 0], abs=3e-4)


def test_those_equally_alike_stand_by_name_whatever_the_order_of_the_rows() -> None:
    rows = [Row(f"{name:03d}-{number}", f"{name:03d}", "exemplar") for name in range(300) for number in range(3)]
    vectors = np.stack([axis(5, part=(0.5, 0.8, 0.6)[int(row.person) % 3]) for row in rows])
    wanted = [(f"{name:03d}", f"{name:03d}-0") for name in range(1, 300, 3)]
    for order in (list(range(len(rows))), list(range(len(rows) - 1, -1, -1))):
        held = GallerySnapshot("1", 0.9, "e", [rows[at] for at in order], vectors[order])
        [found] = held.match(axis(5)[None], 100)
        assert [(match.person, match.exemplar) for match in found] == wanted


def test_a_face_has_the_same_likeness_alone_and_among_others_in_any_precision_of_adding_up() -> None:
    rows = [Row(f"{number:04d}", f"{number // 3:04d}", "exemplar") for number in range(999)]
    vectors, faces = unit(999, seed=1), unit(33, seed=2)
    held = GallerySnapshot("1", 0.9, "e", rows, vectors)
    together = held.match(faces, 4)
    assert together == [held.match(face[None], 4)[0] for face in faces]
    exact = whole(faces, "").astype(np.int64) @ whole(held.vectors, "").astype(np.int64).T
    assert (exact == whole(faces, "") @ whole(held.vectors, "").T).all()
    # and near the likeness of what was not rounded
    assert np.abs(exact / UNITS**2 - faces @ held.vectors.T).max() < 6e-4


def test_the_longest_vectors_stay_within_what_float32_holds_exactly() -> None:
    longest = np.full(DIM, 1.0009 / np.sqrt(DIM), np.float32)
    assert np.square(whole(longest[None], "").astype(np.int64)).sum() < 2**24


def test_nobody_is_in_no_gallery() -> None:
    assert EMPTY.match(unit(2), 5) == [[], []]
    assert EMPTY.match(np.zeros((0, DIM), np.float32), 5) == []
    assert (EMPTY.version, EMPTY.threshold, EMPTY.persons) == ("none", 1.0, ())
    assert gallery(ann=[axis(0), axis(0)]).match(np.zeros((0, DIM), np.float32), 1) == []


def test_what_cannot_be_compared_is_refused_by_row() -> None:
    held = gallery(ann=[axis(0), axis(0)])
    faces = unit(3)
    faces[1] *= 1.01
    with pytest.raises(ValueError, match=r"faces: vector 1 has length 1\.01"):
        held.match(faces, 1)
    faces[1] = np.nan
    with pytest.raises(ValueError, match="faces: vector 1 has length nan"):
        held.likenesses(faces)
    with pytest.raises(ValueError, match=r"\(2, 64\)"):
        held.match(np.zeros((2, 64), np.float32), 1)
    with pytest.raises(ValueError, match="limit 0"):
        held.match(unit(1), 0)
    with pytest.raises(ValueError, match="'ann' has no exemplar"):
        gallery(ann=[axis(0)])
    with pytest.raises(ValueError, match="1 rows with vectors"):
        GallerySnapshot("1", 0.9, "e", [Row("1", "a", "exemplar")], unit(2))
    with pytest.raises(ValueError, match="gallery 1: vector 0 has length 0"):
        GallerySnapshot("1", 0.9, "e", [Row("1", "a", "exemplar")], np.zeros((1, DIM), np.float32))
