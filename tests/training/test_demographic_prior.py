"""The prior by demographics, on users and items made by hand (``make test-train``)."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from models.dataset import Users
from models.training.demographic_prior import AGES, Config, cell_of, expected, fit_vectors, likeness
from models.training.two_tower import demographics

OCCUPATIONS = ("", "artist", "lawyer", "writer")
MEN, WOMEN = 1, 2


def users(*rows: tuple[int, int, int]) -> Users:
    age, gender, occupation = np.array(rows).T
    names = tuple(map(str, range(len(rows))))
    return Users(names, age.astype(np.int16), gender.astype(np.int8), occupation.astype(np.int16), OCCUPATIONS)


def alike(people: Users, config: Config) -> np.ndarray:
    """By age, gender, occupation and user."""
    found = likeness(people, demographics(people), np.arange(len(people)), config)
    return found.reshape(AGES, 3, len(OCCUPATIONS), len(people))


def test_users_count_by_how_like_they_are() -> None:
    config = Config(years=8, floor=0.1, gender=4, occupation=2)
    people = users((30, MEN, 1), (30, MEN, 2), (30, WOMEN, 1), (60, MEN, 1))
    bucket = int(demographics(people).age[0])
    near, other_work, other_gender, far = alike(people, config)[bucket, MEN, 1]
    assert near / other_work == pytest.approx(2)
    assert near / other_gender == pytest.approx(4)
    assert 10 < near / far < 11.1


def test_an_unknown_field_asks_everybody() -> None:
    people = users((20, MEN, 1), (60, WOMEN, 2), (-1, 0, 0))
    assert np.allclose(alike(people, Config())[0, 0, 0], 1)
    # who told nothing is like nobody in particular, and is still heard
    of_artist = alike(people, Config())[int(demographics(people).age[0]), MEN, 1]
    assert of_artist[0] > of_artist[2] > 0


def test_a_user_is_looked_up_where_likeness_to_his_own_kind_stands() -> None:
    people = users((20, MEN, 3), (60, WOMEN, 1), (-1, 0, 0))
    told = demographics(people)
    shape = (AGES, 3, len(OCCUPATIONS))
    cells = cell_of(*told, len(OCCUPATIONS)).numpy()
    assert np.array_equal(cells, np.ravel_multi_index([column.numpy() for column in told], shape))
    rows = likeness(people, told, np.arange(3), Config())
    assert len(rows) == np.prod(shape)
    assert rows[cells[:2]].argmax(axis=1).tolist() == [0, 1]


def test_a_user_of_many_plays_counts_for_more_only_as_far_as_asked() -> None:
    later = csr_matrix(np.array([[1, 1, 1, 1, 0], [0, 0, 0, 0, 1]], np.float32))
    everybody = np.ones((1, 2), np.float32)
    assert np.allclose(expected(everybody, later, activity=0.0), [[0.125] * 4 + [0.5]])
    assert np.allclose(expected(everybody, later, activity=1.0), [[0.2] * 5])


def test_who_played_nothing_later_is_passed_over() -> None:
    later = csr_matrix(np.array([[1, 0], [0, 0]], np.float32))
    assert np.allclose(expected(np.ones((1, 2), np.float32), later, activity=0.1), [[1, 0]])


def test_vectors_have_the_softmax_that_is_asked_for() -> None:
    random = np.random.default_rng(0)
    wanted = random.dirichlet(np.ones(6), size=3).astype(np.float32)
    items = np.eye(6, 8, dtype=np.float32) * 5
    config = Config(sharpened=2.0, l2=0.0, steps=200)
    logits = torch.from_numpy(fit_vectors(wanted, items, config) @ (items / 5).T)
    assert np.allclose(logits.softmax(1).numpy(), wanted**2 / (wanted**2).sum(1, keepdims=True), atol=1e-3)


def test_where_the_space_is_too_small_the_head_stays() -> None:
    random = np.random.default_rng(1)
    items = random.normal(size=(200, 8)).astype(np.float32)
    wanted = random.permuted(1.0 / np.arange(1, 201), axis=0)[None]
    wanted = (wanted / wanted.sum()).astype(np.float32)

    def found(sharpened: float) -> float:
        scores = fit_vectors(wanted, items, Config(sharpened=sharpened)) @ items.T
        return float(wanted[0, np.argsort(-scores[0])[:5]].sum())

    assert found(3.0) > found(1.0)
