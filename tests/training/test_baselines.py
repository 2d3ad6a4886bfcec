"""Baselines against cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.training.baselines import ease, ease_weights, item_knn, popularity

PLAYS = csr_matrix(np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]], np.float32))


def test_popularity_is_the_number_of_listeners() -> None:
    assert popularity(PLAYS).tolist() == [[3, 2, 2]] * 4


def test_item_knn_adds_cosines_of_the_nearest() -> None:
    first, second, third = 2 / np.sqrt(6), 1 / np.sqrt(6), 1 / 2  # items 0-1, 0-2, 1-2
    found = item_knn(PLAYS)
    assert found[0] == pytest.approx([first, first, second + third])
    assert found[3] == pytest.approx([second, third, 0])
    assert item_knn(PLAYS, neighbours=1)[0] == pytest.approx([first, first, third])


def test_ease_is_the_closed_form_of_two_items() -> None:
    # gram [[3, 2], [2, 2]] + 1: inverse [[3, -2], [-2, 4]] / 8, so the weights are 2/4 and 2/3
    two = PLAYS[:, :2]
    assert ease_weights(two, l2=1.0) == pytest.approx(np.array([[0, 2 / 4], [2 / 3, 0]]), abs=1e-6)
    assert ease(two, l2=1.0)[2] == pytest.approx([0, 2 / 4], abs=1e-6)
