"""Cold users on a made data set: two tastes that gender foretells, items of each taste (``make test-train``)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from models.dataset import Dataset, DatasetError, Interactions, Items, Users
from models.training.backbone import Backbone
from models.training.cold_protocol import ColdGroup, Shown, known_plays, later_plays, shown
from models.training.data.splits import ColdUsers, cold_users
from models.training.histories import histories
from models.training.onnx_file import write_onnx
from models.training.two_tower import demographics
from models.training.user_cold import Config, UserCold, UserTowers, fit_user_cold

USERS, ITEMS, PLAYS, DIM = 240, 60, 24, 8


def made(seed: int = 3, plays: int = PLAYS) -> tuple[Dataset, Backbone]:
    """Women (1) mostly play the first half of the items, men the second; items 0 and 30 are known to nearly all."""
    random = np.random.default_rng(seed)
    gender = random.integers(1, 3, USERS).astype(np.int8)
    taste = np.where(random.random(USERS) < 0.9, gender - 1, 2 - gender)
    rows = []
    for user in range(USERS):
        weight = np.where(np.arange(ITEMS) // 30 == taste[user], 1.0, 0.1)
        weight[[0, 30]] = 5.0
        rows.append(random.choice(ITEMS, plays, replace=False, p=weight / weight.sum()))
    user, item = np.repeat(np.arange(USERS), plays), np.concatenate(rows)
    order = random.permutation(len(user))
    count = len(user)
    interactions = Interactions(
        user[order].astype(np.int32),
        item[order].astype(np.int32),
        np.arange(count, dtype=np.int64),
        np.ones(count, np.bool_),
        np.ones(count, np.bool_),
        np.ones(count, np.float32),
        np.ones(count, np.int32),
        np.full(count, -1, np.int16),
    )
    users = Users(
        tuple(map(str, range(USERS))),
        random.integers(10, 70, USERS).astype(np.int16),
        gender,
        np.zeros(USERS, np.int16),
        ("", "artist"),
    )
    items = Items(
        tuple(map(str, range(ITEMS))), ("t",) * ITEMS, np.zeros(ITEMS, np.int16), (), np.zeros((ITEMS, 0), bool), {}, {}
    )
    sides = np.stack([np.arange(ITEMS) < 30, np.arange(ITEMS) >= 30], axis=1)
    vectors = np.concatenate([sides, random.normal(0, 0.3, (ITEMS, DIM - 2))], axis=1).astype(np.float32)
    likes = np.concatenate([np.eye(2)[taste], np.zeros((USERS, DIM - 2))], axis=1).astype(np.float32) * 3
    return Dataset("made", "", users, items, interactions), Backbone(likes, vectors)


def trained() -> tuple[Dataset, Backbone, ColdUsers, UserCold]:
    dataset, backbone = made()
    split = cold_users(dataset.interactions, USERS, seed=0)
    return dataset, backbone, split, fit_user_cold(dataset, split, backbone, Config.debug(), lambda *_: None)


@pytest.fixture(scope="module")
def fitted() -> tuple[Dataset, Backbone, ColdUsers, UserCold]:
    return trained()


def vectors(module: nn.Module, plays: Tensor, history: Tensor, gender: int = 0) -> np.ndarray:
    zero = torch.zeros(len(plays), dtype=torch.int64)
    with torch.no_grad():
        return module(history, torch.log1p(plays), zero, zero + gender, zero).numpy()


def test_what_he_told_decides_without_plays_and_what_he_played_later(fitted: tuple) -> None:
    _, backbone, _, module = fitted
    none, zeros = torch.zeros(1, 1), torch.zeros(1, DIM)
    halves = [
        (vectors(module, none, zeros, gender) @ backbone.items.T).reshape(2, 30).mean(axis=1) for gender in (1, 2)
    ]
    assert halves[0][0] > halves[0][1]
    assert halves[1][1] > halves[1][0]
    men = torch.from_numpy(backbone.items[30:40].mean(axis=0, keepdims=True))
    woman = (vectors(module, torch.full((1, 1), 10.0), men, 1) @ backbone.items.T).reshape(2, 30).mean(axis=1)
    assert woman[1] > woman[0]


def test_lists_are_better_than_popularity_and_better_with_plays(fitted: tuple) -> None:
    dataset, backbone, split, module = fitted
    group = ColdGroup.of(dataset.interactions, split, split.test_users, (USERS, ITEMS))
    told = demographics(dataset.users).take(split.test_users)
    popular = np.bincount(dataset.interactions.item[split.train], minlength=ITEMS).astype(np.float32)
    ndcg = {}
    for given in (0, 10):
        scores = module(*shown(group.known(given), told, backbone.items)).detach().numpy() @ backbone.items.T
        ndcg[given] = group.metrics(group.lists(scores, given))[1].mean()
        base = group.metrics(group.lists(np.tile(popular, (len(group.users), 1)), given))[1].mean()
        assert ndcg[given] > base
    assert ndcg[10] > ndcg[0]


def test_the_same_seed_gives_the_same_weights(fitted: tuple) -> None:
    again = trained()[3].state_dict()
    assert all(torch.equal(value, again[name]) for name, value in fitted[3].state_dict().items())


def test_vectors_have_the_norm_of_the_warm_users(fitted: tuple) -> None:
    _, backbone, _, module = fitted
    plays = torch.tensor([[0.0], [3.0], [5000.0]])
    found = vectors(module, plays, torch.randn(3, DIM, generator=torch.Generator().manual_seed(0)))
    assert np.allclose(np.linalg.norm(found, axis=1), np.linalg.norm(backbone.users, axis=1).mean(), rtol=1e-4)


class Warm(nn.Module):
    """Looks at the plays alone."""

    def forward(self, history: Tensor, plays: Tensor, age: Tensor, gender: Tensor, occupation: Tensor) -> Tensor:
        return nn.functional.normalize(history, dim=1) * 3


def test_the_towers_turn_smoothly_with_the_plays(fitted: tuple) -> None:
    _, _, _, module = fitted
    history = torch.randn(1, DIM, generator=torch.Generator().manual_seed(1))
    plays = torch.tensor([[0.0], [20.0], [5000.0]])
    each = history.expand(3, DIM)
    towers = UserTowers(module, Warm(), turn=20)
    both, cold, warm = (vectors(tower, plays, each) for tower in (towers, module, Warm()))
    assert np.allclose(both[0], cold[0], atol=1e-3)
    middle = cold[1] + warm[1]
    assert np.allclose(both[1], middle / np.linalg.norm(middle) * np.linalg.norm(cold[1]), atol=1e-3)
    assert np.allclose(both[2], warm[2], atol=1e-3)


@pytest.mark.filterwarnings("ignore:# The axis name.*:UserWarning")
def test_onnx_answers_like_torch_for_any_number_of_users(fitted: tuple, tmp_path: Path) -> None:
    towers = UserTowers(fitted[3], Warm()).eval()
    random = torch.Generator().manual_seed(2)
    columns = (torch.randn(5, DIM, generator=random), torch.rand(5, 1, generator=random) * 4)
    inputs = Shown(*columns, *(torch.randint(high, (5,), generator=random) for high in (8, 3, 2)))
    assert write_onnx(towers, inputs._asdict(), ("vector",), tmp_path / "user.onnx") < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "user.onnx")
    (one,) = session.run(["vector"], {name: each[:1].numpy() for name, each in inputs._asdict().items()})
    with torch.no_grad():
        assert np.abs(one - towers(*inputs).numpy()[:1]).max() < 1e-4


def test_the_test_of_a_cold_user_is_the_same_for_every_k_and_not_what_is_given() -> None:
    dataset, _ = made()
    split = cold_users(dataset.interactions, USERS, seed=0)
    group = ColdGroup.of(dataset.interactions, split, split.test_users, (USERS, ITEMS))
    for row, user in enumerate(group.users):
        first = dataset.interactions.item[split.first[int(user)]]
        assert set(group.known(3)[row].indices) == set(first[-3:])
        assert set(replace(group, latest=False).known(3)[row].indices) == set(first[:3])
        assert set(group.rest[row].indices) == set(dataset.interactions.item[split.rest[int(user)]])
    lists = group.lists(np.ones((len(group.users), ITEMS), np.float32), 10)
    hidden = group.known(10).toarray() > 0
    assert not np.take_along_axis(hidden, lists, axis=1).any()


def test_repeated_plays_count_once() -> None:
    dataset, _ = made()
    rows = np.flatnonzero(dataset.interactions.user == 0)
    past = histories(dataset.interactions, np.concatenate([rows[:4], rows]), (USERS, ITEMS))
    known, later = known_plays(past, np.array([0]), 10), later_plays(past, np.array([0]))
    assert set(known.data) == {1.0}
    assert set(later.data) == {1.0}
    assert not set(known.indices) & set(later.indices)


def test_users_of_few_plays_teach_nothing() -> None:
    dataset, backbone = made(plays=10)
    split = cold_users(dataset.interactions, USERS, seed=0)
    with pytest.raises(DatasetError, match="too few users of more than 10 plays"):
        fit_user_cold(dataset, split, backbone, Config.debug(), lambda *_: None)


def test_warm_users_without_later_plays_teach_nothing() -> None:
    dataset, backbone = made()
    split = cold_users(dataset.interactions, USERS, seed=0)
    of_user = dataset.interactions.user[split.train]
    firsts = np.concatenate([split.train[of_user == user][:10] for user in np.unique(of_user)])
    with pytest.raises(DatasetError, match="too few users of more than 10 plays"):
        fit_user_cold(dataset, replace(split, train=firsts), backbone, Config.debug(), lambda *_: None)
