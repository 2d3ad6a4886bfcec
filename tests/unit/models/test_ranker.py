"""The ranker online: answers as probabilities, one score from four."""

from __future__ import annotations

import numpy as np
import pytest

from models.ranker import GatedRanker, RankingWeights, combined
from models.ranking_features import DENSE, RankingInputError
from tests.unit.models.test_ranking_features import LAYOUT, items, user


class Logits:
    """Likes what is near to the user; the other answers are even."""

    def rank(self, fields: np.ndarray, dense: np.ndarray, group: np.ndarray) -> np.ndarray:
        assert len(fields) == len(dense) == len(group)
        found = np.zeros((len(dense), 4), np.float32)
        found[:, 1] = dense[:, DENSE.index("affinity")] * 100
        return found


def test_the_score_follows_the_answers() -> None:
    ranker = GatedRanker(Logits(), LAYOUT, RankingWeights())
    one, shown = user(), items()
    found = ranker.rank(one, shown)
    assert found.dtype == np.float32
    assert found.shape == (150,)
    nearest = int((shown.vector @ one.taste[0] / np.linalg.norm(shown.vector, axis=1)).argmax())
    assert found.argmax() == nearest


def test_the_worth_of_a_click_is_what_follows_it() -> None:
    answers = np.array([[0.5, 0.4, 0.2, 0.6], [0.0, 1.0, 1.0, 1.0]], np.float32)
    weights = RankingWeights(played=0.1, like=1.0, finish=2.0, time=0.5)
    assert combined(answers, weights) == pytest.approx([0.5 * (0.1 + 0.4 + 0.4 + 0.3), 0.0])


def test_nothing_to_rank_is_an_empty_answer() -> None:
    assert GatedRanker(Logits(), LAYOUT, RankingWeights()).rank(user(), items(0)).shape == (0,)


def test_a_vector_that_is_not_finite_is_refused() -> None:
    shown = items()
    shown.vector[3, 5] = np.nan
    with pytest.raises(RankingInputError, match="not finite"):
        GatedRanker(Logits(), LAYOUT, RankingWeights()).rank(user(), shown)
