"""Cutting out faces: where a pixel of the picture comes to lie on the chip."""

import cv2
import numpy as np
import pytest

from models.face_alignment import ARCFACE_TEMPLATE, Template, chips, dlib_template, similarity
from models.face_detection import Face

DLIB = dlib_template(150, 0.25)


def face_of(template: Template, transform: np.ndarray) -> Face:
    """A face whose keypoints lie on the chip's places after the inverse of ``transform``."""
    back = cv2.invertAffineTransform(transform)
    points = [(0.0, 0.0)] * 6
    for index, place in zip(template.keypoints, template.places, strict=True):
        points[index] = tuple(back[:, :2] @ place + back[:, 2])
    return Face(0.0, 0.0, 100.0, 100.0, 1.0, tuple(points))


def turn(degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    angle = np.deg2rad(degrees)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


@pytest.mark.parametrize("degrees", [0.0, 37.0, 90.0, 180.0, -120.0])
def test_a_similarity_is_found_again(degrees: float) -> None:
    wanted = turn(degrees, 0.7, (30.0, -12.0))
    source = np.array([[10.0, 20.0], [55.0, 18.0], [31.0, 70.0], [4.0, 4.0]])
    np.testing.assert_allclose(similarity(source, source @ wanted[:, :2].T + wanted[:, 2]), wanted, atol=1e-9)


def test_a_similarity_is_the_best_by_least_squares() -> None:
    random = np.random.default_rng(3)
    source, target = random.normal(size=(5, 2)), random.normal(size=(5, 2))

    def off(transform: np.ndarray) -> float:
        return float(np.sum((source @ transform[:, :2].T + transform[:, 2] - target) ** 2))

    best = similarity(source, target)
    assert off(best) < off(best + np.array([[0, 0, 1e-3], [0, 0, 0]]))
    for degrees, scale in ((0.1, 1.0), (-0.1, 1.0), (0.0, 1.001), (0.0, 0.999)):
        other = turn(degrees, scale, (0.0, 0.0))[:, :2] @ best[:, :2]
        shift = target.mean(axis=0) - other @ source.mean(axis=0)
        assert off(best) < off(np.column_stack([other, shift]))


@pytest.mark.parametrize("source", [[[5, 5]] * 3, [[np.nan, 0], [1, 1], [2, 0]], [[np.inf, 0], [1, 1], [2, 0]]])
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_points_without_extent_are_refused(source: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="similarity"):
        similarity(source, DLIB.places)


@pytest.mark.parametrize("template", [DLIB, dlib_template(64, 0.2), ARCFACE_TEMPLATE])
@pytest.mark.parametrize(("degrees", "scale"), [(0.0, 1.0), (25.0, 0.25), (-70.0, 0.6), (10.0, 2.5), (180.0, 0.3)])
def test_every_keypoint_comes_to_its_place(template: Template, degrees: float, scale: float) -> None:
    transform = turn(degrees, scale, (20.0, 30.0))
    transform[:, 2] = template.side / 2 - transform[:, :2] @ (400.0, 400.0)
    face = face_of(template, transform)
    for index, place in zip(template.keypoints, template.places, strict=True):
        picture = np.zeros((800, 800, 3), np.uint8)
        x, y = face.keypoints[index]
        # a dot with its middle at the keypoint; pixel centres lie at whole numbers, as for the detector
        cv2.circle(picture, (round(x * 16), round(y * 16)), round(16 * 5 / scale), (255, 255, 255), -1, cv2.LINE_AA, 4)
        (chip,) = chips(picture, [face], template)
        rows, columns = np.nonzero(chip[:, :, 0] > 127)
        assert (columns.mean(), rows.mean()) == pytest.approx(place, abs=0.3 * max(1.0, scale))


def test_a_chip_of_dlib_has_the_inner_box_in_its_middle() -> None:
    inner, whole = dlib_template(100, 0.0), dlib_template(150, 0.25)
    np.testing.assert_allclose(np.array(inner.places) + 25.0, whole.places)


def test_what_lies_outside_is_black() -> None:
    transform = turn(0.0, 1.0, (75.0, 75.0))  # the picture's corner is the chip's middle
    (chip,) = chips(np.full((300, 300, 3), 200, np.uint8), [face_of(DLIB, transform)], DLIB)
    assert (chip[80:, 80:] == 200).all()
    assert (chip[:70] == 0).all()
    assert (chip[:, :70] == 0).all()


def test_fine_patterns_become_grey_when_a_face_gets_smaller() -> None:
    stripes = np.zeros((1000, 1000, 3), np.uint8)
    stripes[:, ::2] = 255
    transform = turn(0.0, 0.17, (0.0, 0.0))
    (chip,) = chips(stripes, [face_of(DLIB, transform)], DLIB)
    assert np.abs(chip[5:-5, 5:-5].astype(int) - 127).max() <= 25


def test_no_faces_are_no_chips() -> None:
    assert chips(np.zeros((10, 10, 3), np.uint8), [], DLIB).shape == (0, 150, 150, 3)


def test_a_face_outside_of_the_picture_is_refused() -> None:
    face = face_of(DLIB, turn(0.0, 1.0, (-500.0, 0.0)))
    with pytest.raises(ValueError, match="outside"):
        chips(np.zeros((100, 100, 3), np.uint8), [face], DLIB)


@pytest.mark.parametrize(
    "image", [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32)]
)
def test_other_arrays_are_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        chips(image, [], DLIB)
