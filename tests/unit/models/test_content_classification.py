"""The classifier on the committed weight: missing modalities, bad input, parity with torch."""

import itertools
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from models.content_classification import CLASSES, PARTS, THRESHOLD, WEIGHTS, WIDTH, ContentClassifier, join
from models.onnx import load_session
from models.text_embedding import TextEncoder
from models.weights import load


@pytest.fixture(scope="module")
def classifier() -> ContentClassifier:
    return ContentClassifier()


@pytest.fixture(scope="module")
def item() -> dict[str, np.ndarray]:
    """A made piano item as the encoders saw it."""
    row = load_file(load(WEIGHTS).card.folder / "parity.safetensors")["inputs"][0]
    bounds = np.cumsum([0, *PARTS.values()])
    return {name: row[low:high] for name, low, high in zip(PARTS, bounds, bounds[1:], strict=False)}


@pytest.mark.parametrize("present", [p for n in (1, 2, 3) for p in itertools.combinations(PARTS, n)])
def test_any_modalities_give_a_distribution(
    classifier: ContentClassifier, item: dict[str, np.ndarray], present: tuple[str, ...]
) -> None:
    given = {name: item[name] if name in present else None for name in PARTS}
    probabilities = classifier.probabilities(**given)
    assert probabilities.shape == (len(CLASSES),)
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    labels = classifier.classify(**given)
    scores = [label.score for label in labels]
    assert scores == sorted(scores, reverse=True)
    assert all(score >= THRESHOLD and label.name in CLASSES for score, label in zip(scores, labels, strict=True))


def test_a_known_item_gets_its_label(classifier: ContentClassifier, item: dict[str, np.ndarray]) -> None:
    assert classifier.classify(**item)[0].name == "piano"


def test_what_resembles_nothing_known_gets_no_label(classifier: ContentClassifier, item: dict[str, np.ndarray]) -> None:
    random = np.random.default_rng(5)
    audio, image = (random.normal(size=PARTS[name]).astype(np.float32) for name in ("audio", "image"))
    assert classifier.classify(audio, image, None) == ()
    alone = classifier.probabilities(None, None, item["text"])
    np.testing.assert_allclose(classifier.probabilities(audio, image, item["text"]), alone, atol=1e-6)


def test_nothing_at_all_is_refused(classifier: ContentClassifier) -> None:
    with pytest.raises(ValueError, match="at least one"):
        classifier.classify(None, None, None)


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(200, np.float32),
        np.ones(199, np.float32),
        np.ones((1, 200), np.float32),
        np.full(200, np.nan, np.float32),
        np.full(200, np.inf, np.float32),
    ],
)
def test_unusable_vectors_are_refused(classifier: ContentClassifier, audio: np.ndarray) -> None:
    with pytest.raises(ValueError, match="audio: 200 finite"):
        classifier.classify(audio, None, None)


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1e3, 1e30])
def test_only_the_direction_counts(classifier: ContentClassifier, item: dict[str, np.ndarray], scale: float) -> None:
    scaled = {name: (vector * scale).astype(np.float32) for name, vector in item.items()}
    np.testing.assert_allclose(classifier.probabilities(**scaled), classifier.probabilities(**item), atol=1e-4)


def test_an_absent_part_is_zero_and_the_others_keep_their_place(item: dict[str, np.ndarray]) -> None:
    joined = join(item["audio"], None, item["text"])
    assert joined.shape == (WIDTH,)
    assert not joined[200:1480].any()
    assert np.linalg.norm(joined[:200]) == pytest.approx(1.0, abs=1e-5)
    assert np.linalg.norm(joined[1480:]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("caption", "label"),
    [
        ("how to play this song step by step, lesson for beginners", "tutorial"),
        ("分手两年了，还是很想你，哭了一夜", "heartbreak"),
        ("album review: strong singles but a weak ending, six out of ten", "review"),
    ],
)
def test_captions_of_the_classes_that_text_decides(classifier: ContentClassifier, caption: str, label: str) -> None:
    vector = TextEncoder().encode([caption], "passage")[0]
    assert classifier.classify(None, None, vector)[0].name == label


def test_onnx_answers_as_torch_did_at_export() -> None:
    weights = load(WEIGHTS)
    parity = load_file(weights.card.folder / "parity.safetensors")
    actual = load_session(weights).feed({"parts": parity["inputs"]})["probabilities"]
    np.testing.assert_allclose(actual, parity["outputs"], atol=1e-4)
    assert len(set(actual.argmax(axis=1))) > 8


def test_fusion_beats_every_modality_and_loses_by_each_that_is_missing() -> None:
    evaluation = json.loads((load(WEIGHTS).card.folder / "evaluation.json").read_text())
    fusion = evaluation["fusion"]["accuracy"]
    for figures in evaluation["single_modality_trained_alone"].values():
        assert fusion > figures["accuracy"] + 0.2
    for figures in evaluation["fusion_without"].values():
        assert evaluation["baseline_majority"]["accuracy"] + 0.2 < figures["accuracy"] < fusion


def test_the_weight_is_small_and_flags_its_encoder_s_data(classifier: ContentClassifier) -> None:
    card = load(WEIGHTS).card
    assert card.size_bytes < 2**20
    assert card.non_commercial_training_data
    assert classifier.version.startswith("content-classification@")
