"""What lists are judged by."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from models.training.backbone import validation_recall
from models.training.ranking_metrics import ranked, unknown


def test_a_song_played_again_is_not_asked_for() -> None:
    hidden = csr_matrix(np.array([[2.0, 0, 0], [0, 1, 0]], np.float32))
    truth = csr_matrix(np.array([[1.0, 1, 0], [0, 1, 0]], np.float32))
    assert unknown(truth, hidden).toarray().tolist() == [[0, 1, 0], [0, 0, 0]]
    # the second user asks for nothing new; the first finds the one new song
    assert validation_recall(np.array([[0.1, 0.9, 0.2], [0.3, 0.2, 0.1]], np.float32), hidden, truth) == 1.0


def test_lists_of_a_small_catalogue_hold_all_of_it() -> None:
    assert ranked(np.array([[0.1, 0.9, 0.2]], np.float32), None, None, 20).tolist() == [[1, 2, 0]]
