"""The space of a model that is not the packaged one, and the text part of content vectors in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.content_vector import PART_DIM, ContentVectoriser
from models.song_prompt import Prompt, versioned
from models.text_space import MeasuredSpace, measured, prompts
from schemas.errors import UnavailableError

DIM = 24
CONE, CHINESE = np.eye(DIM, dtype=np.float32)[:2]


class Narrow:
    """A model whose vectors lie in a narrow cone and apart by language, as those of real ones do."""

    version = versioned("narrow@1")
    dim = DIM
    reads_pictures = False

    def __init__(self) -> None:
        self.asked = 0
        self.away = 0

    def embed(self, prompts: Sequence[Prompt]) -> np.ndarray:
        self.asked += 1
        if self.away:
            self.away -= 1
            raise UnavailableError("away")
        return np.stack([self.vector(prompt.text) for prompt in prompts])

    @staticmethod
    def vector(text: str, meaning: str = "") -> np.ndarray:
        seed = int.from_bytes((meaning or text).encode(), "big")
        own = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
        own[:2] = 0
        vector = 4 * CONE + (0 if text.isascii() else 3) * CHINESE + own / np.linalg.norm(own)
        return vector / np.linalg.norm(vector)


def test_mean_and_language_are_those_of_the_model() -> None:
    found = measured(Narrow())
    assert found.mean[0] > 0.7
    assert abs(float(found.language @ CHINESE)) > 0.9
    assert np.linalg.norm(found.language) == pytest.approx(1, abs=1e-5)


def test_prompts_come_in_pairs_of_two_languages() -> None:
    asked = [prompt.text for prompt in prompts()]
    english, chinese = asked[: len(asked) // 2], asked[len(asked) // 2 :]
    assert len(english) == len(chinese)
    assert all(one.isascii() and not other.isascii() for one, other in zip(english, chinese, strict=True))
    rest = [[text.partition("\n")[2] for text in half] for half in (english, chinese)]
    assert rest[0] == rest[1], "tags tell nothing of the language"


def test_one_meaning_in_two_languages_is_near_and_two_meanings_are_not() -> None:
    vectoriser = ContentVectoriser(space=MeasuredSpace(Narrow()))
    rain, regen, train = (
        vectoriser.join(None, None, Narrow.vector(text, meaning))
        for text, meaning in (("rain", "rain"), ("雨", "rain"), ("train", "train"))
    )
    assert np.flatnonzero(rain).min() >= 2 * PART_DIM
    assert rain @ regen > 0.8
    assert abs(float(rain @ train)) < 0.6


def test_versions_tell_models_and_templates_apart() -> None:
    packaged, other = ContentVectoriser().version, ContentVectoriser(space=MeasuredSpace(Narrow())).version
    assert packaged == "content-means@1.1/1+song-prompt@2"
    assert other == "content-means@1.1/1+narrow@1+song-prompt@2"


def test_a_model_that_is_away_is_asked_again_and_then_no_more() -> None:
    model = Narrow()
    model.away = 2
    vectoriser = ContentVectoriser(space=MeasuredSpace(model))
    with pytest.raises(UnavailableError):
        vectoriser.get_ready()
    with pytest.raises(UnavailableError):
        vectoriser.join(None, None, Narrow.vector("x"))
    vectoriser.get_ready()
    vectoriser.join(None, None, Narrow.vector("x"))
    assert model.asked == 3


def test_a_vector_of_another_width_is_refused() -> None:
    vectoriser = ContentVectoriser(space=MeasuredSpace(Narrow()))
    with pytest.raises(ValueError, match="text: 24 finite numbers expected"):
        vectoriser.join(None, None, np.ones(384, np.float32))


def test_the_packaged_encoder_needs_nobody() -> None:
    ContentVectoriser().get_ready()
