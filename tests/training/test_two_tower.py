"""Towers: the loss, the left-out play, planted tastes, the boundary, ONNX."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.sparse import csr_matrix

from models.dataset import Users
from models.training import baselines, interest_boundary
from models.training.data import splits
from models.training.histories import histories
from models.training.interest_boundary import (
    InterestBoundary,
    export_user_tower,
    filtered,
    fit_boundary,
    inputs_of,
)
from models.training.loop import TrainingError
from models.training.onnx_file import write_onnx
from models.training.ranking_metrics import list_metrics, matrix, ranked
from models.training.two_tower import Config, TwoTower, demographics, fit_two_tower, sampled_softmax, shares
from tests.training.crowds import crowds

DATA = crowds()
SHAPE = len(DATA.users), len(DATA.items)
ROWS = splits.warm(DATA.interactions, 0)
PAST = histories(DATA.interactions, ROWS.train, SHAPE)
TOLD = demographics(DATA.users)


@pytest.fixture(scope="module")
def tower() -> TwoTower:
    return fit_two_tower(DATA, ROWS, Config.debug(), lambda *_: None)


@pytest.fixture(scope="module")
def boundary(tower: TwoTower) -> InterestBoundary:
    unseen = np.concatenate([ROWS.validation, ROWS.test])
    config = interest_boundary.Config.debug()
    return fit_boundary(tower, DATA, ROWS.train, unseen, config, lambda *_: None)


def test_the_softmax_corrects_for_how_often_an_item_is_drawn() -> None:
    users, items = torch.eye(2), torch.tensor([[0.5, 0.1], [0.2, 0.6]])
    log_q = torch.tensor([0.5, 0.25]).log()
    # logits / .1 and - log q, row by row
    rows = [[5.0 - np.log(0.5), 2.0 - np.log(0.25)], [1.0 - np.log(0.5), 6.0 - np.log(0.25)]]
    expected = np.mean([np.log(np.exp(row).sum()) - row[own] for own, row in enumerate(rows)])
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    assert float(sampled_softmax(users, items, log_q, nothing, 0.1)) == pytest.approx(expected, rel=1e-5)


def test_other_items_that_the_user_played_are_no_negatives() -> None:
    users, items, log_q = torch.eye(2), torch.randn(2, 2), torch.zeros(2)
    everything = torch.ones(2, 2, dtype=torch.bool)
    assert float(sampled_softmax(users, items, log_q, everything, 0.1)) == 0.0


def test_the_mean_leaves_out_the_play_to_predict_and_counts_the_last() -> None:
    some = np.array([4, 7])
    items = [PAST.items[PAST.start[user] : PAST.start[user + 1]] for user in some]
    weights, number = PAST.weights(some, 0, np.array([items[0][2], items[1][0]]))
    assert weights[0].toarray()[0, items[0][2]] == 0
    assert weights[1].toarray()[0, items[1][0]] == 0
    assert number.tolist() == [len(items[0]) - 1, len(items[1]) - 1]
    assert np.asarray(weights.sum(axis=1)).ravel() == pytest.approx([1, 1])
    last, number = PAST.weights(some, 3)
    assert number.tolist() == [3, 3]
    assert sorted(last[0].indices) == sorted(items[0][-3:])


def test_histories_are_in_order_of_time() -> None:
    rows = ROWS.train[DATA.interactions.user[ROWS.train] == 4]
    in_time = DATA.interactions.item[rows[np.argsort(DATA.interactions.at_ms[rows])]]
    assert PAST.items[PAST.start[4] : PAST.start[5]].tolist() == in_time.tolist()


def test_a_share_of_0_leaves_nothing_and_every_kind_of_share_is_drawn() -> None:
    random = np.random.default_rng(0)
    _, number = PAST.weights(np.array([1, 2]), 0, None, np.array([0.0, 1.0]), random)
    assert number.tolist() == [0, PAST.start[3] - PAST.start[2]]
    drawn = shares(4000, Config(empty=0.1, whole=0.4), random)
    assert (drawn == 0).mean() == pytest.approx(0.1, abs=0.02)
    assert (drawn == 1).mean() == pytest.approx(0.4, abs=0.03)


def test_ages_fall_into_buckets() -> None:
    ages = np.array([-1, 0, 17, 18, 34, 56, 90], np.int16)
    zeros = np.zeros(7, np.int8)
    users = Users(tuple("abcdefg"), ages, zeros, zeros.astype(np.int16), ("",))
    assert demographics(users).age.tolist() == [0, 1, 1, 2, 3, 7, 7]


def test_it_finds_planted_tastes_from_plays_and_from_demographics_alone(tower: TwoTower) -> None:
    known = matrix(DATA.interactions.user[ROWS.train], DATA.interactions.item[ROWS.train], SHAPE)
    truth = matrix(DATA.interactions.user[ROWS.test], DATA.interactions.item[ROWS.test], SHAPE)

    def recall(scores: np.ndarray) -> float:
        return float(list_metrics(ranked(scores, known, None, 10), truth, [10])["recall@10"].mean())

    without = histories(DATA.interactions, ROWS.train[:0], SHAPE)
    popular = recall(baselines.popularity(known))
    assert recall(tower.backbone(PAST, TOLD).scores()) > 2 * popular
    assert recall(tower.backbone(without, TOLD).scores()) > 1.5 * popular


def test_all_vectors_have_norm_1_for_any_number_of_plays(tower: TwoTower) -> None:
    for past in (PAST, histories(DATA.interactions, ROWS.train[:0], SHAPE)):
        found = tower.backbone(past, TOLD)
        for vectors in (found.users, found.items):
            assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_it_begins_with_the_directions_that_it_is_given() -> None:
    start = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    found = TwoTower(Config.debug(), 1, 5, start).item_vectors().detach().numpy()
    assert found == pytest.approx(start / np.linalg.norm(start, axis=1, keepdims=True), abs=1e-6)


def test_one_seed_gives_one_network() -> None:
    short = replace(Config.debug(), fit=replace(Config.debug().fit, epochs=2))
    first, again = (fit_two_tower(DATA, ROWS, short, lambda *_: None).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_boundary_parts_plays_from_random_items(tower: TwoTower, boundary: InterestBoundary) -> None:
    found = tower.backbone(PAST, TOLD)
    with torch.no_grad():
        plays = inputs_of(tower, PAST, TOLD, np.arange(len(found.users)), 0)["plays"]
        level = boundary(torch.from_numpy(found.users), plays).numpy()
    above = found.scores() > level[:, None]
    unseen = np.concatenate([ROWS.validation, ROWS.test])
    of_plays = above[DATA.interactions.user[unseen], DATA.interactions.item[unseen]].mean()
    assert of_plays > above.mean() + 0.3


def test_the_boundary_knows_how_much_was_played(boundary: InterestBoundary) -> None:
    vector = torch.zeros(1, 8)
    with torch.no_grad():
        few, many = (float(boundary(vector, torch.full((1, 1), float(np.log1p(plays))))) for plays in (1, 100))
    assert few != many


def test_a_boundary_needs_unseen_plays(tower: TwoTower) -> None:
    with pytest.raises(TrainingError, match="too few for an interest boundary"):
        fit_boundary(tower, DATA, ROWS.train, ROWS.test[:0], interest_boundary.Config.debug(), lambda *_: None)


def test_the_boundary_is_asked_for_users_as_they_will_be_published(tower: TwoTower) -> None:
    class Published(torch.nn.Module):
        def forward(self, history: torch.Tensor, plays: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
            heard.append(float(plays.expm1().max()))
            return tower.user(-history, plays, *told)

    heard: list[float] = []
    config = replace(interest_boundary.Config.debug(), fit=replace(interest_boundary.Config.debug().fit, epochs=1))
    given = tower, DATA, ROWS.train, ROWS.validation, config, lambda *_: None
    published, own = fit_boundary(*given, Published().eval(), 3), fit_boundary(*given)
    assert max(heard) == pytest.approx(3)
    assert not torch.equal(published.log_scale, own.log_scale)


def test_what_the_boundary_filters_is_counted_by_place() -> None:
    scores = np.array([[0.9, 0.8, 0.1, 0.5], [0.3, 0.7, 0.6, 0.9]], np.float32)
    truth = csr_matrix(np.array([[1, 0, 0, 0], [0, 1, 1, 0]]))
    cold = np.array([True, True, True, False])
    found = filtered(scores, np.array([0.85, 0.65], np.float32), truth, cold, cut=2)
    assert (found.shown, found.precision, found.precision_of_rest) == (0.5, 1.0, 0.5)


def test_the_onnx_file_answers_like_torch(tower: TwoTower, boundary: InterestBoundary, tmp_path: Path) -> None:
    path = tmp_path / "user_tower.onnx"
    inputs = inputs_of(tower, PAST, TOLD, np.arange(6), 50)
    assert export_user_tower(tower.user, boundary, inputs, path) < 1e-4
    nobody = {name: torch.zeros_like(value[:1]) for name, value in inputs.items()}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["history", "plays", "age", "gender", "occupation"]
    vector, level = session.run(["vector", "boundary"], {name: value.numpy() for name, value in nobody.items()})
    assert vector.shape == (1, 8)
    assert level.shape == (1,)
    assert np.isfinite(vector).all()
    expected = tower.user_vector(*nobody.values()).detach().numpy()
    assert vector == pytest.approx(expected, abs=1e-4)
    assert str(Path.cwd()).encode() not in path.read_bytes()


def test_an_onnx_file_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    class Restless(torch.nn.Module):
        def forward(self, history: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            offset = 0.0 if torch.compiler.is_exporting() else 1.0
            return history + offset, history

    with pytest.raises(ValueError, match="ONNX differs from torch"):
        write_onnx(Restless().eval(), {"history": torch.randn(3, 4)}, ("vector", "boundary"), tmp_path / "x.onnx")
