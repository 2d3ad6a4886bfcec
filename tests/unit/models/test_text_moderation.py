"""Word lists and classifier together, on the committed weight."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from models.onnx import load_session
from models.text_embedding import TextEncoder
from models.text_moderation import CATEGORIES, DIM, WEIGHTS, TextModerator, is_lone_word, join
from models.weights import load
from models.word_matching import WordHit


@pytest.fixture(scope="module")
def moderator() -> TextModerator:
    return TextModerator()


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder()


def probabilities(**shares: float) -> np.ndarray:
    rest = 1.0 - sum(shares.values())
    return np.array([shares.get(name.replace("-", "_"), 0.0) + rest * (name == "clean") for name in CATEGORIES])


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Post one more song and I will break your jaw", "threat"),
        ("you ugly talentless freak, nobody likes you", "abuse"),
        ("add me on telegram, double your money, guaranteed profit", "scam"),
        ("加我VX，日赚三千，名额有限", "scam"),
        ("今晚来我床上，把衣服脱光", "sexual"),
        ("又割了自己，撑不下去了", "self-harm"),
    ],
)
def test_bad_sentences(moderator: TextModerator, encoder: TextEncoder, text: str, category: str) -> None:
    scores = moderator.score(text, encoder.encode([text], "passage")[0])
    assert scores.score >= 0.6
    assert scores.category == category


@pytest.mark.parametrize(
    "text",
    [
        "Finally nailed the middle section of Clair de Lune",
        "Shot through the heart and you're to blame, karaoke night in Scunthorpe",
        "Two arrested after knife attack outside the arena, the show was cancelled",
        "听到这首歌想起前任，哭成狗",
        "废物利用：用易拉罐做了一套鼓",
        "1 晴天 周杰伦 4:29\n2 七里香 周杰伦 4:59",
        "Big Buck Bunny",
        "",
    ],
)
def test_clean_sentences(moderator: TextModerator, encoder: TextEncoder, text: str) -> None:
    assert moderator.score(text, encoder.encode([text], "passage")[0]).score < 0.6


def test_a_strong_word_alone_is_for_review_and_with_the_classifier_a_rejection() -> None:
    words = (WordHit("kill yourself", "threat", 0.85),)
    assert 0.6 <= join(words, probabilities(threat=0.1)).score < 0.9
    assert join(words, probabilities(threat=0.5)).score >= 0.9


def test_a_weak_word_alone_is_nothing() -> None:
    assert join((WordHit("idiot", "abuse", 0.4),), probabilities(abuse=0.05)).score < 0.6


def test_the_surer_witness_names_the_category() -> None:
    strong, weak = WordHit("kys", "threat", 0.85), WordHit("casino", "scam", 0.4)
    assert join((strong,), probabilities(self_harm=0.95)).category == "threat"
    assert join((weak,), probabilities(abuse=0.95)).category == "abuse"
    assert join((weak,), probabilities(abuse=0.1)).category == "scam"
    assert join((), probabilities(sexual=0.01)).category == "sexual"


@pytest.mark.parametrize(
    "embedding", [np.zeros(DIM - 1, np.float32), np.full(DIM, np.nan, np.float32), np.zeros((1, DIM), np.float32)]
)
def test_unusable_embeddings_are_refused(moderator: TextModerator, embedding: np.ndarray) -> None:
    with pytest.raises(ValueError, match="384"):
        moderator.score("x", embedding)


def test_onnx_answers_as_torch_did_at_export() -> None:
    weights = load(WEIGHTS)
    parity = load_file(weights.card.folder / "parity.safetensors")
    actual = load_session(weights).feed({"embedding": parity["inputs"]})["probabilities"]
    np.testing.assert_allclose(actual, parity["outputs"], atol=1e-4)
    assert np.ptp(actual, axis=0).max() > 1e-3


def test_the_committed_weight_beats_its_baselines() -> None:
    evaluation = json.loads((load(WEIGHTS).card.folder / "evaluation.json").read_text())
    for name in ("held_out", "handwritten"):
        figures = evaluation[name]
        assert figures["classifier"]["accuracy"] > figures["baseline_majority"]["accuracy"] + 0.2
        yes_no = figures["bad_or_clean"]
        assert yes_no["together_review"]["f1"] > yes_no["baseline_word_lists_only"]["f1"] + 0.2


def test_the_weight_is_small_and_the_version_names_it(moderator: TextModerator) -> None:
    assert load(WEIGHTS).card.size_bytes < 2**20
    assert moderator.version.startswith("text-moderation@")


@pytest.mark.parametrize("word", ["Bad", "cat", "Chelsea", "你好", "回家", "小猫", "Untitled", ""])
def test_a_lone_word_is_left_to_the_lists(word: str) -> None:
    """The classifier learned sentences and took "Bad" and "你好" for abuse."""
    assert is_lone_word(word)


@pytest.mark.parametrize("text", ["kill yourself", "去死吧", "My cat", "fuck you", "猫 sleeps"])
def test_two_words_say_something(text: str) -> None:
    assert not is_lone_word(text)
