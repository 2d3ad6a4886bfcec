"""Residual k-means on vectors with a known structure (``make test-train``)."""

import numpy as np
import pytest

from models.semantic_id import squared_errors
from models.training.semantic_id import Config, fit_semantic_ids


def grouped(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors [240, 8] in 4 far groups of 4 near groups each, and the number of the far group [240]."""
    random = np.random.default_rng(seed)
    far, near = random.normal(size=(4, 8)) * 10, random.normal(size=(4, 8))
    group = random.integers(4, size=240)
    vectors = far[group] + near[random.integers(4, size=240)] + random.normal(size=(240, 8)) * 0.1
    return vectors.astype(np.float32), group


def test_each_level_leaves_less() -> None:
    vectors, _ = grouped(1)
    errors = squared_errors(fit_semantic_ids(vectors, Config.debug()), vectors)
    assert (np.diff(errors) < 0).all()
    assert errors[2] < 0.01 * errors[0]


def test_the_first_code_names_the_far_group() -> None:
    vectors, group = grouped(2)
    ids = fit_semantic_ids(vectors, Config.debug())
    first = ids.buckets(ids.encode(vectors))
    assert all(len(set(first[group == number])) == 1 for number in range(4))
    assert len(set(first)) == 4


def test_the_same_seed_gives_the_same_codes() -> None:
    vectors, _ = grouped(3)
    again = [fit_semantic_ids(vectors, Config.debug()).codebooks for _ in range(2)]
    assert np.array_equal(*again)


def test_fewer_vectors_than_centres_is_an_error() -> None:
    with pytest.raises(ValueError, match="need as many"):
        fit_semantic_ids(np.eye(3, 8, dtype=np.float32), Config.debug())
