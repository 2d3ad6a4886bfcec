"""Measures of classification, plain numpy.

Macro F1 is the mean of the classes' F1, so that a rare class counts like a frequent one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class against the rest.

    Attributes:
        precision: Share of the items called so that are so; 0 when none was called so.
        recall: Share of the items that are so that were called so; 0 when there is none.
        support: Items that are so.
    """

    precision: float
    recall: float
    support: int

    @property
    def f1(self) -> float:
        """Harmonic mean of the two, 0 when both are 0."""
        both = self.precision + self.recall
        return 2.0 * self.precision * self.recall / both if both else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """A classifier on a set.

    Attributes:
        accuracy: Share of right answers.
        macro_f1: Mean F1 over classes that occur.
        classes: Scores by class.
    """

    accuracy: float
    macro_f1: float
    classes: dict[str, ClassScore]

    def summary(self) -> dict[str, object]:
        """For a JSON file, rounded to three digits."""
        return {
            "accuracy": round(self.accuracy, 3),
            "macro_f1": round(self.macro_f1, 3),
            "classes": {
                name: {
                    "precision": round(score.precision, 3),
                    "recall": round(score.recall, 3),
                    "support": score.support,
                }
                for name, score in self.classes.items()
            },
        }


def evaluate(truth: NDArray[np.int64], answer: NDArray[np.int64], names: Sequence[str]) -> Report:
    """Scores answers.

    Args:
        truth: int64 [N], numbers of the right classes, N >= 1.
        answer: int64 [N], numbers of the answers.
        names: Names of the classes.

    Raises:
        ValueError: The two differ in length, or are empty.
    """
    if truth.shape != answer.shape or truth.size == 0:
        raise ValueError(f"as many answers as items expected: {answer.shape}, {truth.shape}")
    classes = {}
    for number, name in enumerate(names):
        right = int(((truth == number) & (answer == number)).sum())
        called, support = int((answer == number).sum()), int((truth == number).sum())
        classes[name] = ClassScore(right / called if called else 0.0, right / support if support else 0.0, support)
    occurring = [score.f1 for score in classes.values() if score.support]
    return Report(float((truth == answer).mean()), float(np.mean(occurring)), classes)


def binary(truth: NDArray[np.bool_], answer: NDArray[np.bool_]) -> ClassScore:
    """Scores a yes or no: bool [N] against bool [N]."""
    right = int((truth & answer).sum())
    called, support = int(answer.sum()), int(truth.sum())
    return ClassScore(right / called if called else 0.0, right / support if support else 0.0, support)


def majority(train: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The baseline that always gives the most frequent class of the training set: int64 [count]."""
    return np.full(count, np.bincount(train).argmax(), dtype=np.int64)
