"""Vectors of faces, on real faces: who is whom, and what must not matter."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from infra.demo.faces import PICTURES, pixels, talking_man
from models.face_detection import Face, FaceDetector
from models.face_embedding import (
    ARCFACE,
    BATCH,
    SAME_PERSON,
    ArcFaceEmbedder,
    DlibFaceEmbedder,
    FaceEmbedder,
    NetworkFaceEmbedder,
)
from models.portrait_faces import find
from models.weights import BUILT, WeightsError, load

TINY = Path(__file__).parent / "weights"
PEOPLE = (
    "obama-1",
    "obama-2",
    "obama-3",
    "obama-cut-1",
    "obama-cut-2",
    "biden",
    "astronaut",
    "hopper",
    "tom-hanks",
    "six-actors",
)
NOBODY = ("coffee", "cat", "rocket", "temple", "flower", "mask-blue")


@cache
def found(name: str) -> tuple[np.ndarray, list[Face]]:
    image = pixels(name)
    return image, find(FaceDetector(), image)


@pytest.fixture(scope="module")
def embedder() -> DlibFaceEmbedder:
    return DlibFaceEmbedder(folder=BUILT)


def all_vectors(embedder: FaceEmbedder) -> Iterator[tuple[str, np.ndarray]]:
    """(person, vector) of every face of ``PEOPLE`` and of a film; strangers get the picture's name and a number."""
    for name in PEOPLE:
        image, faces = found(name)
        for number, vector in enumerate(embedder.embed(image, faces)):
            yield PICTURES[name].person or f"{name}-{number}", vector
    for frame in talking_man(8):
        (vector,) = embedder.embed(frame, FaceDetector().detect(frame))
        yield "talking man", vector


@pytest.mark.parametrize("name", [*PEOPLE, "zidane", *NOBODY])
def test_as_many_faces_are_found_as_there_are(name: str) -> None:
    assert len(found(name)[1]) == PICTURES[name].faces


def test_one_threshold_parts_people(embedder: DlibFaceEmbedder) -> None:
    people = list(all_vectors(embedder))
    assert len(people) == 23
    apart: dict[bool, list[float]] = {True: [], False: []}
    for (one, a), (other, b) in combinations(people, 2):
        apart[one == other].append(float(np.linalg.norm(a - b)))
    assert (len(apart[True]), len(apart[False])) == (38, 215)
    assert max(apart[True]) < SAME_PERSON < min(apart[False])


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_turned_face_is_the_same(embedder: DlibFaceEmbedder, quarter: int) -> None:
    image, (face,) = found("astronaut")
    turned = np.ascontiguousarray(np.rot90(image, quarter))
    points = np.array(face.keypoints)
    for _ in range(quarter):  # counter-clockwise: x becomes the distance from the bottom
        points = np.column_stack([points[:, 1], image.shape[1] - 1 - points[:, 0]])
    other = Face(0.0, 0.0, face.width, face.height, face.score, tuple(map(tuple, points)))
    (a,), (b,) = embedder.embed(image, [face]), embedder.embed(turned, [other])
    assert np.linalg.norm(a - b) < 0.02


def test_a_mirrored_picture_is_the_same_person(embedder: DlibFaceEmbedder) -> None:
    image, (face,) = found("obama-2")
    points = [(image.shape[1] - 1 - x, y) for x, y in face.keypoints]
    other = Face(0.0, 0.0, face.width, face.height, face.score, (points[1], points[0], *points[2:]))
    (a,), (b,) = embedder.embed(image, [face]), embedder.embed(np.ascontiguousarray(image[:, ::-1]), [other])
    assert np.linalg.norm(a - b) < 0.1


def test_a_small_copy_is_the_same_person(embedder: DlibFaceEmbedder) -> None:
    import cv2

    image, faces = found("obama-1")
    small = cv2.resize(image, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    (a,), (b,) = embedder.embed(image, faces), embedder.embed(small, FaceDetector().detect(small))
    assert np.linalg.norm(a - b) < 0.25


def test_vectors_have_length_one_and_the_order_of_the_faces(embedder: DlibFaceEmbedder) -> None:
    image, faces = found("six-actors")
    many = [*faces, *reversed(faces), *faces, *faces]  # more than one batch
    assert len(many) > BATCH
    vectors = embedder.embed(image, many)
    assert (vectors.dtype, vectors.shape) == (np.float32, (24, embedder.dim))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(vectors[6:12], vectors[5::-1], atol=1e-5)
    np.testing.assert_allclose(vectors[18:], vectors[:6], atol=1e-5)


def test_no_faces_are_no_vectors(embedder: DlibFaceEmbedder) -> None:
    assert embedder.embed(np.zeros((5, 5, 3), np.uint8), []).shape == (0, 128)


def test_threads_may_share_an_embedder(embedder: DlibFaceEmbedder) -> None:
    image, faces = found("six-actors")
    expected = embedder.embed(image, faces)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(lambda _: embedder.embed(image, faces), range(8)):
            np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_version_names_weights_and_code(embedder: DlibFaceEmbedder) -> None:
    assert embedder.version == "face-resnet@1.0/1"
    assert embedder.providers == ("CPUExecutionProvider",)


def test_a_network_of_arcface_form_sees_rgb_chips_in_its_range() -> None:
    embedder = ArcFaceEmbedder("tiny-face", TINY)
    assert (embedder.version, embedder.dim) == ("tiny-face@1/1", 512)
    face = Face(0.0, 0.0, 112.0, 112.0, 1.0, (*ARCFACE.template.places, (0.0, 0.0), (0.0, 0.0)))
    image = np.zeros((112, 112, 3), np.uint8)
    image[:56] = (255, 127, 0)
    (vector,) = embedder.embed(image, [face])
    weights = np.random.default_rng(7).normal(size=(12, 512)).astype(np.float32)
    top, bottom = (image[row, 0].astype(np.float32) / 127.5 - 1.0 for row in (0, 111))
    means = np.stack([top, top, bottom, bottom], axis=1).ravel()  # as [3, 2, 2]
    expected = means @ weights
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=0.01)


def test_a_network_of_another_form_is_refused() -> None:
    with pytest.raises(WeightsError, match="112 px"):
        NetworkFaceEmbedder(load("face-resnet", BUILT), ARCFACE)
    with pytest.raises(WeightsError, match="112 px"):
        NetworkFaceEmbedder(load("blazeface-full-range"), ARCFACE)
