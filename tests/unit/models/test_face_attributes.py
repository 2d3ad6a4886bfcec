"""Age, sex, the socket for further heads. Ages are those of public persons at the time, within a wide margin."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from infra.demo.faces import pixels
from models.face_attributes import AGES, AttributeReader, FaceAttributes, Head
from models.face_detection import Face, FaceDetector
from models.portrait_faces import find
from models.weights import BUILT, WeightsError

TINY = Path(__file__).parent / "weights"


@cache
def read(name: str) -> tuple[FaceAttributes, ...]:
    image = pixels(name)
    return tuple(reader().read(image, find(FaceDetector(), image)))


@cache
def reader(minor_under: float = 14.0) -> AttributeReader:
    return AttributeReader(folder=BUILT, minor_under=minor_under)


@pytest.mark.parametrize(("name", "years", "female"), [("biden", 70, 0), ("obama-1", 51, 0), ("hopper", 77, 0)])
def test_public_persons_look_about_their_age(name: str, years: float, female: float) -> None:
    (face,) = read(name)
    assert face.age_years == pytest.approx(years, abs=14)
    assert face.female == pytest.approx(female, abs=0.3)
    assert face.child < 0.05


def test_sexes_of_six_actors() -> None:
    image = pixels("six-actors")
    faces = sorted(find(FaceDetector(), image), key=lambda face: face.x)
    women = [each.female > 0.5 for each in reader().read(image, faces)]
    assert len(faces) == 6
    # the card's known mistake: the man in profile is read as a woman
    assert sum(women) in (3, 4)


def test_the_limit_moves_the_probability_of_a_child() -> None:
    image = pixels("biden")
    faces = find(FaceDetector(), image)
    shares = [reader(limit).read(image, faces)[0].child for limit in (1.0, 14.0, 60.0, 80.0)]
    assert shares == sorted(shares)
    assert shares[0] < 0.01
    assert shares[-1] > 0.5


def test_a_mirrored_picture_is_as_old() -> None:
    image = pixels("obama-3")
    (face,) = find(FaceDetector(), image)
    width = image.shape[1]
    places = tuple((width - 1 - x, y) for x, y in (face.keypoints[place] for place in (1, 0, 2, 3, 5, 4)))
    other = Face(width - 1 - face.x - face.width, face.y, face.width, face.height, face.score, places)
    here, there = (
        reader().read(image, [face])[0],
        reader().read(np.ascontiguousarray(image[:, ::-1]), [other])[0],
    )
    assert there.age_years == pytest.approx(here.age_years, abs=3.0)
    assert there.female == pytest.approx(here.female, abs=0.1)


def test_the_order_is_that_of_the_faces() -> None:
    image = pixels("six-actors")
    faces = find(FaceDetector(), image)
    there, back = reader().read(image, faces), reader().read(image, faces[::-1])
    ages = [each.age_years for each in there]
    assert ages == pytest.approx([each.age_years for each in back[::-1]], abs=0.1)
    assert reader().read(image, []) == []


def test_ages_are_those_of_the_network() -> None:
    assert AGES.shape == (81,)
    assert (AGES[0], AGES[1], AGES[-1]) == (0.25, 1.0, 80.0)


@pytest.mark.parametrize("limit", [0.0, 81.0, float("nan")])
def test_an_impossible_limit_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="age limit"):
        AttributeReader(folder=BUILT, minor_under=limit)


def test_other_arrays_are_refused() -> None:
    (face,) = find(FaceDetector(), pixels("biden"))
    with pytest.raises(ValueError, match="uint8"):
        reader().read(np.zeros((50, 50), np.uint8), [face])


def test_versions_name_weights_limit_and_code() -> None:
    assert reader().version == "face-age@1.0+face-gender@1.0/1(under 14)"
    assert reader().providers == ("CPUExecutionProvider",)


def test_a_head_of_ones_own_scores_vectors() -> None:
    head = Head("tiny-head", TINY)
    vectors = np.random.default_rng(3).normal(size=(5, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weights = np.random.default_rng(11).normal(0, 0.3, (128, 1)).astype(np.float32)
    np.testing.assert_allclose(head.score(vectors), 1 / (1 + np.exp(-(vectors @ weights)[:, 0])), atol=1e-5)
    assert head.score(vectors[:0]).shape == (0,)
    assert head.version == "tiny-head@1/1"
    assert head.providers == ("CPUExecutionProvider",)


@pytest.mark.parametrize("vectors", [np.zeros((2, 64), np.float32), np.zeros((2, 128)), np.zeros(128, np.float32)])
def test_a_head_refuses_other_vectors(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="float32"):
        Head("tiny-head", TINY).score(vectors)


def test_a_head_of_another_form_is_refused() -> None:
    with pytest.raises(WeightsError, match="face vectors"):
        Head("tiny-face", TINY)
    with pytest.raises(WeightsError, match="no card"):
        Head("taste", TINY)
