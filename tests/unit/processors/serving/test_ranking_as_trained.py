"""What the ranker is told online has the bits that it is trained with: plays from their topic to the last feature."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from features.ports import FeatureRow
from features.views import USER_PROFILE, USER_TASTE
from models.dataset import GENDERS, Dataset, Interactions, Items, Users
from models.ranking_features import RankingRows, ranking_rows, user_columns
from models.training.data.splits import Split
from models.training.ranking_rows import Config, RankingData, ranking_data
from processors.play_aggregation.listener import EPOCH, MICROSECOND
from processors.serving.learned_keeper import LearnedKeeper
from processors.serving.learned_user import person
from processors.serving.user_reader import UserReader
from schemas.common import Label
from tests.fakes.recommender import AXES, FakeRecommender
from tests.fakes.runtime import NOW
from tests.fakes.serving import Service, item
from tests.unit.processors.play_desk import Desk, play, received

USERS, ITEMS, SHOWN = 5, 90, 40
STEP = timedelta(minutes=7)
START = NOW - (USERS * ITEMS + 1) * STEP


def made() -> tuple[Dataset, np.ndarray]:
    """Users who played nearly every item, one of them more often than is kept; and the items' vectors."""
    random = np.random.default_rng(5)
    pairs = np.concatenate([random.permutation(USERS * ITEMS), np.repeat(np.arange(ITEMS), 3)])
    count, start = len(pairs), (START - EPOCH) // MICROSECOND // 1000
    completion = random.random(count).astype(np.float32)
    users = Users(
        tuple(f"u{number}" for number in range(USERS)), np.array([-1, 17, 30, 44, 60], np.int16),
        np.array([0, 1, 2, 1, 2], np.int8), np.array([0, 1, 1, 0, 1], np.int16), ("", "student"),
    )  # fmt: skip
    vectors = random.normal(size=(ITEMS, len(AXES))).astype(np.float32)
    items = Items(
        tuple(f"s{number}" for number in range(ITEMS)), ("",) * ITEMS,
        random.choice([0, 1970, 2024], ITEMS).astype(np.int16), AXES, random.random((ITEMS, len(AXES))) < 0.4, {}, {},
        published_ms=np.full(ITEMS, start) - random.integers(0, 10**9, ITEMS),
    )  # fmt: skip
    rows = Interactions(
        (pairs // ITEMS).astype(np.int32), (pairs % ITEMS).astype(np.int32),
        start + np.arange(count) * (STEP // timedelta(milliseconds=1)), np.ones(count, np.bool_),
        completion > 0.5, completion, (completion * 1000).astype(np.int32), np.full(count, -1, np.int16),
    )  # fmt: skip
    return Dataset("made", "made", users, items, rows), vectors


def trained(dataset: Dataset, vectors: np.ndarray) -> tuple[RankingData, Split]:
    rows = np.arange(len(dataset.interactions))
    shown = np.sort(np.random.default_rng(6).choice(USERS * ITEMS, SHOWN, replace=False))
    split = Split(np.setdiff1d(rows, shown), shown[::2], shown)
    codes = np.zeros((ITEMS, 1), np.int64)
    return ranking_data(dataset, split, vectors, codes, Config(folds=2, negatives=0)), split


async def served(dataset: Dataset, vectors: np.ndarray, split: Split) -> Service:
    """The service after the train rows were counted by `play_aggregation`."""
    items, users, rows = dataset.items, dataset.users, dataset.interactions
    moment = [EPOCH + timedelta(milliseconds=at) for at in rows.at_ms.tolist()]
    log = [
        replace(
            play(f"e{row}", users.ids[rows.user[row]], items.ids[rows.item[row]], 0, float(rows.completion[row])),
            occurred_at=moment[row],
        )
        for row in split.train.tolist()
    ]
    service, desks = Service(), (Desk(), Desk())
    for partition, desk in enumerate(desks):
        mine = [each for each in log if int(each.user_id[1:]) % 2 == partition]
        await desk.work(received(mine[:100], partition=partition))
        await desk.work(received(mine[100:], first=100, partition=partition))
    for number, name in enumerate(items.ids):
        labels = tuple(Label(name=axis, score=1.0) for axis, has in zip(AXES, items.tagged[number], strict=True) if has)
        at = EPOCH + timedelta(milliseconds=int(items.published_ms[number]))
        service.tell(item(name, labels=labels, release_year=int(items.year[number]) or None, at=at))
    for desk in desks:
        for counted in desk.heard:
            service.tell(counted)
    for number, user in enumerate(users.ids):
        service.features.rows[USER_TASTE.name, user] = desks[number % 2].features.rows[USER_TASTE.name, user]
        told = {"gender": GENDERS[users.gender[number]], "occupation": users.occupations[users.occupation[number]]}
        if users.age[number] >= 0:
            told["birth_year"] = NOW.year - int(users.age[number])
        service.features.rows[USER_PROFILE.name, user] = FeatureRow(user, NOW, told)
    known = FakeRecommender(trained=dict(zip(items.ids, map(tuple, vectors), strict=True)))
    LearnedKeeper(service.catalogue, lambda: known).step()
    return service


async def test_a_row_online_is_the_row_of_training() -> None:
    dataset, vectors = made()
    data, split = trained(dataset, vectors)
    service = await served(dataset, vectors, split)
    catalogue, space = service.catalogue, service.catalogue.learned
    assert space is not None
    reader = UserReader(service.features, catalogue)
    online: list[RankingRows] = []
    for row in split.test.tolist():
        rows = dataset.interactions
        now = EPOCH + timedelta(milliseconds=int(rows.at_ms[row]))
        user = await reader.read(dataset.users.ids[rows.user[row]])
        told = person(catalogue, space, user, now)
        columns = user_columns(
            data.layout,
            -1 if told.age is None else told.age,
            GENDERS.index(told.gender),
            data.layout.occupations.index(told.occupation),
            told.plays,
            told.completion_rate,
            told.heard,
            told.completion,
        )
        _, shown = catalogue.columns_of(space, [dataset.items.ids[rows.item[row]]], int(rows.at_ms[row]))
        online.append(ranking_rows(data.layout, columns, shown))
    for name in RankingRows.__slots__:
        expected = getattr(data.test.rows, name)
        assert np.concatenate([getattr(each, name) for each in online]).tobytes() == expected.tobytes(), name
