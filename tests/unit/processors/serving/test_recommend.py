"""Recommendations, recall, rank, similar items and features over HTTP."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta

import httpx
import numpy as np
import pytest

from features.last_plays import unpacked
from features.ports import FeatureRow, VectorRow
from processors.serving import user_reader
from processors.serving.candidates import Candidates
from processors.serving.ranking import BaselineRanker, choose
from processors.serving.recall import quota
from processors.serving.user_reader import UserContext
from tests.fakes.serving import NOW, VERSION, MemoryFeatures, Service, counted, item


def filled(**changes) -> Service:
    """20 warm items near x and 6 cold ones near y, 4 of them audio."""
    service = Service(**changes)
    for n in range(20):
        service.tell(item(f"warm{n}", (1, n / 100, 0, 0)))
        service.tell(counted(f"warm{n}", 2 * (100 - n)))
    for n in range(6):
        service.tell(item(f"cold{n}", (0.1 * n, 1, 0, 0), kind="audio" if n < 4 else "video"))
    return service


async def get(service: Service, path: str, **params: object) -> httpx.Response:
    async with service.client() as client:
        return await client.get(path, params=params)


async def recommend(service: Service, **params: object) -> dict:
    answer = await get(service, "/v1/recommendations", **params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def ids(answer: dict) -> list[str]:
    return [i["item_id"] for i in answer["items"]]


async def test_taste_orders_and_cold_items_keep_their_places() -> None:
    service = filled()
    service.features.taste("u", (1, 0, 0, 0))
    answer = await recommend(service, user="u", limit=8)
    assert answer["degraded"] == []
    assert len(answer["items"]) == 8
    assert sum(i["cold"] for i in answer["items"]) == 2
    assert ids(answer)[0] == "warm0"
    assert set(answer["items"][0]) == {"item_id", "kind", "score", "cold", "reason"}
    assert {i["reason"] for i in answer["items"]} == {"taste"}
    scores = [i["score"] for i in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert all(i["cold"] == i["item_id"].startswith("cold") for i in answer["items"])


async def test_another_taste_gives_another_answer() -> None:
    service = filled()
    service.features.taste("u", (0, 1, 0, 0))
    assert all(i["cold"] for i in (await recommend(service, user="u", limit=5))["items"])


async def test_an_unknown_user_gets_the_popular_and_the_fresh() -> None:
    answer = await recommend(filled(), user="stranger", limit=8)
    assert answer["degraded"] == []
    assert [i["item_id"] for i in answer["items"] if not i["cold"]] == [f"warm{n}" for n in range(6)]
    assert {i["reason"] for i in answer["items"] if i["cold"]} == {"fresh"}
    assert {i["reason"] for i in answer["items"] if not i["cold"]} == {"popular"}


async def test_without_redis_the_answer_is_degraded_not_missing() -> None:
    service = filled()
    service.features.away = True
    answer = await recommend(service, user="u", limit=8)
    assert answer["degraded"] == ["features"]
    assert len(answer["items"]) == 8
    assert b'overture_recommend_degraded_total{part="features"} 1.0' in service.metrics.exposition()


class StuckFeatures(MemoryFeatures):
    async def read(self, view: str, entity_ids: object) -> list[FeatureRow | None]:
        await asyncio.sleep(60)
        raise AssertionError


async def test_a_store_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_reader, "FEATURES_TIMEOUT_S", 0.01)
    answer = await recommend(filled(features=StuckFeatures()), user="u")
    assert answer["degraded"] == ["features"]


async def test_a_taste_of_another_version_is_not_compared() -> None:
    service = filled()
    service.features.taste("u", (0, 1, 0, 0), recent=["not-here"], version="joint-0")
    answer = await recommend(service, user="u", limit=30)
    assert "taste" not in {i["reason"] for i in answer["items"]}


async def test_a_taste_that_is_missing_is_made_of_what_was_played() -> None:
    """Played before the stores had the item's vector: the snapshot has it."""
    service = filled()
    service.features.taste("u", (), recent=["warm0"], version="")
    answer = await recommend(service, user="u", limit=30)
    assert "taste" in {i["reason"] for i in answer["items"]}
    assert "warm0" not in ids(answer)


@pytest.mark.parametrize("vector", [(), (0, 0, 0, 0), (float("nan"), 0, 0, 0)])
async def test_an_empty_taste_is_no_taste(vector: tuple) -> None:
    service = filled()
    service.features.taste("u", vector)
    answer = await recommend(service, user="u")
    assert answer["degraded"] == []
    assert answer["items"][0]["reason"] == "popular"


