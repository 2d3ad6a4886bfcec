"""Decoding, blending and tiling of faces. The network itself is checked by its recorded answer."""

import numpy as np
import pytest

from models.face_detection import MAX_FACES, SIDE, FaceDetector, blend, letterbox, tiles


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


def drawn_face(size: int = 400) -> np.ndarray:
    """A drawing that the network takes for a face: shaded oval, eyes, brows, nose, mouth, hair."""
    import cv2

    image = np.full((size, size, 3), (120, 150, 180), np.uint8)
    c, s = size // 2, size / 400

    def at(x: float, y: float) -> tuple[int, int]:
        return int(c + x * s), int(c + y * s)

    def axes(a: float, b: float) -> tuple[int, int]:
        return int(a * s), int(b * s)

    cv2.ellipse(image, at(0, -15), axes(84, 112), 0, 0, 360, (60, 40, 25), -1)
    cv2.ellipse(image, at(0, 0), axes(70, 95), 0, 0, 360, (224, 178, 150), -1)
    for side in (-1, 1):
        cv2.ellipse(image, at(28 * side, -15), axes(13, 7), 0, 0, 360, (250, 250, 250), -1)
        cv2.circle(image, at(28 * side, -15), int(6 * s), (50, 30, 20), -1)
        cv2.ellipse(image, at(28 * side, -32), axes(17, 5), 0, 180, 360, (60, 40, 25), int(5 * s))
        cv2.ellipse(image, at(7 * side, 25), axes(4, 3), 0, 0, 360, (150, 100, 85), -1)
    cv2.ellipse(image, at(0, 20), axes(11, 9), 0, 20, 160, (180, 130, 110), int(3 * s))
    cv2.ellipse(image, at(0, 50), axes(26, 9), 0, 0, 360, (190, 80, 80), -1)
    return cv2.GaussianBlur(image, (0, 0), 2.5 * s)


def test_a_face_is_where_it_was_drawn(detector: FaceDetector) -> None:
    faces = detector.detect(drawn_face())
    assert len(faces) == 1
    face = faces[0]
    assert face.score >= 0.6
    assert face.x + face.width / 2 == pytest.approx(200, abs=20)
    assert face.y + face.height / 2 == pytest.approx(210, abs=35)
    right_eye, left_eye, nose, mouth = face.keypoints[:4]
    assert right_eye == pytest.approx((172, 185), abs=14)
    assert left_eye == pytest.approx((228, 185), abs=14)
    assert right_eye[1] < nose[1] < mouth[1]


def test_a_mirrored_face_is_in_the_mirrored_place(detector: FaceDetector) -> None:
    image = drawn_face()
    (face,) = detector.detect(image)
    (mirrored,) = detector.detect(np.ascontiguousarray(image[:, ::-1]))
    # anchors off by half a cell would shift both the same way, by 4 px each
    assert (2 * face.x + face.width + 2 * mirrored.x + mirrored.width) / 2 == pytest.approx(400, abs=5)


@pytest.mark.parametrize(("left", "top"), [(0, 0), (1100, 0), (900, 1000)])
def test_a_small_face_in_a_large_picture_is_found_by_a_tile(detector: FaceDetector, left: int, top: int) -> None:
    picture = np.full((1440, 1920, 3), (120, 150, 180), np.uint8)
    picture[top : top + 240, left : left + 240] = drawn_face(240)
    faces = detector.detect(picture)
    assert len(faces) == 1
    assert faces[0].x + faces[0].width / 2 == pytest.approx(left + 120, abs=16)
    assert faces[0].y + faces[0].height / 2 == pytest.approx(top + 126, abs=24)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 4000, 3), (4000, 3, 3), (480, 640, 3)])
def test_no_face_in_plain_pictures_of_odd_shapes(detector: FaceDetector, shape: tuple[int, int, int]) -> None:
    assert detector.detect(np.full(shape, 90, np.uint8)) == []


@pytest.mark.parametrize(
    "image",
    [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32)],
)
def test_other_arrays_are_refused(detector: FaceDetector, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        detector.detect(image)


def test_version_names_weights_and_code(detector: FaceDetector) -> None:
    assert detector.version == "blazeface-full-range@1.0/1"
    assert detector.providers == ("CPUExecutionProvider",)


def row(left: float, top: float, size: float, score: float) -> np.ndarray:
    return np.array([left, top, left + size, top + size, *[left] * 12, score], np.float32)


def test_overlapping_answers_become_their_weighted_mean() -> None:
    merged = blend(np.stack([row(0, 0, 100, 0.6), row(10, 0, 100, 0.9), row(500, 0, 50, 0.7)]))
    assert len(merged) == 2
    assert merged[0, 0] == pytest.approx(6.0)
    assert merged[0, 16] == pytest.approx(0.9)
    assert merged[1, 0] == 500


def test_nothing_blends_to_nothing() -> None:
    assert blend(np.zeros((0, 17), np.float32)).shape == (0, 17)
    assert MAX_FACES > 0


def test_letterbox_keeps_the_aspect() -> None:
    square, scale, offset = letterbox(np.full((100, 400, 3), 255, np.uint8))
    assert square.shape == (SIDE, SIDE, 3)
    assert scale == pytest.approx(SIDE / 400)
    assert offset == (0, (SIDE - 48) // 2)
    assert (square[: offset[1]] == 0).all()
    assert (square[offset[1] : offset[1] + 48] == 255).all()


@pytest.mark.parametrize(("width", "height"), [(640, 640), (1280, 720), (1080, 1920), (5000, 50)])
def test_tiles_cover_the_picture_and_overlap(width: int, height: int) -> None:
    seen = np.zeros((height, width), np.uint8)
    boxes = list(tiles(width, height))
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        seen[top:bottom, left:right] = 1
    assert seen.all()
    assert 2 <= len(boxes) <= 60


def test_small_pictures_need_no_tiles() -> None:
    assert list(tiles(500, 300)) == []
