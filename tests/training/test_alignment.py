"""Alignment: content that says little of behaviour at first comes to lie where behaviour puts it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from models.dataset import DatasetError
from models.training.alignment import (
    Aligned,
    AlignmentNet,
    Config,
    fit_alignment,
    nearest,
    neighbour_recall,
    neighbours_by_plays,
    without_some,
)
from models.training.content import Content, content_of

USERS, ITEMS, WARM = 150, 400, 320
VALIDATION, TEST = np.arange(320, 360), np.arange(360, 400)
IS_WARM = np.arange(ITEMS) < WARM


def planted() -> tuple[Content, csr_matrix, np.ndarray]:
    """Two of 16 directions decide who plays an item, the others are as large and mean nothing."""
    random = np.random.default_rng(4)
    angle, taste = random.uniform(0, 2 * np.pi, ITEMS), random.uniform(0, 2 * np.pi, USERS)
    place = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    plays = random.random((USERS, ITEMS)) < 0.5 * (np.cos(taste[:, None] - angle) > 0.7)
    seen = np.concatenate([place, 0.7 * random.normal(size=(ITEMS, 14))], axis=1).astype(np.float32)
    content = content_of({"seen": (seen, np.ones(ITEMS, np.bool_))}, IS_WARM)
    frozen = np.zeros((ITEMS, 64), np.float32)
    frozen[:, :2] = place
    return content, csr_matrix(plays.astype(np.float32)), frozen


@pytest.fixture(scope="module")
def aligned() -> Aligned:
    content, plays, frozen = planted()
    return fit_alignment(content, plays, frozen, np.arange(WARM), VALIDATION, Config.debug(), lambda *_: None)


def test_neighbours_of_cold_items_come_nearer_to_those_by_plays(aligned: Aligned) -> None:
    _, plays, _ = planted()
    truth = neighbours_by_plays(plays, 20, IS_WARM)
    means = [
        neighbour_recall(vectors, truth, TEST, IS_WARM).mean()
        for vectors in (aligned.before, aligned.contrastive, aligned.tuned)
    ]
    chance = 20 / WARM
    assert chance - 0.05 < means[0] < means[1] - 0.1, means
    assert means[2] > means[0] + 0.1
    assert np.allclose(np.linalg.norm(aligned.tuned, axis=1), 1, atol=1e-5)


def test_neighbours_are_warm_and_never_the_item_itself() -> None:
    vectors = np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32)
    among = np.arange(30) < 20
    found = nearest(vectors, 5, among)
    assert (found < 20).all()
    assert not (found == np.arange(30)[:, None]).any()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    others = [item for item in range(20) if item != 7]
    assert found[7].tolist() == sorted(others, key=lambda item: -float(unit[7] @ unit[item]))[:5]
    with pytest.raises(DatasetError, match="more than 20 needed"):
        neighbours_by_plays(csr_matrix(np.ones((3, 30), np.float32)), 20, among)


def test_pairs_that_are_true_are_no_negatives() -> None:
    module = AlignmentNet(Config.debug(), 1)
    left = torch.nn.functional.normalize(torch.randn(4, 64, generator=torch.Generator().manual_seed(1)), dim=1)
    right = left.clone()
    right[1] = left[0]  # as near to the first as its own partner
    forbidden = torch.ones(4, 4, dtype=torch.bool)
    allowed = forbidden.clone()
    allowed[0, 1] = False
    assert module.contrastive_loss(left, right, allowed) < module.contrastive_loss(left, right, forbidden)


def test_something_is_left_of_every_item() -> None:
    torch.manual_seed(1)
    present = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).repeat(50, 1)
    parts, kept = without_some(torch.ones(100, 3, 4), present, 0.9)
    assert kept.any(1).all()
    assert (kept <= present).all()
    assert kept.sum() < present.sum()
    assert torch.equal(parts[:, :, 0], kept)


def test_values_that_are_not_finite_are_refused() -> None:
    content, plays, frozen = planted()
    bad = content.parts.copy()
    bad[2, 0, 0] = np.inf
    with pytest.raises(DatasetError, match="not finite"):
        fit_alignment(
            replace(content, parts=bad), plays, frozen, np.arange(WARM), VALIDATION, Config.debug(), lambda *_: None
        )
