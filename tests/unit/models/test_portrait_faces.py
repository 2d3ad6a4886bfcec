"""Faces that fill their picture, and pictures that must stay without one."""

import numpy as np
import pytest
from PIL import Image

from infra.demo import packaged
from infra.demo.faces import pixels
from models.face_detection import FaceDetector
from models.portrait_faces import find


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.mark.parametrize("name", ["obama-2", "astronaut", "hopper", "biden"])
def test_a_face_cut_out_at_its_edges_is_where_it_was(detector: FaceDetector, name: str) -> None:
    image = pixels(name)
    (face,) = find(detector, image)
    left, top = int(face.x), int(face.y)
    cut = np.ascontiguousarray(image[top : top + int(face.height), left : left + int(face.width)])
    assert detector.detect(cut) == []
    (close,) = find(detector, cut)
    off = np.subtract(close.keypoints[:4], face.keypoints[:4]) + np.array([left, top])
    assert np.abs(off).max() < 0.1 * face.width
    assert close.width == pytest.approx(face.width, rel=0.2)
    assert (close.x + left, close.y + top) == pytest.approx((face.x, face.y), abs=0.15 * face.width)


def test_a_tiny_picture_of_a_face_is_one(detector: FaceDetector) -> None:
    (face,) = find(detector, pixels("tom-hanks"))
    right_eye, left_eye, nose, mouth = face.keypoints[:4]
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_eye[1] < nose[1] < mouth[1] < 112


def test_what_is_found_at_once_stays(detector: FaceDetector) -> None:
    image = pixels("six-actors")
    assert find(detector, image) == detector.detect(image)


@pytest.mark.parametrize("name", ["coffee", "cat", "rocket", "temple", "flower", "mask-black", "mask-white"])
def test_nothing_becomes_a_face(detector: FaceDetector, name: str) -> None:
    assert find(detector, pixels(name)) == []


def test_what_resembles_a_face_inside_an_edge_is_none(detector: FaceDetector) -> None:
    with Image.open(packaged.picture("coins.png").locate()) as opened:
        assert find(detector, np.asarray(opened.convert("RGB"))) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 4000, 3), (4000, 3, 3)])
def test_odd_shapes_have_no_face(detector: FaceDetector, shape: tuple[int, int, int]) -> None:
    assert find(detector, np.full(shape, 90, np.uint8)) == []


def test_other_arrays_are_refused(detector: FaceDetector) -> None:
    with pytest.raises(ValueError, match="uint8"):
        find(detector, np.zeros((5, 5), np.uint8))
