"""The demo's steps against a service in memory."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from infra.demo import screen
from infra.demo.checks import failures
from infra.demo.client import Service
from infra.demo.errors import DemoError
from infra.demo.journal import Journal
from infra.demo.material import LISTENERS
from infra.demo.scenario import WITHDRAWN, Scenario
from infra.demo.tracks import Run
from tests.unit.infra.demo.fake_service import FakeService

Build = Callable[[Service], Scenario]


async def finished(service: FakeService, scenario_of: Build) -> Scenario:
    async with Service("http://demo", service.transport()) as client:
        scenario = scenario_of(client)
        await scenario.wait_ready()
        await scenario.tidy()
        await scenario.upload_all()
        await scenario.wait_labels()
        await scenario.play()
        await scenario.withdraw()
    return scenario


async def test_a_good_run_has_no_failures(service: FakeService, scenario_of: Build) -> None:
    run = (await finished(service, scenario_of)).run
    assert failures(run) == []
    assert run.withdrawal is not None
    assert run.withdrawal.track.item.key == WITHDRAWN
    assert all(track.recallable_s is not None for track in run.published)
    assert len(service.plays) == sum(len(listener.plays) for listener in LISTENERS)


async def test_what_happened_is_in_the_log(service: FakeService, scenario_of: Build, journal: Journal) -> None:
    scenario = await finished(service, scenario_of)
    journal.show(screen.ways(scenario.run), screen.recall_times(scenario.run))
    for heard in scenario.run.heard:
        journal.show(screen.tastes(heard, scenario.run, scenario.titles))
    log = journal.file.read_text()
    assert "title of abuse: rejected text-blocked: Because." in log
    assert "title of notes: refused with 415 media-type" in log
    assert screen.UNPLAYED in log
    assert "Recallable after" in log


async def test_503_is_tried_again_with_the_same_key(service: FakeService, scenario_of: Build) -> None:
    service.unavailable = 2
    run = (await finished(service, scenario_of)).run
    assert failures(run) == []
    assert len(service.uploads) == len([track for track in run.tracks.values() if track.media_id])


async def test_a_second_run_withdraws_the_first_and_is_good_too(service: FakeService, scenario_of: Build) -> None:
    first = (await finished(service, scenario_of)).run
    second = (await finished(service, scenario_of)).run
    assert failures(second) == []
    assert not first.by_media_id().keys() & second.by_media_id().keys()
    assert {service.uploads[media_id].state for media_id in first.by_media_id()} == {"deleted"}


async def test_a_service_that_is_away_is_an_error(scenario_of: Build) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with Service("http://demo", httpx.MockTransport(away)) as client:
        with pytest.raises(DemoError, match="not ready: service"):
            await scenario_of(client).wait_ready()


async def test_a_service_that_breaks_off_is_one_error(service: FakeService, scenario_of: Build) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/recall":
            return httpx.Response(500, json={"status": 500, "code": "internal"})
        return service.transport().handler(request)  # type: ignore[return-value]

    async with Service("http://demo", httpx.MockTransport(broken)) as client:
        with pytest.raises(DemoError, match="/v1/recall: 500"):
            await scenario_of(client).upload_all()


async def found_failures(service: FakeService, scenario_of: Build) -> list[str]:
    run: Run = (await finished(service, scenario_of)).run
    return failures(run)


async def test_a_wrong_reason_fails(service: FakeService, scenario_of: Build) -> None:
    service.rejected["title of abuse"] = "media-silent"
    assert await found_failures(service, scenario_of) == [
        "title of abuse: rejected for media-silent, text-blocked was expected"
    ]


async def test_a_good_item_that_is_rejected_fails(service: FakeService, scenario_of: Build) -> None:
    service.rejected["title of bach"] = "image-nsfw"
    found = await found_failures(service, scenario_of)
    assert found[0] == "title of bach: rejected (image-nsfw), published was expected"


async def test_an_item_in_review_fails_and_another_is_withdrawn(service: FakeService, scenario_of: Build) -> None:
    service.in_review.add(f"title of {WITHDRAWN}")
    scenario = await finished(service, scenario_of)
    found = failures(scenario.run)
    assert found == [f"title of {WITHDRAWN}: review (no reason), published was expected"]
    assert scenario.run.withdrawal is not None
    assert scenario.run.withdrawal.track.item.key not in scenario.run.played


async def test_an_abusive_post_that_is_published_fails(service: FakeService, scenario_of: Build) -> None:
    service.rejected.clear()
    found = await found_failures(service, scenario_of)
    assert "title of abuse: published (no reason), rejected was expected" in found
    assert "title of abuse: was in an answer of recall although it was not published" in found


async def test_a_withdrawn_item_that_stays_fails(service: FakeService, scenario_of: Build) -> None:
    service.keeps_withdrawn = True
    assert await found_failures(service, scenario_of) == [f"title of {WITHDRAWN}: withdrawn, but still in answers"]


async def test_the_wrong_taste_fails(service: FakeService, scenario_of: Build) -> None:
    service.lists["anna"] = ["title of carphone"]
    found = await found_failures(service, scenario_of)
    assert found == [
        "anna likes piano and strings: the best unplayed item is carphone, one of bach, haydn was expected"
    ]


async def test_a_recommender_says_why_it_placed_an_item(
    service: FakeService, scenario_of: Build, journal: Journal
) -> None:
    service.version = "20261121-170000-0a1b2c3d"
    run = (await finished(service, scenario_of)).run
    assert failures(run) == []
    for heard in run.heard:
        journal.show(screen.tastes(heard, run, {}))
    said = " ".join(journal.file.read_text().split())
    assert "nobody has played it, so its content placed it (by weight: audio 0.80); score 0.70, above" in said


async def test_a_recommender_without_a_reason_fails(service: FakeService, scenario_of: Build) -> None:
    service.version, service.parts = "20261121-170000-0a1b2c3d", {}
    found = await found_failures(service, scenario_of)
    assert found[0].endswith("the reason of its place names no part of its content or no neighbour")
