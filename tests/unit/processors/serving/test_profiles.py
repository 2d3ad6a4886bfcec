"""What users tell of themselves over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from schemas.topics import PROFILE_CHANGED
from schemas.user import ProfileChanged
from tests.fakes.serving import NOW, Service

FULL = {"birth_year": 1990, "gender": "female", "occupation": "Data  Engineer", "language": "en-GB"}


async def put(service: Service, body: object, user: str = "u-7") -> httpx.Response:
    async with service.client() as client:
        return await client.put(
            f"/v1/users/{user}/profile", content=json.dumps(body).encode(), headers={"content-type": "application/json"}
        )


async def test_a_profile_is_one_event() -> None:
    service = Service()
    answer = await put(service, FULL)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    (emit,) = service.publisher.events
    assert (emit.topic, emit.key) == (PROFILE_CHANGED, "u-7")
    record: Any = emit.record
    assert record == ProfileChanged(
        event_id=record.event_id,
        occurred_at=NOW,
        user_id="u-7",
        birth_year=1990,
        gender="female",
        occupation="data engineer",
        language="en-GB",
    )
    assert service.codec.encode(record)


async def test_nothing_told_is_a_profile_too() -> None:
    service = Service()
    assert (await put(service, {})).status_code == 202
    record: Any = service.publisher.events[0].record
    assert (record.birth_year, record.gender, record.occupation, record.language) == (None, "unknown", "", None)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (FULL | {"birth_year": 1899}, "/birth_year"),
        (FULL | {"birth_year": NOW.year + 1}, "/birth_year"),
        (FULL | {"birth_year": "1990"}, "/birth_year"),
        (FULL | {"birth_year": 1990.5}, "/birth_year"),
        (FULL | {"gender": "F"}, "/gender"),
        (FULL | {"occupation": "x" * 65}, "/occupation"),
        (FULL | {"occupation": "<b>"}, "/occupation"),
        (FULL | {"language": "not a tag"}, "/language"),
        (FULL | {"user_id": "other"}, "/user_id"),
        ([FULL], ""),
    ],
)
async def test_what_no_profile_says(body: object, pointer: str) -> None:
    service = Service()
    answer = await put(service, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["pointer"] == pointer
    assert service.publisher.events == []


async def test_an_odd_user_id_is_refused() -> None:
    service = Service()
    assert (await put(service, FULL, "a b")).status_code == 422
    assert service.publisher.events == []
