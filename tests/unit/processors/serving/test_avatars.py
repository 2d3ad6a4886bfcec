"""Where an avatar stands, over HTTP."""

from __future__ import annotations

import httpx
import pytest

from features import ownership
from features.ports import FeatureRow
from processors.avatar_publication import FAILURE_TEXT, avatar_row, blank, merge
from processors.serving.receipts import Receipts
from schemas.errors import REJECTION_CODES
from schemas.user import AvatarChanged
from tests.fakes.runtime import at
from tests.fakes.serving import Service
from tests.unit.processors.avatar_facts import changed, dead, judged

VIEW = "user_avatar_v1"


async def get(service: Service, user: str = "ada") -> httpx.Response:
    async with service.client() as client:
        return await client.get(f"/v1/avatars/{user}")


def know(service: Service, *facts: AvatarChanged) -> FeatureRow:
    """The features hold what the capability makes of facts."""
    state = blank("ada", facts[0])
    for fact in facts:
        state = merge(state, fact)
    row = avatar_row(state)
    assert row is not None
    service.features.rows[VIEW, "ada"] = row
    return row


async def accept(service: Service, avatar: str, chosen: float) -> None:
    receipts = Receipts(service.objects, AvatarChanged, ownership.avatar_receipts("ada"))
    await receipts.settle(avatar, changed(avatar, chosen))


async def test_a_rejected_avatar_tells_why_and_of_which_picture() -> None:
    service = Service()
    know(service, changed("a", 0), judged("a", 0, 2, "reject"))
    answer = await get(service)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "user": "ada",
            "event_id": "a",
            "state": "rejected",
            "decided_by": "machine",
            "reasons": [{"code": "avatar-blurred", "text": REJECTION_CODES["avatar-blurred"]}],
            "changed_at": at(2).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        },
    )


async def test_a_failure_of_ours_is_no_reason_of_the_pictures() -> None:
    service = Service()
    know(service, changed("a", 0), dead(5))
    answer = (await get(service)).json()
    assert (answer["state"], answer["reasons"]) == ("failed", [{"code": "unavailable", "text": FAILURE_TEXT}])


async def test_an_avatar_that_nobody_has_worked_on_is_received() -> None:
    service = Service()
    await accept(service, "a", 0)
    await accept(service, "b", 5)
    answer = (await get(service)).json()
    assert (answer["event_id"], answer["state"], answer["decided_by"], answer["reasons"]) == (
        "b",
        "received",
        "nobody",
        [],
    )


@pytest.mark.parametrize(
    ("user", "status", "code"), [("nobody", 404, "avatar-unknown"), ("a b", 422, "invalid-parameter")]
)
async def test_who_has_none_and_who_cannot_be(user: str, status: int, code: str) -> None:
    answer = await get(Service(), user)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_store_that_is_away_is_a_503() -> None:
    service = Service()
    service.features.away = True
    assert (await get(service)).status_code == 503