async def test_recently_played_and_own_items_are_left_out() -> None:
    service = filled()
    service.tell(item("mine", uploader="u"))
    service.features.taste("u", (1, 0, 0, 0), recent=["warm0", "warm1"])
    assert not {"warm0", "warm1", "mine"} & set(ids(await recommend(service, user="u", limit=50)))
    assert "mine" in ids(await recommend(service, user="u", limit=50, own=True))


async def test_kind() -> None:
    answer = await recommend(filled(), user="u", kind="audio", limit=50)
    assert sorted(ids(answer)) == ["cold0", "cold1", "cold2", "cold3"]


async def test_the_feed_holds_posts_of_the_places_asked_for() -> None:
    service = filled()
    for number, place in enumerate(("none", "comment", "moment", "fan_group")):
        service.tell(item(f"post-{place}", kind="post", surface=place))
        if number % 2:
            service.tell(counted(f"post-{place}", 50))
    asked = {"user": "u", "surface": "community-feed", "limit": 50}
    assert len(ids(await recommend(service, **asked))) == 4
    assert ids(await recommend(service, **asked, place="moment")) == ["post-moment"]
    assert set(ids(await recommend(service, **asked, place=["comment", "fan_group"]))) == {
        "post-comment",
        "post-fan_group",
    }
    assert ids(await recommend(service, **asked, place="dynamic")) == []
    service.tell(item("post-moment", kind="post", surface="dynamic", seq=2))
    assert ids(await recommend(service, **asked, place="dynamic")) == ["post-moment"]
    refused = await get(service, "/v1/recommendations", user="u", place=["moment", "cellar"])
    assert [each["parameter"] for each in refused.json()["errors"]] == ["place"]


async def test_one_partition_fills_up_the_other() -> None:
    only_cold = Service()
    for n in range(5):
        only_cold.tell(item(f"c{n}"))
    assert len((await recommend(only_cold, user="u", limit=5))["items"]) == 5
    only_warm = Service()
    for n in range(5):
        only_warm.tell(item(f"w{n}"))
        only_warm.tell(counted(f"w{n}", 50))
    assert len((await recommend(only_warm, user="u", limit=5))["items"]) == 5
    assert (await recommend(Service(), user="u"))["items"] == []


async def test_items_without_a_vector_are_not_lost_to_users_with_a_taste() -> None:
    service = Service()
    service.tell(item("vector"))
    service.tell(item("none", (), vector_version=""))
    service.features.taste("u", (1, 0, 0, 0))
    answer = await recommend(service, user="u")
    assert [(i["item_id"], i["reason"]) for i in answer["items"]] == [("vector", "taste"), ("none", "fresh")]


async def test_withdrawn_items_are_never_answered() -> None:
    service = filled()
    service.features.taste("u", (1, 0, 0, 0))
    service.tell(item("warm0", (), change="withdrawn", seq=2))
    assert "warm0" not in ids(await recommend(service, user="u", limit=50))
    async with service.client() as client:
        ranked = await client.post("/v1/rank", json={"user": "u", "item_ids": ["warm0", "warm1"]})
    assert ids(ranked.json()) == ["warm1"]
    assert (await get(service, "/v1/similar/warm0")).status_code == 404


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"user": ""},
        {"user": "a/b"},
        {"user": "x" * 129},
        {"user": "u", "limit": 0},
        {"user": "u", "limit": 201},
        {"user": "u", "limit": "many"},
        {"user": "u", "limit": "9" * 5000},
        {"user": "u", "kind": "unknown"},
        {"user": "u", "own": "perhaps"},
        {"user": "u", "place": "none"},
        {"user": "u", "place": ["moment", "cellar"]},
    ],
)
async def test_bad_parameters(params: dict) -> None:
    answer = await get(Service(), "/v1/recommendations", **params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid-parameter"


async def test_recall_gives_candidates_of_both_partitions() -> None:
    service = filled()
    service.features.taste("u", (1, 0, 0, 0))
    async with service.client() as client:
        answer = (await client.post("/v1/recall", json={"user": "u", "limit": 12})).json()
        audio = (await client.post("/v1/recall", json={"user": "u", "limit": 12, "kind": "audio"})).json()
    assert [i["cold"] for i in answer["items"]].count(True) == 3
    assert len(set(ids(answer))) == 12
    assert len(ids(audio)) == 4


async def test_rank_orders_and_names_the_unknown() -> None:
    service = filled()
    service.features.taste("u", (1, 0, 0, 0))
    asked = {"user": "u", "item_ids": ["cold0", "ghost", "warm0", "warm0"]}
    async with service.client() as client:
        answer = (await client.post("/v1/rank", json=asked)).json()
    assert ids(answer) == ["warm0", "cold0"]
    assert answer["unknown"] == ["ghost"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/recall", {}),
        ("/v1/recall", {"user": "u", "limit": 2001}),
        ("/v1/recall", {"user": "u", "limit": "5"}),
        ("/v1/recall", {"user": "u", "kind": "song"}),
        ("/v1/recall", []),
        ("/v1/rank", {"user": "u", "item_ids": []}),
        ("/v1/rank", {"user": "u", "item_ids": ["x"] * 1001}),
        ("/v1/rank", {"user": "u", "item_ids": "abc"}),
        ("/v1/rank", {"user": "u", "item_ids": [1]}),
        ("/v1/rank", {"user": "u", "item_ids": ["a"], "more": 1}),
    ],
)
async def test_bad_bodies(path: str, body: object) -> None:
    async with Service().client() as client:
        answer = await client.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-body")


