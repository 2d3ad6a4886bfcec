"""Plays of items that only their content places move a user: the real tower over the debug bundle."""

from __future__ import annotations

import numpy as np
import pytest

from features.ports import FeatureRow
from features.views import USER_TASTE
from models.bundled_recommender import BundledRecommender
from models.content_vector import DIM as CONTENT_DIM
from models.ranker import RankingWeights
from models.recommender_bundle import open_bundle
from processors.serving.learned_keeper import LearnedKeeper
from schemas.common import Label
from tests.bundles import DEBUG
from tests.fakes.serving import NOW, Service, item

TAGS = ("calm", "dance", "live")


@pytest.fixture
def service() -> Service:
    """Four items of each tag, none ever played by others, and of each tag a user who played two of them."""
    made = Service(dim=CONTENT_DIM)
    for tag in TAGS:
        for number in range(4):
            made.tell(item(f"{tag}-{number}", (), vector_version="", labels=(Label(name=tag, score=1.0),)))
        values = {
            "recent_items": [f"{tag}-0", f"{tag}-1"],
            "plays": 2,
            "recent_completions": np.ones(2, np.float32),
        }
        made.features.rows[USER_TASTE.name, f"{tag}-fan"] = FeatureRow(f"{tag}-fan", NOW, values)
    recommender = BundledRecommender(open_bundle(DEBUG), RankingWeights())
    LearnedKeeper(made.catalogue, lambda: recommender).step()
    return made


async def scores(made: Service, user: str) -> dict[str, float]:
    found = {}
    async with made.client() as client:
        for tag in TAGS:
            answer = await client.get(f"/v1/explanations/{tag}-3", params={"user": user})
            assert answer.json()["source"] == "content"
            found[tag] = answer.json()["score"]
    return found


@pytest.mark.parametrize("tag", TAGS)
async def test_who_played_cold_items_only_is_placed_by_their_content(service: Service, tag: str) -> None:
    found, newcomer = await scores(service, f"{tag}-fan"), await scores(service, "newcomer")
    assert max(found, key=found.__getitem__) == tag
    assert found[tag] > newcomer[tag] + 0.1
    async with service.client() as client:
        answer = (await client.post("/v1/recall", json={"user": f"{tag}-fan", "limit": 8})).json()
    mapped = {each["item_id"] for each in answer["items"] if each["reason"] == "mapped"}
    assert mapped == {f"{tag}-2", f"{tag}-3"}
