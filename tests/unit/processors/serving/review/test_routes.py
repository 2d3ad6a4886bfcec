"""The queue over HTTP: who is given what, what is shown, and what is taken."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from processors.serving.gate import guarded
from processors.serving.review import examples
from schemas.common import Likeness
from schemas.review import ReviewActed
from schemas.topics import REVIEW_CASE
from tests.fakes.serving import NOW, Service
from tests.unit.processors.serving.review.queue import Queue, picture, request


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


async def test_the_console_learns_what_it_needs_before_a_login(queue: Queue) -> None:
    found = (await queue.call("", "GET", "/config")).json()
    assert (found["login_required"], found["oidc"], found["lease_s"]) == (True, None, 300)
    assert {each["code"] for each in found["reasons"]["media"]} >= {"image-nsfw", "text-blocked", "public-figure"}
    assert found["reasons"]["ring"][0] == {"code": "fraud-ring", "text": "Several accounts show the same face."}


async def test_who_somebody_is_to_the_queue(queue: Queue) -> None:
    assert (await queue.call("ada", "GET", "/me")).json() == {"moderator": queue.names["ada"], "senior": False}
    assert (await queue.call("sue", "GET", "/me")).json() == {"moderator": queue.names["sue"], "senior": True}


async def test_bodies_have_the_shapes_that_the_documentation_shows(queue: Queue) -> None:
    await queue.settle(request("r1"))

    def shape(value: Any) -> Any:
        match value:
            case dict():
                return {name: shape(each) for name, each in value.items()}
            case list():
                return [shape(value[0])] if value else []
            case _:
                return None

    documented = json.loads(json.dumps(examples.CASE))
    whole = (await queue.call("ada", "POST", "/next", {})).json()
    assert shape(whole | {"scores": documented["scores"]}) == shape(documented)
    listed = (await queue.call("bob", "GET", "/cases")).json()
    assert shape(listed) == shape(json.loads(json.dumps(examples.CASES)))
    accepted = (await queue.act("ada", "r1", "reject", "avatar-blurred")).json()
    assert shape(accepted) == shape(examples.ACCEPTED)


async def test_two_moderators_never_get_the_same_case(queue: Queue) -> None:
    await queue.settle(*(request(f"r{n}", uncertainty=n / 10) for n in range(6)))
    given = await asyncio.gather(*[queue.next(who) for who in ("ada", "bob", "eve", "ada", "bob", "eve", "sue")])
    assert sorted(given) == ["", "r0", "r1", "r2", "r3", "r4", "r5"]
    listed = (await queue.call("ada", "GET", "/cases")).json()["cases"]
    assert sorted(each["leased_by"] for each in listed) == ["me", "me", "other", "other", "other", "other"]


async def test_the_most_important_comes_first_and_only_of_the_subjects_asked_for(queue: Queue) -> None:
    await queue.settle(
        request("doubt", uncertainty=0.9),
        request("plain", uncertainty=0.1),
        request("media", subject="media", uncertainty=0.0),
        request("old", age_s=20_000, uncertainty=0.0),
    )
    listed = (await queue.call("ada", "GET", "/cases?limit=3")).json()
    assert [each["review_id"] for each in listed["cases"]] == ["old", "doubt", "plain"]
    assert listed["counts"] == {"waiting": 4, "second": 0, "escalated": 0, "decided": 0, "withdrawn": 0}
    assert await queue.next("ada", subjects=["media"]) == "media"
    assert await queue.next("ada", subjects=["ring"]) == ""
    assert [await queue.next("bob", subjects=None) for _ in range(4)] == ["old", "doubt", "plain", ""]


async def test_a_decision_is_published_once_and_shown_when_it_is_settled(queue: Queue) -> None:
    await queue.settle(request("r1"))
    assert await queue.next("ada") == "r1"
    answer = await queue.act("ada", "r1", "reject", "avatar-blurred", key="k", note="clear")
    assert (answer.status_code, answer.json()["state"]) == (202, "decided")
    (acted,) = queue.acted
    assert (acted.moderator, acted.action, acted.reasons, acted.note) == (
        queue.names["ada"],
        "reject",
        ("avatar-blurred",),
        "clear",
    )
    # being settled: given to nobody, and a repeat is the same event
    assert await queue.next("bob") == ""
    queue.service.now += timedelta(seconds=3)
    again = await queue.act("ada", "r1", "reject", "avatar-blurred", key="k", note="clear")
    assert again.json() == answer.json()
    assert queue.acted == [acted, acted]
    assert code(await queue.act("ada", "r1", "reject", "avatar-dark", key="k")) == (422, "idempotency-mismatch")
    assert code(await queue.act("ada", "r1", "approve")) == (409, "case-acted")
    await queue.settle()
    found = (await queue.call("ada", "GET", "/cases/r1")).json()
    assert (found["state"], found["decision"], found["votes"][0]["by"]) == ("decided", "reject", "me")
    assert {each["why"] for each in found["means"].values()} == {"case-closed"}
    repeated = await queue.act("ada", "r1", "reject", "avatar-blurred", key="k", note="clear")
    assert (repeated.status_code, repeated.json()) == (202, answer.json())
    assert code(await queue.act("ada", "r1", "approve", key="k")) == (422, "idempotency-mismatch")
    assert code(await queue.act("bob", "r1", "approve")) == (409, "case-closed")
    closed = (await queue.call("bob", "GET", "/cases?state=decided")).json()
    assert [(each["review_id"], each["decision"]) for each in closed["cases"]] == [("r1", "reject")]


async def test_an_override_needs_a_second_look_that_does_not_see_the_first(queue: Queue) -> None:
    await queue.settle(request("r1", proposed="reject"))
    means = (await queue.call("ada", "GET", "/cases/r1")).json()["means"]
    assert means["approve"] == {"allowed": True, "state": "second", "needs_second": True, "why": ""}
    assert (await queue.act("ada", "r1", "approve", note="sharp")).json()["state"] == "second"
    await queue.settle()
    assert await queue.next("ada") == ""
    assert code(await queue.act("ada", "r1", "approve")) == (409, "case-own-vote")
    assert await queue.next("bob") == "r1"
    seen = (await queue.call("bob", "GET", "/cases/r1")).json()
    assert seen["proposed"] is None
    assert seen["votes"] == [
        {"by": "other", "action": None, "reasons": [], "note": "", "at": NOW.isoformat().replace("+00:00", "Z")}
    ]
    assert seen["means"]["approve"] == seen["means"]["reject"]
    answer = await queue.act("bob", "r1", "reject", "avatar-blurred")
    assert answer.json()["state"] is None
    await queue.settle()
    assert await queue.next("eve") == ""
    assert code(await queue.act("eve", "r1", "approve")) == (403, "senior-needed")
    assert await queue.next("sue") == "r1"
    shown = (await queue.call("sue", "GET", "/cases/r1")).json()
    assert [vote["action"] for vote in shown["votes"]] == ["approve", "reject"]
    assert (await queue.act("sue", "r1", "approve")).status_code == 202
    await queue.settle()
    assert (await queue.call("ada", "GET", "/cases/r1")).json()["decision"] == "approve"


async def test_a_case_given_back_goes_to_others_and_comes_back_later(queue: Queue) -> None:
    await queue.settle(request("r1"))
    assert await queue.next("ada") == "r1"
    assert (await queue.call("ada", "POST", "/cases/r1/release")).status_code == 204
    assert await queue.next("ada") == ""
    assert await queue.next("bob") == "r1"
    await queue.call("bob", "POST", "/cases/r1/release")
    queue.service.now += timedelta(seconds=601)
    assert await queue.next("ada") == "r1"


async def test_a_lease_ends_by_itself_and_can_be_kept(queue: Queue) -> None:
    await queue.settle(request("r1"))
    assert (await queue.call("ada", "POST", "/cases/r1/lease")).json()["lease"]["by"] == "me"
    queue.service.now += timedelta(seconds=200)
    assert (await queue.call("ada", "POST", "/cases/r1/lease")).status_code == 200
    queue.service.now += timedelta(seconds=200)
    assert code(await queue.call("bob", "POST", "/cases/r1/lease")) == (409, "case-leased")
    assert code(await queue.act("bob", "r1", "approve")) == (409, "case-leased")
    queue.service.now += timedelta(seconds=101)
    assert await queue.next("bob") == "r1"
    assert code(await queue.act("ada", "r1", "approve")) == (409, "case-leased")


async def test_pictures_are_those_of_the_case_only(queue: Queue) -> None:
    await queue.settle(request("r1"))
    answer = await queue.call("ada", "GET", "/cases/r1/pictures/0")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"crop", "image/webp")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    near = await queue.call("ada", "GET", "/cases/r1/nearest/0")
    assert (near.content, near.headers["content-type"]) == (b"near", "image/jpeg")
    for path in ("/cases/r1/pictures/1", "/cases/r1/nearest/1", "/cases/r1/pictures/-1"):
        assert code(await queue.call("ada", "GET", path)) == (404, "picture-unknown")
    assert (await queue.call("ada", "GET", "/cases/r1/pictures/..%2F0")).status_code in (404, 422)
    assert code(await queue.call("ada", "GET", "/cases/other/pictures/0")) == (404, "case-unknown")


async def test_what_is_no_picture_of_ours_is_not_shown(queue: Queue) -> None:
    objects = queue.service.objects.data
    for number, (shown, held) in enumerate(
        (
            (picture(b"crop", "text/html"), b"crop"),
            (picture(b"crop", "image/svg+xml"), b"crop"),
            (picture(b"crop"), b"<script>"),
            (picture(b"crop"), None),
            (dataclasses.replace(picture(b"crop"), size_bytes=2**40), b"crop"),
        )
    ):
        objects.pop(shown.key, None)
        if held is not None:
            objects[shown.key] = held
        nobody = Likeness(person="p", likeness=0.5)
        await queue.settle(request(f"r{number}", pictures=(shown,), nearest=(nobody,)))
        assert code(await queue.call("ada", "GET", f"/cases/r{number}/pictures/0")) == (404, "picture-unknown")
        assert (await queue.call("ada", "GET", f"/cases/r{number}")).json()["nearest"][0]["picture"] is None


async def test_erased_cases_vanish_at_once(queue: Queue) -> None:
    await queue.settle(request("r1"))
    assert await queue.next("ada") == "r1"
    erased = ReviewActed(
        event_id="x", occurred_at=NOW, moderator="system:user_erasure", action="erase", owner="user-r1"
    )
    await queue.settle(erased)
    for method, path in (("GET", ""), ("GET", "/pictures/0"), ("POST", "/lease"), ("POST", "/release")):
        assert code(await queue.call("ada", method, f"/cases/r1{path}")) == (404, "case-unknown")
    assert code(await queue.act("ada", "r1", "approve")) == (404, "case-unknown")
    listed = (await queue.call("ada", "GET", "/cases?state=withdrawn")).json()
    assert (listed["cases"], listed["counts"]["withdrawn"]) == ([], 0)


async def test_cases_that_the_settlement_has_forgotten_are_unknown(queue: Queue) -> None:
    await queue.settle(request("r1"))
    await queue.act("ada", "r1", "reject", "avatar-blurred")
    await queue.settle()
    assert (await queue.call("ada", "GET", "/cases/r1")).status_code == 200
    queue.service.cases.apply(REVIEW_CASE.name, "r1", None)
    assert code(await queue.call("ada", "GET", "/cases/r1")) == (404, "case-unknown")
    listed = (await queue.call("ada", "GET", "/cases?state=decided")).json()
    assert (listed["cases"], listed["counts"]["decided"]) == ([], 0)
    # asked about anew, it is a new case however far the old one had come
    del queue.state.values["r1"]
    queue.service.now += timedelta(days=36)
    await queue.settle(request("r1"))
    assert await queue.next("ada") == "r1"


UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"action": "reject"}, "/reasons"),
    ({"action": "approve", "reasons": ["avatar-blurred"]}, "/reasons"),
    ({"action": "reject", "reasons": ["no-such"]}, "/reasons/0"),
    ({"action": "reject", "reasons": ["avatar-blurred", "fraud-ring"]}, "/reasons/1"),
    ({"action": "approve", "note": "x" * 2001}, "/note"),
    ({"action": "withdraw"}, "/action"),
    ({"action": "erase", "owner": "bob"}, "/action"),
    ({"action": "approve", "senior": True}, "/senior"),
    ({}, "/action"),
]


async def test_what_nobody_can_settle_is_refused(queue: Queue) -> None:
    await queue.settle(request("r1"))
    for body, pointer in UNUSABLE:
        answer = await queue.call("ada", "POST", "/cases/r1/actions", body, **{"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)
    assert queue.acted == []
    assert await queue.next("bob") == "r1"


async def test_a_decision_without_a_key_or_a_broker_is_no_decision(queue: Queue) -> None:
    await queue.settle(request("r1"))
    body = {"action": "approve"}
    assert code(await queue.call("ada", "POST", "/cases/r1/actions", body)) == (400, "idempotency-key-missing")
    queue.service.publisher.away = True
    assert code(await queue.act("ada", "r1", "approve", key="k"))[0] == 503
    queue.service.publisher.away = False
    assert (await queue.act("ada", "r1", "approve", key="k")).status_code == 202
    assert len(queue.acted) == 1


async def test_a_wrong_question_is_told(queue: Queue) -> None:
    for path in ("/cases?state=new", "/cases?subject=face", "/cases?limit=0", "/cases?limit=201"):
        assert code(await queue.call("ada", "GET", path)) == (422, "invalid-parameter")
    assert (await queue.call("ada", "POST", "/next", {"subjects": ["face"]})).status_code == 422


def test_no_route_looks_for_a_person() -> None:
    """None takes a picture, a vector or a name, and none lists faces: only a case's own pictures are shown."""
    service = Service()
    document = service.app.openapi()
    paths = {path for path, _ in guarded(service.app) if path.startswith("/v1/review")}
    assert {re.sub(r"\{\w+\}", "{}", path) for path in paths} == {
        "/v1/review/config",
        "/v1/review/me",
        "/v1/review/next",
        "/v1/review/cases",
        "/v1/review/cases/{}",
        "/v1/review/cases/{}/pictures/{}",
        "/v1/review/cases/{}/nearest/{}",
        "/v1/review/cases/{}/actions",
        "/v1/review/cases/{}/lease",
        "/v1/review/cases/{}/release",
    }
    # and a moderator's login opens nothing else
    opened = {path for (path, _), scopes in guarded(service.app).items() if "review" in scopes}
    assert opened == paths - {"/v1/review/config"}
    taken = set()
    for path in paths:
        for operation in document["paths"][path].values():
            taken |= {each["name"] for each in operation.get("parameters", ())}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                taken |= set(content["schema"]["properties"])
    taken.remove("Idempotency-Key")
    assert taken == {"review_id", "number", "state", "subject", "limit", "subjects", "action", "reasons", "note", "seq"}
    for path in (path for path, _ in guarded(service.app)):
        assert not re.search(r"face|person|people|who-is", path), path


async def test_how_many_cases_wait_is_measured(queue: Queue) -> None:
    await queue.settle(request("r1", age_s=90), request("r2", age_s=30), request("m", subject="media", age_s=10))
    await queue.act("ada", "r2", "reject", "avatar-blurred")
    await queue.settle()
    queue.service.metrics.registry.register(queue.service.cases)
    lines = queue.service.metrics.exposition().decode().splitlines()
    assert 'overture_review_cases{state="waiting",subject="avatar"} 1.0' in lines
    assert 'overture_review_cases{state="second",subject="ring"} 0.0' in lines
    assert 'overture_review_oldest_seconds{subject="avatar"} 90.0' in lines
    assert 'overture_review_decided{decision="reject",subject="avatar"} 1.0' in lines
