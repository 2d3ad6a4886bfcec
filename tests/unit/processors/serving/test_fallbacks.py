"""What the recommender had to do without is counted, once a request or item."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from features.ports import FeatureRow
from features.views import USER_PROFILE, USER_TASTE
from processors.serving.learned_keeper import LearnedKeeper
from schemas.common import Label
from tests.fakes.recommender import FakeRecommender
from tests.fakes.serving import NOW, Service, item


def service() -> Service:
    made = Service()
    for name in ("rock", "jazz"):
        made.tell(item(f"{name}-0", labels=(Label(name=name, score=1.0),)))
    LearnedKeeper(made.catalogue, lambda: FakeRecommender()).step()
    return made


def counted(made: Service) -> dict[str, float]:
    found = {}
    for family in made.metrics.registry.collect():
        for sample in family.samples:
            if sample.name == "overture_recommend_fallbacks_total" and sample.value:
                found[sample.labels["reason"]] = sample.value
    return found


async def get(made: Service, path: str, **query: object) -> int:
    async with made.client() as client:
        return (await client.get(path, params={"user": "u", **query})).status_code


async def test_of_an_unknown_user_history_and_profile_are_missed_and_he_is_answered() -> None:
    made = service()
    assert await get(made, "/v1/recommendations") == 200
    assert counted(made) == {"history-empty": 1, "profile-empty": 1}
    async with made.client() as client:
        await client.post("/v1/recall", json={"user": "u"})
    assert counted(made) == {"history-empty": 2, "profile-empty": 2}


async def test_what_is_known_is_not_missed() -> None:
    made = service()
    values = {"recent_items": ["rock-0"], "plays": 1, "recent_completions": np.ones(1, np.float32)}
    made.features.rows[USER_TASTE.name, "u"] = FeatureRow("u", NOW, values)
    assert await get(made, "/v1/recommendations") == 200
    assert counted(made) == {"profile-empty": 1}
    made.features.rows[USER_PROFILE.name, "u"] = FeatureRow("u", NOW, {"birth_year": 1990})
    assert await get(made, "/v1/recommendations") == 200
    assert counted(made) == {"profile-empty": 1}
    # a row of a profile that tells nothing is none
    made.features.rows[USER_PROFILE.name, "u"] = FeatureRow("u", NOW, {"gender": "", "occupation": ""})
    assert await get(made, "/v1/recommendations") == 200
    assert counted(made) == {"profile-empty": 2}


async def test_an_occupation_that_the_version_does_not_know_is_counted() -> None:
    made = service()
    for occupation in ("student", "astronaut"):
        made.features.rows[USER_PROFILE.name, "u"] = FeatureRow("u", NOW, {"occupation": occupation})
        assert await get(made, "/v1/recommendations") == 200
    assert counted(made) == {"history-empty": 2, "profile-word-unknown": 1}


async def test_where_features_are_away_it_is_not_the_user_who_is_unknown() -> None:
    made = service()
    made.features.away = True
    assert await get(made, "/v1/recommendations") == 200
    assert counted(made) == {}


async def test_unknown_items_of_a_request_are_counted_each_once() -> None:
    made = service()
    made.features.away = True
    async with made.client() as client:
        ranked = await client.post("/v1/rank", json={"user": "u", "item_ids": ["rock-0", "x", "y", "x"]})
    assert ranked.json()["unknown"] == ["x", "y"]
    assert counted(made) == {"item-unknown": 2}
    assert await get(made, "/v1/recommendations", seed=["rock-0", "z"]) == 200
    assert counted(made) == {"item-unknown": 3}
    assert await get(made, "/v1/explanations/rock-0") == 200
    assert await get(made, "/v1/explanations/x") == 404
    assert counted(made) == {"item-unknown": 4}


@pytest.mark.parametrize("vector", [(math.nan, 0.0, 0.0, 1.0), (math.inf, 0.0, 0.0, 0.0), (1.0, 0.0)])
async def test_an_item_whose_vector_is_none_is_counted_and_found_by_its_tags(vector: tuple[float, ...]) -> None:
    made = service()
    made.tell(item("odd", labels=(Label(name="jazz", score=1.0),), kind="audio", seq=2))
    assert counted(made) == {}
    made.tell(replace(item("odd", labels=(Label(name="jazz", score=1.0),), kind="audio", seq=3), vector=vector))
    assert counted(made) == {"vector-unusable": 1}
    LearnedKeeper(made.catalogue, lambda: FakeRecommender()).step()
    assert await get(made, "/v1/recommendations", kind="audio") == 200
    assert [each.item_id for each in made.served[-1].items] == ["odd"]
    assert made.served[-1].items[0].reason == "mapped"
