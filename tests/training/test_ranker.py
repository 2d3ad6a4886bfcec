"""The ranker: gates, experts, rows without leaks, what it must find and what it must refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.dataset import GENDERS, Dataset, DatasetError, Interactions, Items, Users
from models.onnx import open_network
from models.ranking_features import DENSE, GROUPS, RankingLayout, RankingRows
from models.training import ranking_rows
from models.training.data import splits
from models.training.loop import seed_everything
from models.training.ranker import (
    LIKE,
    Config,
    GateNU,
    MMoE,
    Ranker,
    Rows,
    export,
    fit_ranker,
    logits,
    with_groups_permuted,
    within_user,
)
from models.training.ranking_metrics import auc
from models.training.ranking_rows import Labelled, RankingData, ranking_data

USERS, ITEMS, ROWS, DIM = 40, 60, 1200, 8


def dataset(seed: int = 1) -> Dataset:
    random = np.random.default_rng(seed)
    pairs = np.sort(random.permutation(USERS * ITEMS)[:ROWS])
    random.shuffle(pairs)
    completion = random.random(ROWS).astype(np.float32)
    users = Users(
        tuple(f"u-{n}" for n in range(USERS)), random.integers(15, 70, USERS).astype(np.int16),
        random.integers(0, len(GENDERS), USERS).astype(np.int8), np.zeros(USERS, np.int16), ("",),
    )  # fmt: skip
    tagged = random.random((ITEMS, 3)) < 0.4
    items = Items(
        tuple(f"s-{n}" for n in range(ITEMS)), ("",) * ITEMS, np.full(ITEMS, 2000, np.int16), ("a", "b", "c"), tagged,
        {}, {},
    )  # fmt: skip
    rows = Interactions(
        (pairs // ITEMS).astype(np.int32), (pairs % ITEMS).astype(np.int32), np.arange(ROWS, dtype=np.int64) * 10**7,
        np.ones(ROWS, np.bool_), completion > 0.5, completion, (completion * 1000).astype(np.int32),
        np.full(ROWS, -1, np.int16),
    )  # fmt: skip
    return Dataset("made", "made", users, items, rows)


def split_rows(what: Dataset) -> splits.Split:
    return splits.ranking(what.interactions, 0)


def made(what: Dataset, **settings: int) -> RankingData:
    vectors = np.random.default_rng(2).normal(size=(ITEMS, DIM)).astype(np.float32)
    codes = np.random.default_rng(3).integers(0, 4, (ITEMS, 2))
    config = replace(ranking_rows.Config(folds=3), **settings)
    return ranking_data(what, split_rows(what), vectors, codes, config)


def planted(rows: int, seed: int, layout: RankingLayout) -> Labelled:
    """Two groups; one likes items 1-29, the other the rest. Nothing but the group tells who is who."""
    random = np.random.default_rng(seed)
    fields = np.zeros((rows, len(layout.fields)), np.int64)
    names = [name for name, _ in layout.fields]
    fields[:, names.index("item")] = item = random.integers(1, ITEMS + 1, rows)
    group = random.choice([2, 5], rows)
    liked = (item < 30) == (group == 2)
    labels = np.stack([random.random(rows) < 0.5, liked, random.random(rows) < 0.5, liked], axis=1)
    counts = np.ones((rows, 4), np.bool_)
    dense = np.zeros((rows, len(DENSE)), np.float32)
    return Labelled(RankingRows(fields, dense, group), labels.astype(np.float32), counts, np.zeros(rows, np.int32))


def test_gates_are_one_before_training_and_send_no_gradient_back() -> None:
    values = torch.randn(5, 7, requires_grad=True)
    prior = torch.randn(5, 3, requires_grad=True)
    gates = GateNU(3, 7, 4, 6)
    assert torch.equal(gates(prior, values), torch.ones(5, 4))
    torch.nn.init.normal_(gates.out.weight)
    assert not torch.allclose(gates(prior, values), torch.ones(5, 4))
    gates(prior, values).sum().backward()
    assert values.grad is None
    assert prior.grad is not None


def test_experts_are_mixed_for_each_task() -> None:
    config = replace(Config.debug(), experts=3, expert=5)
    experts = MMoE(11, config)
    values = torch.randn(4, 11)
    assert experts(values, None).shape == (4, 4, 5)
    assert torch.equal(experts(values, torch.randn(4, config.embedding)), experts(values, None))


def test_a_planted_preference_of_groups_is_found_by_the_gates_alone() -> None:
    layout = made(dataset()).layout
    data = RankingData(layout, planted(3000, 1, layout), planted(500, 2, layout), planted(1000, 3, layout))
    liked = data.test.labels[:, LIKE] > 0
    found = {}
    for gate in (False, True):
        module, _ = fit_ranker(data, Config.debug(gate), lambda *_: None)
        found[gate] = auc(liked, logits(module, data.test.rows)[:, LIKE])
    assert found[False] < 0.6
    assert found[True] > 0.9
    dealt = with_groups_permuted(data.test.rows, np.random.default_rng(0))
    assert auc(liked, logits(module, dealt)[:, LIKE]) < 0.7


@pytest.mark.parametrize(("liked", "told"), [(True, "like: .* all yes"), (False, "like: .* all no")])
def test_one_class_is_an_error_that_names_the_task(liked: bool, told: str) -> None:
    what = dataset()
    what.interactions.liked[:] = liked
    with pytest.raises(DatasetError, match=f"train rows hold one class only for the task {told}"):
        fit_ranker(made(what), Config.debug(), lambda *_: None)


def test_without_exposures_or_negatives_clicks_cannot_be_learnt() -> None:
    with pytest.raises(DatasetError, match="task click"):
        fit_ranker(made(dataset(), negatives=0), Config.debug(), lambda *_: None)


def test_a_row_tells_nothing_of_its_own_label() -> None:
    what, changed = dataset(), dataset()
    row = int(np.sort(splits.ranking(what.interactions, 0).train)[17])
    changed.interactions.liked[row] ^= True
    changed.interactions.completion[row] = 1.0 - what.interactions.completion[row]
    before, after = made(what, cold_share=0).train, made(changed, cold_share=0).train
    assert before.labels[17, LIKE] != after.labels[17, LIKE]
    # the prior over all rows moves a little; beyond it nothing may
    assert np.abs(before.rows.dense[17] - after.rows.dense[17]).max() < 2e-3
    assert np.array_equal(before.rows.fields[17], after.rows.fields[17])
    mine = before.user == before.user[17]
    moved = np.abs(before.rows.dense - after.rows.dense)[mine, DENSE.index("user_lift")]
    assert moved.max() > 1e-2


def test_what_was_not_clicked_counts_for_clicks_alone() -> None:
    what = dataset()
    data = made(what)
    clicked = data.train.labels[:, 0] > 0
    assert clicked.sum() == (~clicked).sum()
    assert data.train.counts[~clicked].tolist() == [[True, False, False, False]] * int((~clicked).sum())
    assert len(data.train.of_clicks()) == clicked.sum()
    what.interactions.clicked[::3] = False
    own = made(what)
    assert len(own.train) == len(splits.ranking(what.interactions, 0).train)


def test_an_item_shown_as_unknown_keeps_its_age() -> None:
    what = dataset()
    known, unknown = (made(what, cold_share=share).train.rows for share in (0, 1))
    age, cold = DENSE.index("item_age"), [name for name, _ in made(what).layout.fields].index("cold")
    assert unknown.fields[:, cold].all()
    assert (unknown.dense[:, age] > 0).mean() > 0.5
    assert np.array_equal(known.dense[:, age], unknown.dense[:, age])
    mean = DENSE.index("item_mean")
    assert (np.unique(known.dense[:, mean]).size, np.unique(unknown.dense[:, mean]).size) == (3 * ITEMS, 1)


def test_an_age_counts_from_publication_and_no_further_than_was_trained() -> None:
    what = dataset()
    before = what.interactions.at_ms.min() - 1000 * ranking_rows.DAY_MS
    data = made(replace(what, items=replace(what.items, published_ms=np.full(ITEMS, before))), cold_share=1)
    age = DENSE.index("item_age")
    train = split_rows(what).train
    expected = np.log1p((what.interactions.at_ms[np.sort(train)] - before) / ranking_rows.DAY_MS)
    assert data.train.rows.dense[: len(train), age] == pytest.approx(expected, rel=1e-6)
    assert data.layout.greatest_age_days == pytest.approx(np.expm1(expected.max()))
    assert data.test.rows.dense[:, age].max() <= np.float32(expected.max())
    without = made(what).layout.greatest_age_days
    assert without is not None
    assert 100 < without < 140


def test_the_pairwise_loss_wants_the_liked_row_of_the_same_user_above() -> None:
    labels, counts = torch.zeros(4, 4), torch.ones(4, 4)
    labels[0, LIKE] = 1
    counts[3, LIKE] = 0
    user = torch.tensor([1, 1, 2, 1])
    rows = Rows(torch.zeros(4, 1), torch.zeros(4, 1), torch.zeros(4), labels, counts, user)
    scores = torch.zeros(4, requires_grad=True)
    within_user(scores, rows).backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [-0.5, 0.5, 0.0, 0.0]


def test_onnx_answers_like_torch_for_any_number_of_rows(tmp_path: Path) -> None:
    data = made(dataset())
    seed_everything(1)
    module = Ranker(data.layout, Config.debug(), data.train.rows.dense)
    for each in module.parameters():
        torch.nn.init.normal_(each, std=0.2)
    assert export(module, tmp_path / "ranker.onnx") < 1e-4
    session = open_network((tmp_path / "ranker.onnx").read_bytes())
    for count in (1, 3, 150):
        rows = data.test.rows.take(np.arange(count))
        given = {"fields": rows.fields, "dense": rows.dense, "group": rows.group}
        (found,) = session.run(["logits"], given)
        assert found.shape == (count, 4)
        assert np.abs(found - logits(module, rows)).max() < 1e-4


def test_the_seed_decides() -> None:
    data = made(dataset())
    config = replace(Config.debug(), fit=replace(Config.debug().fit, epochs=2))
    first, second = (logits(fit_ranker(data, config, lambda *_: None)[0], data.test.rows) for _ in range(2))
    assert np.array_equal(first, second)
    assert len(GROUPS) == 6
