"""What is measured of a face: angles on projections of a head, the rest on real faces made worse by known amounts."""

import math
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest

from infra.demo.faces import pixels
from models import face_occlusion
from models.face_crop import square, upright
from models.face_detection import Face, FaceDetector
from models.face_occlusion import OcclusionReader, covered_share
from models.face_pose import HEAD, pose
from models.face_quality import FaceQuality, measure, version
from models.face_sharpness import blur, sharpness
from models.portrait_faces import find
from tests import degradations
from tests.degradations import avatar, hand, jpeg, mask, noise, phone, screen, sunglasses, upscaled

# none of them was trained on
NAMES = ("astronaut", "biden", "hopper")


@cache
def detector() -> FaceDetector:
    return FaceDetector()


@cache
def person(name: str) -> tuple[np.ndarray, Face]:
    """The largest face of a packaged picture, cut out as an avatar."""
    image = pixels(name)
    cut = avatar(image, max(find(detector(), image), key=lambda face: face.width))
    return cut, find(detector(), cut)[0]


def head(yaw: float, pitch: float, roll: float, scale: float = 30.0) -> Face:
    """A head turned by these angles, seen from far away."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    about_z = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    points = scale * (HEAD @ (about_z @ about_x @ about_y).T)[:, :2] + (200.0, 150.0)
    return Face(100.0, 60.0, 200.0, 200.0, 0.9, tuple((float(x), float(y)) for x, y in points))


@pytest.mark.parametrize("angles", [(0, 0, 0), (35, 0, 0), (-60, 10, 5), (20, -30, 0), (0, 25, -80), (15, 10, 170)])
def test_angles_of_a_turned_head_are_read(angles: tuple[float, float, float]) -> None:
    told = pose(head(*angles))
    assert (told.yaw, told.pitch, told.roll) == pytest.approx(angles, abs=1e-6)


def test_signs_are_those_of_the_docstring() -> None:
    # nose to the picture's right, up, the person's left eye lower
    assert head(30, 0, 0).keypoints[2][0] > 200.0
    assert head(0, 30, 0).keypoints[2][1] < head(0, 0, 0).keypoints[2][1]
    assert head(0, 0, 30).keypoints[1][1] > head(0, 0, 30).keypoints[0][1]


@pytest.mark.parametrize(
    "keypoints", [((1.0, 1.0),) * 6, ((0.0, 0.0),) * 5, ((math.nan, 0.0), *((float(n), 1.0) for n in range(5)))]
)
def test_impossible_keypoints_are_refused(keypoints: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="keypoints"):
        pose(Face(0, 0, 10, 10, 1, keypoints))


@pytest.mark.parametrize(
    ("name", "least", "most"), [("astronaut", -10, 10), ("obama-1", -10, 10), ("group-2", -75, -45)]
)
def test_real_heads_look_where_they_look(name: str, least: float, most: float) -> None:
    image = pixels(name)
    yaws = [pose(face).yaw for face in find(detector(), image)]
    # in group-2 one woman is in full profile, to the left
    assert least < min(yaws, key=abs if most > 0 else float) < most


@pytest.mark.parametrize("degrees", [-25, 20])
def test_a_turned_picture_turns_the_head_as_far(degrees: float) -> None:
    image, face = person("astronaut")
    (turned,) = find(detector(), degradations.rotation(image, face, degrees))
    assert pose(turned).roll - pose(face).roll == pytest.approx(degrees, abs=6)


def test_a_mirrored_picture_turns_the_head_the_other_way() -> None:
    image, face = person("biden")
    (mirrored,) = find(detector(), np.ascontiguousarray(image[:, ::-1]))
    assert pose(mirrored).yaw == pytest.approx(-pose(face).yaw, abs=5)
    assert pose(mirrored).roll == pytest.approx(-pose(face).roll, abs=4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0.02, 0.03, 0.05])
def test_the_blur_that_was_put_on_is_read(name: str, level: float) -> None:
    image, face = person(name)
    assert blur(degradations.blur(image, face, level), face) == pytest.approx(level, rel=0.35)


@pytest.mark.parametrize("name", NAMES)
def test_sharpness_falls_with_blur_noise_and_compression(name: str) -> None:
    image, face = person(name)
    for make, levels in (
        (degradations.blur, (0.0, 0.01, 0.02, 0.03, 0.05)),
        (noise, (0.0, 10.0, 20.0, 40.0, 60.0)),
        (jpeg, (95, 20, 10)),
        (upscaled, (64, 32, 16)),
    ):
        told = [sharpness(make(image, face, level), face) for level in levels]
        assert (np.diff(told) < 0.01).all(), (make.__name__, told)
        assert told[-1] < told[0] - 0.3, (make.__name__, told)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_is_blurred_counts_as_sharp(name: str) -> None:
    image, face = person(name)
    blurred = degradations.blur(image, face, 0.03)
    assert sharpness(image, face) > 0.6
    for grain in (10.0, 25.0, 50.0):
        assert sharpness(noise(blurred, face, grain), face) < 0.3
    assert sharpness(jpeg(blurred, face, 10), face) < 0.2
    assert sharpness(jpeg(image, face, 10), face) < 0.5
    assert sharpness(upscaled(image, face, 16), face) < 0.3


def test_a_tiny_face_is_not_sharp() -> None:
    image, face = person("astronaut")
    small = cv2.resize(image, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    tenth = Face(*(value / 10 for value in (face.x, face.y, face.width, face.height)), face.score, face.keypoints)
    assert sharpness(small, tenth) == 0.0


@pytest.mark.parametrize("level", [0, 128, 255])
def test_light_of_plain_pictures(level: int) -> None:
    told = measure(np.full((300, 300, 3), level, np.uint8), head(0, 0, 0))
    assert told.brightness == pytest.approx(level / 255, abs=0.01)
    assert told.contrast == 0.0


def test_light_is_that_of_the_face_alone() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    cv2.ellipse(image, (200, 160), (84, 104), 0, 0, 360, (200, 200, 200), -1)
    told = measure(image, head(0, 0, 0))
    assert told.brightness == pytest.approx(200 / 255, abs=0.03)


def test_less_light_is_darker() -> None:
    image, face = person("biden")
    told = [measure(degradations.darkness(image, face, stops), face) for stops in (0.0, 1.0, 2.0, 4.0)]
    assert [each.brightness for each in told] == sorted((each.brightness for each in told), reverse=True)
    assert [each.contrast for each in told] == sorted((each.contrast for each in told), reverse=True)


def test_bare_faces_are_not_covered() -> None:
    reader = OcclusionReader()
    assert max(reader.read(*person(name)) for name in ("astronaut", "biden", "obama-2")) < 0.15
    # a hat and glasses; a head turned away
    assert max(reader.read(*person(name)) for name in ("hopper", "zidane")) < 0.35


@pytest.mark.parametrize("cover", [mask, sunglasses, hand, phone])
def test_the_more_is_covered_the_more_is_told(cover: Callable[..., np.ndarray]) -> None:
    reader = OcclusionReader()
    shares = (0.0, 0.2, 0.35, 0.5)
    told = np.array([[reader.read(cover(*person(name), share), person(name)[1]) for share in shares] for name in NAMES])
    assert (np.diff(told.mean(axis=0)) > 0).all(), told
    assert told[:, -1].min() > 0.2, told


def test_cells_count_inside_the_oval_and_by_their_certainty() -> None:
    cells = np.zeros((4, face_occlusion.CELLS, face_occlusion.CELLS), np.float32)
    cells[1] = 1.0
    cells[2] = 0.5
    cells[3][~face_occlusion.inside()] = 1.0
    np.testing.assert_allclose(covered_share(cells.reshape(4, -1)), [0.0, 1.0, 0.5, 0.0], atol=1e-6)


def test_a_cut_out_square_repeats_the_edge_and_keeps_its_side() -> None:
    image = np.arange(100 * 80 * 3, dtype=np.uint32).reshape(100, 80, 3).astype(np.uint8)
    corner = Face(-20.0, -20.0, 60.0, 60.0, 1.0, ((0.0, 0.0),) * 6)
    cut = square(image, corner, 200)
    assert cut.shape == (60, 60, 3)
    assert (cut[20:, 20:] == image[:40, :40]).all()
    assert (cut[:20, 20:] == image[0, :40]).all()
    assert square(image, corner, 32).shape == (32, 32, 3)


def test_a_face_is_turned_upright() -> None:
    image, face = person("astronaut")
    middle = np.array([face.x + face.width / 2, face.y + face.height / 2])
    turn = cv2.getRotationMatrix2D((0.0, 0.0), -30, 1.0)[:, :2]
    keypoints = tuple((float(x), float(y)) for x, y in (np.array(face.keypoints) - middle) @ turn.T + middle)
    turned = Face(face.x, face.y, face.width, face.height, face.score, keypoints)
    straight = upright(image, face, 64, 1.0).astype(float)
    again = upright(degradations.rotation(image, face, 30), turned, 64, 1.0).astype(float)
    assert np.corrcoef(straight.ravel(), again.ravel())[0, 1] > 0.97


@pytest.mark.parametrize(
    ("image", "face"),
    [
        (np.zeros((50, 50), np.uint8), head(0, 0, 0)),
        (np.zeros((50, 50, 3), np.float32), head(0, 0, 0)),
        (np.zeros((0, 50, 3), np.uint8), head(0, 0, 0)),
        (np.zeros((50, 50, 3), np.uint8), head(0, 0, 0)),
        (np.zeros((300, 300, 3), np.uint8), Face(10, 10, 0, 20, 1, head(0, 0, 0).keypoints)),
        (np.zeros((300, 300, 3), np.uint8), Face(math.nan, 10, 20, 20, 1, head(0, 0, 0).keypoints)),
    ],
)
def test_other_arrays_and_faces_elsewhere_are_refused(image: np.ndarray, face: Face) -> None:
    with pytest.raises(ValueError, match="expected"):
        measure(image, face)


def test_every_measure_is_finite_at_the_edges_of_a_picture() -> None:
    image, face = person("astronaut")
    for x, y, length in ((-60.0, -60.0, 150.0), (240.0, 240.0, 300.0), (100.0, 100.0, 1.0), (0.0, 0.0, 900.0)):
        told = measure(image, Face(x, y, length, length, 1.0, face.keypoints))
        values = [getattr(told, name) for name in FaceQuality.__slots__]
        assert np.isfinite(values).all()
        assert all(0.0 <= value <= 1.0 for value in (told.sharpness, told.brightness, told.contrast, told.occlusion))


def test_generators_leave_a_picture_as_it_is_at_their_first_level() -> None:
    image, face = person("astronaut")
    for make in (degradations.blur, mask, hand, phone, sunglasses, screen):
        assert (make(image, face, 0.0) == image).all()


def test_version_names_code_and_weights() -> None:
    assert version() == "face-quality/1+face-occlusion@1.0/1"
    assert OcclusionReader().providers == ("CPUExecutionProvider",)
