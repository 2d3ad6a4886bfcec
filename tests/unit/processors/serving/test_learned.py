"""Recall and lists in a recommender's space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.last_plays import LastPlays
from features.ports import FeatureRow
from features.views import USER_PROFILE, USER_TASTE
from processors.runtime.experiment_settings import ArmParameters, Experiment, ExperimentArm, Experiments
from processors.runtime.settings import Recommend as RecommendSettings
from processors.runtime.settings import Settings
from processors.serving.candidates import REASONS
from processors.serving.diversity import maximal_marginal_relevance
from processors.serving.learned_keeper import LearnedKeeper
from processors.serving.learned_space import LearnedSpace
from processors.serving.learned_user import LearnedUsers
from processors.serving.user_reader import UserContext
from schemas.common import Label
from tests.fakes.recommender import FakeRecommender
from tests.fakes.serving import NOW, Service, counted, item


def labelled(item_id: str, *names: str, **changes):
    return item(item_id, labels=tuple(Label(name=name, score=1.0) for name in names), **changes)


def service(recommender: FakeRecommender | None = None, settings: Settings | None = None) -> Service:
    """Two warm and two cold items of rock and jazz each, one folk song without plays, and one of no label."""
    made = Service(settings=settings or Settings())
    for name in ("rock", "jazz"):
        for number in range(2):
            made.tell(labelled(f"{name}-warm-{number}", name))
            made.tell(counted(f"{name}-warm-{number}", 50))
            made.tell(labelled(f"{name}-cold-{number}", name))
    made.tell(labelled("folk-cold", "folk", kind="audio"))
    made.tell(item("plain"))
    if recommender is not None:
        made.keeper = LearnedKeeper(made.catalogue, lambda: recommender)
        made.keeper.step()
    return made


def plays(made: Service, user: str, *items: str) -> None:
    played = LastPlays.of(list(reversed(items)), [1.0] * len(items), list(range(len(items))))
    values = {"plays": len(items), "last_plays": played.packed()}
    made.features.rows[USER_TASTE.name, user] = FeatureRow(user, NOW, values)


async def ask(made: Service, **query: object) -> dict:
    async with made.client() as client:
        answer = await client.get("/v1/recommendations", params={"user": "u", **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


TRAINED = {
    **{f"rock-warm-{number}": (1.0, 0.0, 0.0) for number in range(2)},
    **{f"jazz-warm-{number}": (0.0, 1.0, 0.0) for number in range(2)},
}


async def test_trained_items_are_learned_others_mapped_and_the_rest_filled_up() -> None:
    made = service(FakeRecommender(trained=TRAINED, boundary=0.5))
    plays(made, "u", "rock-warm-0")
    found = await ask(made, limit=6)
    reasons = {each["item_id"]: each["reason"] for each in found["items"]}
    assert reasons["rock-warm-1"] == "learned"
    assert reasons["rock-cold-0"] == reasons["rock-cold-1"] == "mapped"
    # nowhere in the space: the baseline fills up with it; under the boundary: in no answer
    assert reasons["plain"] in {"taste", "fresh"}
    assert not {"jazz-cold-0", "jazz-cold-1", "folk-cold"} & set(reasons)
    assert "rock-warm-0" not in reasons
    assert found["model_version"] == "r-1"


async def test_recall_holds_the_quota_and_the_boundary() -> None:
    made = service(FakeRecommender(boundary=0.5))
    plays(made, "u", "rock-warm-0")
    async with made.client() as client:
        answer = (await client.post("/v1/recall", json={"user": "u", "limit": 4})).json()
    assert [each["item_id"] for each in answer["items"] if each["cold"]] == ["rock-cold-0"]
    made = service(FakeRecommender(boundary=1.5))
    plays(made, "u", "rock-warm-0")
    async with made.client() as client:
        answer = (await client.post("/v1/recall", json={"user": "u", "limit": 4})).json()
    assert {each["item_id"] for each in answer["items"] if each["cold"]} <= {"plain"}


async def test_what_the_boundary_refuses_fills_a_list_that_is_too_short() -> None:
    made = service(FakeRecommender(trained=TRAINED, boundary=0.5))
    plays(made, "u", "rock-warm-0")
    reasons = {each["item_id"]: each["reason"] for each in (await ask(made, limit=8))["items"]}
    assert len(reasons) == 8
    assert {reasons[item] for item in ("jazz-cold-0", "jazz-cold-1", "folk-cold") if item in reasons} == {"taste"}


async def test_where_the_boundary_refuses_all_there_is_they_are_better_than_nothing() -> None:
    made = Service()
    for number in range(3):
        made.tell(labelled(f"rock-{number}", "rock"))
    LearnedKeeper(made.catalogue, lambda: FakeRecommender(boundary=9.0)).step()
    assert len((await ask(made, limit=3))["items"]) == 3


async def test_without_plays_the_profile_decides() -> None:
    made = service(FakeRecommender())
    assert (await ask(made, limit=1))["items"][0]["item_id"] == "jazz-warm-0"
    made.features.rows[USER_PROFILE.name, "u"] = FeatureRow("u", NOW, {"gender": "female"})
    async with made.client() as client:
        answer = await client.post("/v1/recall", json={"user": "u", "limit": 2})
    assert answer.json()["items"][0]["item_id"] == "folk-cold"


def test_a_user_is_placed_once_a_request_and_anew_for_the_next() -> None:
    catalogue = service(FakeRecommender(trained=TRAINED)).catalogue
    space, users = catalogue.learned, LearnedUsers(catalogue)
    assert space is not None
    user = UserContext("u", played=("rock-warm-0",), completion=(1.0,), space=space)
    placed = users.place(space, user, NOW)
    assert users.place(space, user, NOW) is placed
    assert placed.vector.tolist() == [1.0, 0.0, 0.0]
    following = replace(user, played=("jazz-warm-0",))
    assert users.place(space, following, NOW).vector.tolist() == [0.0, 1.0, 0.0]
    assert users.place(space, user, NOW).vector.tolist() == [1.0, 0.0, 0.0]


async def test_before_a_recommender_is_published_the_baseline_answers() -> None:
    made = service()
    plays(made, "u", "rock-warm-0")
    found = await ask(made, limit=20)
    assert not {each["reason"] for each in found["items"]} & {"learned", "mapped"}
    assert found["model_version"] == ""


def test_a_new_version_answers_only_when_every_item_is_in_it() -> None:
    old, new = FakeRecommender("r-1"), FakeRecommender("r-2")
    made = service()
    active = [old]
    keeper = LearnedKeeper(made.catalogue, lambda: active[0])
    keeper.step()
    assert made.catalogue.learned.version == "r-1"
    active[0] = new
    while_filling = []
    mapping = new.map

    def watched(content):
        while_filling.append(made.catalogue.learned.version)
        return mapping(content)

    new.map = watched
    keeper.step()
    assert set(while_filling) == {"r-1"}
    assert made.catalogue.learned.version == "r-2"
    assert not len(made.catalogue.unmapped(made.catalogue.learned, 10))
    # the one before is kept up for requests under way, those before it are not
    assert [space.version for space in made.catalogue._learned] == ["r-1", "r-2"]
    active[0] = FakeRecommender("r-3")
    keeper.step()
    assert [space.version for space in made.catalogue._learned] == ["r-2", "r-3"]


def test_a_version_that_fails_is_made_once_and_the_one_in_use_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    old, broken = FakeRecommender("r-1"), FakeRecommender("r-2")
    made = service()
    active = [old]
    keeper = LearnedKeeper(made.catalogue, lambda: active[0])
    keeper.step()
    active[0] = broken
    mapping, batches = broken.map, []

    def failing(content):
        if len(content.ids):
            batches.append(len(content.ids))
            if len(batches) > 1:
                raise ValueError("broken")
        return mapping(content)

    broken.map = failing
    for number in range(100):
        made.tell(labelled(f"more-{number}", "rock"))
    for _ in range(4):
        with pytest.raises(ValueError, match="broken"):
            keeper.step()
    assert [space.version for space in made.catalogue._learned] == ["r-1", "r-2"]
    # its first batch was followed by one of the space in use
    assert made.catalogue.placed(made.catalogue.learned, "more-0") is not None


def test_a_space_in_use_before_there_are_items_knows_how_wide_everything_is() -> None:
    made = Service()
    LearnedKeeper(made.catalogue, FakeRecommender).step()
    made.tell(labelled("first", "rock"))
    places, columns = made.catalogue.columns_of(made.catalogue.learned, ["first", "none"], 0)
    assert places.tolist() == [0]
    assert (columns.tagged.shape, columns.codes.shape) == ((1, 3), (1, 1))
    assert columns.row.tolist() == [-1]


def test_rows_that_the_keeper_has_not_seen_yet_can_be_asked_for() -> None:
    made = service(FakeRecommender())
    for number in range(600):
        made.tell(labelled(f"more-{number}", "rock"))
    _, columns = made.catalogue.columns_of(made.catalogue.learned, ["more-599"], 0)
    assert (columns.row.tolist(), columns.vector.any()) == ([-1], False)
    assert made.catalogue.placed(made.catalogue.learned, "more-599") is None


def test_an_item_that_changes_while_it_is_mapped_waits_again() -> None:
    made = service()
    space = LearnedSpace(FakeRecommender())
    made.catalogue.keep_learned(space)
    made.catalogue.use_learned(space)
    waiting = made.catalogue.unmapped(space, 100)
    made.tell(labelled("folk-cold", "jazz", seq=2, kind="audio"))
    made.tell(item("plain", (), change="withdrawn", seq=2))
    made.catalogue.take_mapped(space, waiting, space.recommender.map(waiting.content))
    assert made.catalogue.unmapped(space, 100).content.ids == ["folk-cold"]
    assert made.catalogue.placed(space, "plain") is None


def test_a_row_that_another_item_gets_is_not_found_by_the_old_vector() -> None:
    made = service(FakeRecommender())
    space = made.catalogue.learned
    made.tell(item("folk-cold", (), change="withdrawn", seq=2))
    assert made.catalogue.placed(space, "folk-cold") is None
    made.tell(labelled("new", "rock"))
    assert made.catalogue.placed(space, "new") is None
    _, columns = made.catalogue.columns_of(space, ["new"], 0)
    assert (columns.row.tolist(), columns.tagged.any(), columns.codes.tolist()) == ([-1], False, [[-1]])
    made.keeper.step()
    assert made.catalogue.placed(space, "new").vector.tolist() == [1, 0, 0]


async def test_why_an_item_is_offered() -> None:
    made = service(FakeRecommender(trained={"rock-warm-1": (0.8, 0.6, 0.0)}, boundary=0.25))
    plays(made, "u", "rock-warm-0", "jazz-warm-0")
    async with made.client() as client:
        cold = (await client.get("/v1/explanations/rock-cold-0", params={"user": "u"})).json()
        warm = (await client.get("/v1/explanations/rock-warm-1", params={"user": "u"})).json()
        missing = await client.get("/v1/explanations/plain", params={"user": "u"})
    assert cold["score"] == pytest.approx(0.5)
    assert (cold["boundary"], cold["cold"], cold["source"]) == (0.25, True, "content")
    assert cold["parts"] == {"tags": 1.5}
    assert {"item_id": "rock-cold-1", "likeness": 1.0} in cold["neighbours"]
    assert "rock-cold-0" not in [each["item_id"] for each in cold["neighbours"]]
    assert cold["played"][0] == {"item_id": "rock-warm-0", "likeness": 1.0}
    assert (warm["source"], warm["parts"], warm["cold"]) == ("trained", {}, False)
    assert (missing.status_code, missing.json()["code"]) == (404, "item-unplaced")


async def test_a_surface_has_its_kinds_and_an_unknown_one_is_refused() -> None:
    made = service(FakeRecommender())
    found = await ask(made, surface="personal-stream")
    assert [each["item_id"] for each in found["items"]] == ["folk-cold"]
    async with made.client() as client:
        answer = await client.get("/v1/recommendations", params={"user": "u", "surface": "cellar"})
    assert (answer.status_code, answer.json()["code"]) == (422, "surface-unknown")
    assert "daily-list" in answer.json()["detail"]


async def test_a_playlist_is_continued_from_its_own_items() -> None:
    made = service(FakeRecommender())
    plays(made, "u", "jazz-warm-0")
    found = await ask(made, limit=20, seed=["rock-warm-0", "rock-cold-0"])
    ids = [each["item_id"] for each in found["items"]]
    assert ids[0] in {"rock-warm-1", "rock-cold-1"}
    assert not {"rock-warm-0", "rock-cold-0", "jazz-warm-0"} & set(ids)


async def test_every_list_is_noted_with_the_arms_that_made_it() -> None:
    halves = (
        ExperimentArm(name="as-before", buckets=((0, 500),), parameters=ArmParameters(recaller="content")),
        ExperimentArm(name="new", buckets=((500, 1000),), parameters=ArmParameters(recaller="learned")),
    )
    experiment = Experiment(name="learned-recall", layer="recall", arms=halves, control="as-before")
    made = service(FakeRecommender(trained=TRAINED), Settings(experiments=Experiments(defined=(experiment,))))
    reasons: dict[str, set[str]] = {"as-before": set(), "new": set()}
    for number in range(30):
        found = await ask(made, user=f"u-{number}", limit=3)
        served = made.served[-1]
        assert served.request_id == found["request_id"]
        assert [each.item_id for each in served.items] == [each["item_id"] for each in found["items"]]
        assert {each.propensity for each in served.items} == {1.0}
        arm = next(each.arm for each in served.arms if each.layer == "recall")
        reasons[arm] |= {each.reason for each in served.items}
    assert reasons["as-before"] <= {"popular", "fresh"}
    assert reasons["new"] >= {"learned", "mapped"}


async def test_an_arm_that_explores_logs_the_chances() -> None:
    arms = (
        ExperimentArm(name="all", buckets=((0, 999),), parameters=ArmParameters(explore=1.0)),
        ExperimentArm(name="none", buckets=((999, 1000),)),
    )
    experiment = Experiment(name="explore", layer="mechanism", arms=arms, control="none")
    made = service(FakeRecommender(boundary=-1.0), Settings(experiments=Experiments(defined=(experiment,))))
    seen = set()
    for number in range(20):
        await ask(made, user=f"u-{number}", limit=4)
        for each in made.served[-1].items:
            if each.cold:
                seen.add(each.item_id)
                assert 0.0 < each.propensity <= 1.0
            else:
                assert each.propensity == 1.0
    assert len(seen) > 3


def test_marginal_relevance_puts_the_like_apart() -> None:
    score = np.float32([1.0, 0.9, 0.8, 0.1])
    vectors = np.float32([[1, 0], [1, 0], [0, 1], [0, 0]])
    assert maximal_marginal_relevance(score, vectors, 1.0, 4).tolist() == [0, 1, 2, 3]
    assert maximal_marginal_relevance(score, vectors, 0.5, 4).tolist() == [0, 2, 3, 1]
    assert maximal_marginal_relevance(score, vectors, 0.0, 2).tolist() == [0, 2]
    assert maximal_marginal_relevance(score[:0], vectors[:0], 0.5, 3).tolist() == []
    assert maximal_marginal_relevance(np.float32([2, 2]), vectors[:2], 0.7, 5).tolist() == [0, 1]


async def test_the_cheap_order_before_the_ranker_follows_the_recommender_too() -> None:
    made = service(FakeRecommender(), Settings(recommend=RecommendSettings(ranked=3, cold_share=0.0)))
    for number in range(30):
        made.tell(labelled(f"hit-{number}", "rock"))
        made.tell(counted(f"hit-{number}", 5000))
    made.keeper.step()
    plays(made, "u", "jazz-warm-0")
    found = await ask(made, limit=3)
    assert {each["item_id"] for each in found["items"]} <= {"jazz-warm-1", "jazz-cold-0", "jazz-cold-1"}


async def test_ranking_puts_what_it_does_not_score_below_in_order() -> None:
    made = service(FakeRecommender(), Settings(recommend=RecommendSettings(ranked=2)))
    plays(made, "u", "jazz-warm-0")
    ids = ["rock-warm-0", "jazz-cold-0", "folk-cold", "jazz-warm-1", "unknown"]
    async with made.client() as client:
        answer = (await client.post("/v1/rank", json={"user": "u", "item_ids": ids})).json()
    scores = [each["score"] for each in answer["items"]]
    assert {each["item_id"] for each in answer["items"][:2]} == {"jazz-cold-0", "jazz-warm-1"}
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores[1:])) == 3
    assert answer["unknown"] == ["unknown"]


async def test_a_request_is_answered_by_one_version_though_another_comes_into_use_meanwhile() -> None:
    made = service(FakeRecommender("r-1"))
    plays(made, "u", "rock-warm-0")
    active = FakeRecommender("r-2", dim=5)
    read = made.features.read

    async def slow(view, entity_ids):
        answer = await read(view, entity_ids)
        LearnedKeeper(made.catalogue, lambda: active).step()
        return answer

    made.features.read = slow
    async with made.client() as client:
        explained = await client.get("/v1/explanations/rock-cold-0", params={"user": "u"})
    assert explained.json()["model_version"] == "r-2"
    found = await ask(made)
    assert found["model_version"] == made.served[-1].model_version == "r-2"


@pytest.mark.parametrize(("told", "kept"), [(None, 0), (1999, 1999), (40_000, 0), (-3, 0)])
def test_a_year_that_is_none_is_unknown(told: int | None, kept: int) -> None:
    made = service(FakeRecommender())
    made.tell(labelled("odd", "rock", release_year=told))
    _, columns = made.catalogue.columns_of(made.catalogue.learned, ["odd"], 0)
    assert columns.year.tolist() == [kept]


def test_the_reasons_are_known_to_the_contract_of_answers() -> None:
    assert {"learned", "mapped"} <= set(REASONS)
