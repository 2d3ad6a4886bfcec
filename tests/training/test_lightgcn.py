"""LightGCN against a dense computation, on planted tastes, and repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from models.dataset import DatasetError
from models.training import baselines
from models.training.backbone import Backbone, played
from models.training.data import splits
from models.training.lightgcn import Config, LightGCN, fit_lightgcn, negatives
from models.training.ranking_metrics import list_metrics, matrix, ranked
from tests.training.crowds import crowds

PLAYS = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]], np.float32)
DATA = crowds()
SHAPE = len(DATA.users), len(DATA.items)
ROWS = splits.warm(DATA.interactions, 0)


def fitted(config: Config, rows: splits.Split = ROWS) -> Backbone:
    return fit_lightgcn(DATA.interactions, rows, SHAPE, config, lambda *_: None)


def test_the_vectors_are_the_mean_of_the_layers_of_the_dense_computation() -> None:
    module = LightGCN(Config.debug(layers=2), csr_matrix(PLAYS))
    graph = np.block([[np.zeros((3, 3)), PLAYS], [PLAYS.T, np.zeros((4, 4))]])
    scale = np.diag(1 / np.sqrt(graph.sum(axis=1)))
    step = torch.from_numpy(scale @ graph @ scale)
    base = module.base.detach().double().requires_grad_()
    dense = (base + step @ base + step @ step @ base) / 3
    assert torch.allclose(module().double(), dense, atol=1e-6)
    aim = torch.randn(dense.shape, dtype=torch.float64)
    (dense * aim).sum().backward()
    (module() * aim.float()).sum().backward()
    assert module.base.grad is not None
    assert base.grad is not None
    assert torch.allclose(module.base.grad.double(), base.grad, atol=1e-5)


def test_the_loss_is_bpr_with_the_norms_of_layer_0() -> None:
    module = LightGCN(Config.debug(layers=1), csr_matrix(PLAYS))
    vectors, base = module().detach(), module.base.detach()
    user, positive, negative = vectors[1], vectors[3 + 2], vectors[3 + 0]
    expected = -torch.nn.functional.logsigmoid(user @ positive - user @ negative)
    expected += module.config.l2 * (base[[1, 5, 3]] ** 2).sum() / 2
    assert module.loss(torch.tensor([[1, 2, 0]])).item() == pytest.approx(float(expected), rel=1e-5)


def test_negatives_are_items_that_the_user_did_not_play() -> None:
    user = np.repeat(np.arange(3), 200)
    drawn = negatives(csr_matrix(PLAYS), user, np.random.default_rng(0))
    assert not PLAYS[user, drawn].any()
    assert {tuple(pair) for pair in np.stack([user, drawn], axis=1)} == {tuple(p) for p in np.argwhere(PLAYS == 0)}


def test_it_finds_planted_tastes_that_popularity_cannot() -> None:
    known = matrix(DATA.interactions.user[ROWS.train], DATA.interactions.item[ROWS.train], SHAPE)
    truth = matrix(DATA.interactions.user[ROWS.test], DATA.interactions.item[ROWS.test], SHAPE)

    def recall(scores: np.ndarray) -> float:
        return float(list_metrics(ranked(scores, known, None, 10), truth, [10])["recall@10"].mean())

    assert recall(fitted(Config.debug()).scores()) > 2 * recall(baselines.popularity(known))


def test_one_seed_gives_one_result_and_another_seed_another() -> None:
    short = replace(Config.debug(), fit=replace(Config.debug().fit, epochs=3))
    first, again = fitted(short), fitted(short)
    assert np.array_equal(first.users, again.users)
    assert np.array_equal(first.items, again.items)
    assert not np.array_equal(first.items, fitted(replace(short, fit=replace(short.fit, seed=8))).items)


def test_without_validation_rows_a_part_of_train_is_held_back() -> None:
    rows = splits.Split(np.concatenate([ROWS.train, ROWS.validation]), np.empty(0, np.int64), ROWS.test)
    found = played(DATA.interactions, rows, 3)
    assert len(found.validation) > 0
    assert sorted([*found.train, *found.validation]) == sorted(rows.train)
    assert fitted(replace(Config.debug(), fit=replace(Config.debug().fit, epochs=2)), rows).users.shape == (90, 8)


def test_what_was_shown_but_not_played_is_not_learnt_from() -> None:
    ignored = replace(DATA.interactions, clicked=np.zeros(len(DATA.interactions), np.bool_))
    with pytest.raises(DatasetError, match="0 plays to learn from"):
        fit_lightgcn(ignored, ROWS, SHAPE, Config.debug(), lambda *_: None)
