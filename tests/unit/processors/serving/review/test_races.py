"""Two requests at once, a settlement that takes long, and a case that changed under somebody's eyes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from features.review_leases import Leases
from processors.runtime.review_settings import Review
from processors.serving.parts import ServiceParts
from processors.serving.review.desk import SETTLING_S, Desk
from tests.unit.processors.serving.review.queue import Queue, request

LEASE_S = Review().lease_s


class Yielding:
    """``Leases`` that let others run before and after each call, as a connection does."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._leases, name)

        async def call(*wanted: Any) -> Any:
            await asyncio.sleep(0)
            found = await method(*wanted)
            await asyncio.sleep(0)
            return found

        return call


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    plain = Desk.__init__

    def make(desk: Desk, parts: ServiceParts) -> None:
        plain(desk, parts)
        desk._leases = cast(Leases, Yielding(desk._leases))

    monkeypatch.setattr(Desk, "__init__", make)
    return Queue(tmp_path)


async def test_of_two_decisions_at_once_one_counts(queue: Queue) -> None:
    await queue.settle(request("r1"))
    assert await queue.next("ada") == "r1"
    answers = await asyncio.gather(
        queue.act("ada", "r1", "approve"), queue.act("ada", "r1", "reject", "avatar-blurred")
    )
    assert sorted(each.status_code for each in answers) == [202, 409]
    assert len(queue.acted) == 1


async def test_a_lease_kept_for_longer_does_not_undo_a_decision(queue: Queue) -> None:
    await queue.settle(request("r1"))
    assert await queue.next("ada") == "r1"
    acted, _ = await asyncio.gather(
        queue.act("ada", "r1", "reject", "avatar-blurred"), queue.call("ada", "POST", "/cases/r1/lease")
    )
    assert acted.status_code == 202
    again = await queue.act("ada", "r1", "approve")
    assert (again.status_code, again.json()["code"]) == (409, "case-acted")
    await queue.call("ada", "POST", "/cases/r1/release")
    assert await queue.next("bob") == ""


async def test_a_case_that_is_settled_late_is_given_to_nobody_meanwhile(queue: Queue) -> None:
    await queue.settle(request("r1", proposed="reject"))
    assert (await queue.act("ada", "r1", "approve")).json()["state"] == "second"
    queue.service.now += timedelta(seconds=LEASE_S + 1)
    # else bob would decide as the first of two what he was shown as the only one
    assert await queue.next("bob") == ""
    answer = await queue.act("bob", "r1", "approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "case-leased")
    queue.service.now += timedelta(seconds=SETTLING_S)
    assert await queue.next("bob") == "r1"


async def test_a_decision_is_on_the_case_that_was_looked_at(queue: Queue) -> None:
    await queue.settle(request("r1", proposed="reject"))
    seen = (await queue.call("bob", "GET", "/cases/r1")).json()
    await queue.act("ada", "r1", "approve")
    await queue.settle()
    stale = await queue.act("bob", "r1", "approve", seq=seen["seq"])
    assert (stale.status_code, stale.json()["code"]) == (409, "case-changed")
    now = (await queue.call("bob", "GET", "/cases/r1")).json()
    assert (await queue.act("bob", "r1", "approve", seq=now["seq"])).status_code == 202


async def test_a_repeat_of_what_was_settled_is_answered_as_the_first(queue: Queue) -> None:
    await queue.settle(request("r1", proposed="reject"))
    first = await queue.act("ada", "r1", "approve", key="k")
    await queue.settle()
    again = await queue.act("ada", "r1", "approve", key="k")
    assert (again.status_code, again.json()) == (202, first.json())
    other = await queue.act("ada", "r1", "reject", "avatar-dark", key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-mismatch")


async def test_nobody_holds_more_than_so_many_cases(queue: Queue) -> None:
    most = Review().leases
    numbers = [f"r{n:02}" for n in range(most + 5)]
    await queue.settle(*map(request, numbers))
    answers = await asyncio.gather(*[queue.call("ada", "POST", f"/cases/{each}/lease") for each in numbers])
    refused = [each.json() for each in answers if each.status_code != 200]
    assert {each["code"] for each in refused} == {"leases-many"}
    listed = (await queue.call("ada", "GET", "/cases")).json()["cases"]
    held = [each["review_id"] for each in listed if each["leased_by"]]
    # requests at once may see each other and leave some over, never take more
    assert len(held) == len(answers) - len(refused) <= most
    while len(held) < most:
        held.append(await queue.next("ada"))
    free = next(each["review_id"] for each in listed if each["review_id"] not in held)
    for path in ("/next", f"/cases/{free}/lease"):
        answer = await queue.call("ada", "POST", path, {})
        assert (answer.status_code, answer.json()["code"]) == (409, "leases-many")
    assert (await queue.call("bob", "POST", f"/cases/{free}/lease")).status_code == 200
    # what is in hand can be kept, and what is done is not in hand
    assert (await queue.call("ada", "POST", f"/cases/{held[0]}/lease")).status_code == 200
    assert (await queue.act("ada", held[0], "approve")).status_code == 202
    assert await queue.next("ada") not in ("", *held)