async def test_similar_items_leave_the_item_itself_out() -> None:
    answer = await get(filled(), "/v1/similar/warm0", limit=3)
    assert ids(answer.json()) == ["warm1", "warm2", "warm3"]
    assert {i["reason"] for i in answer.json()["items"]} == {"similar"}


async def test_the_durable_index_is_asked_for_what_the_snapshot_lacks() -> None:
    service = filled()
    y = np.asarray((0, 1, 0, 0), np.float32)
    rows = [VectorRow("elsewhere", y, {"vector_version": VERSION}), VectorRow("old", y, {"vector_version": "joint-0"})]
    await service.vectors.upsert("content_joint", rows)
    assert ids((await get(service, "/v1/similar/elsewhere", limit=1)).json()) == ["cold0"]
    for unknown in ("old", "ghost"):
        answer = await get(service, f"/v1/similar/{unknown}")
        assert (answer.status_code, answer.json()["code"]) == (404, "item-unknown")


async def test_features() -> None:
    service = filled()
    service.features.taste("u", (1, 0.5, 0, 0), recent=["a"])
    row = (await get(service, "/v1/features/user_taste_v1/u")).json()
    assert row["entity_id"] == "u"
    assert row["at"] == "2026-11-21T08:00:00Z"
    assert row["values"]["vector"] == [1.0, 0.5, 0.0, 0.0]
    assert unpacked(base64.b64decode(row["values"]["last_plays"])).items == ["a"]
    for path, status, code in (
        ("user_taste_v1/ghost", 404, "feature-missing"),
        ("no_view/u", 404, "view-unknown"),
    ):
        answer = await get(service, f"/v1/features/{path}")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    service.features.away = True
    assert (await get(service, "/v1/features/user_taste_v1/u")).status_code == 503


@pytest.mark.parametrize(
    ("limit", "share", "places"), [(20, 0.25, 5), (2, 0.1, 1), (1, 0.25, 0), (1, 1.0, 1), (10, 0.0, 0), (3, 1.0, 3)]
)
def test_quota(limit: int, share: float, places: int) -> None:
    assert quota(limit, share) == places


def candidates(n: int, cold: list[bool], scores: list[float]) -> Candidates:
    zeros = np.zeros(n, np.int64)
    return Candidates(
        ids=np.array([f"i{k}" for k in range(n)], dtype=object),
        kind=zeros.astype(np.int8),
        cold=np.array(cold),
        similarity=np.zeros(n, np.float32),
        score=np.array(scores, np.float32),
        reason=zeros.astype(np.int8),
        published_ms=zeros + int((NOW - timedelta(days=365)).timestamp() * 1000),
        plays=zeros.copy(),
        completions=zeros.copy(),
        decayed=np.zeros(n),
        played_ms=zeros.copy(),
    )


def test_choose_keeps_places_but_no_more_than_there_are() -> None:
    found = candidates(5, [False, False, False, True, True], [5, 4, 3, 2, 1])
    assert list(choose(found, 3, 0.3).ids) == ["i0", "i1", "i3"]
    assert list(choose(found, 3, 1.0).ids) == ["i0", "i3", "i4"]
    assert list(choose(found, 3, 0.0).ids) == ["i0", "i1", "i2"]
    assert len(choose(found.take(np.array([], dtype=np.int64)), 3, 0.5)) == 0


async def test_the_baseline_score_is_the_documented_one() -> None:
    found = candidates(4, [True] * 4, [0] * 4)
    found.similarity[1] = 0.5
    found.decayed[2], found.played_ms[2] = 2000.0, int(NOW.timestamp() * 1000)
    found.published_ms[3] = int((NOW - timedelta(hours=72)).timestamp() * 1000)
    scores = await BaselineRanker(72.0).rank(UserContext("u"), found, NOW)
    assert scores == pytest.approx([0.0, 0.5, 0.3, 0.1], abs=1e-4)
