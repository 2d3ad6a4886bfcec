"""Measures against values worked out by hand."""

import numpy as np
import pytest

from models.training.evaluation import binary, evaluate, majority


def test_precision_recall_and_macro_f1() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    answer = np.array([0, 0, 1, 1, 0, 0])
    report = evaluate(truth, answer, ("a", "b", "c", "absent"))
    assert report.accuracy == pytest.approx(3 / 6)
    assert (report.classes["a"].precision, report.classes["a"].recall) == (2 / 4, 2 / 3)
    assert (report.classes["b"].precision, report.classes["b"].recall) == (1 / 2, 1 / 2)
    assert report.classes["c"].f1 == 0.0
    # a class that does not occur is not held against anybody
    assert report.macro_f1 == pytest.approx((4 / 7 + 1 / 2 + 0) / 3)
    assert report.summary()["accuracy"] == 0.5


def test_binary() -> None:
    score = binary(np.array([True, True, False, False]), np.array([True, False, True, False]))
    assert (score.precision, score.recall, score.f1, score.support) == (0.5, 0.5, 0.5, 2)


def test_majority() -> None:
    assert majority(np.array([2, 1, 2]), 2).tolist() == [2, 2]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="as many"):
        evaluate(np.zeros(2, int), np.zeros(3, int), ("a",))
