"""Plays and interactions, and JSON as strangers send it."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import httpx
import pytest

from schemas.topics import ITEM_INTERACTED, SONG_PLAYED
from tests.fakes.serving import NOW, Service, small_limits

PLAY = {"user_id": "u-7", "song_id": "s-1", "played_ms": 45_000, "duration_ms": 180_000}
LIKE = {"user_id": "u-7", "item_id": "s-1", "action": "liked"}


async def post(service: Service, path: str, body: object, content_type: str = "application/json") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with service.client() as client:
        return await client.post(path, content=content, headers={"content-type": content_type})


def problem(answer: httpx.Response, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    return answer.json()


async def test_one_play() -> None:
    service = Service()
    answer = await post(service, "/v1/plays", PLAY)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    (emit,) = service.publisher.events
    assert (emit.topic, emit.key) == (SONG_PLAYED, "u-7")
    assert (emit.record.completion, emit.record.occurred_at, emit.record.exposure) == (0.25, NOW, None)
    assert uuid.UUID(emit.record.event_id).version == 5
    assert service.codec.encode(emit.record)


async def test_a_batch_with_everything() -> None:
    service = Service()
    at = (NOW - timedelta(hours=2)).isoformat()
    exposure = {"surface": "daily-list", "position": 3, "request_id": "r", "experiment": "e"}
    batch = [PLAY, PLAY | {"occurred_at": at, "exposure": exposure, "completion": 1, "played_ms": 400_000}]
    answer = await post(service, "/v1/plays", batch)
    assert answer.json() == {"accepted": 2}
    record = service.publisher.events[1].record
    assert record.occurred_at == NOW - timedelta(hours=2)
    assert (record.completion, record.exposure.position, record.exposure.surface) == (1.0, 3, "daily-list")


async def test_a_looped_song_is_complete_at_most_once() -> None:
    service = Service()
    await post(service, "/v1/plays", PLAY | {"played_ms": 999_000})
    assert service.publisher.events[0].record.completion == 1.0


async def test_a_clients_event_id_makes_repeats_equal_but_not_across_users() -> None:
    service = Service()
    named = PLAY | {"event_id": str(uuid.uuid4())}
    for body in (named, named, named | {"user_id": "u-8"}, PLAY, PLAY):
        await post(service, "/v1/plays", body)
    first, repeat, other, *anonymous = [e.record.event_id for e in service.publisher.events]
    assert first == repeat
    assert len({first, other, *anonymous}) == 4


async def test_an_interaction() -> None:
    service = Service()
    answer = await post(service, "/v1/interactions", LIKE)
    assert answer.status_code == 202
    (emit,) = service.publisher.events
    assert (emit.topic, emit.record.action) == (ITEM_INTERACTED, "liked")
    assert service.codec.encode(emit.record)


async def test_no_ack_no_202() -> None:
    service = Service()
    service.publisher.away = True
    answer = await post(service, "/v1/plays", PLAY)
    problem(answer, 503, "broker-unavailable")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"user_id": None}, "/user_id"),
        ({"user_id": 7}, "/user_id"),
        ({"user_id": "a/../b"}, "/user_id"),
        ({"user_id": "x" * 129}, "/user_id"),
        ({"user_id": "a\nb"}, "/user_id"),
        ({"user_id": "a\n"}, "/user_id"),
        ({"played_ms": "45000"}, "/played_ms"),
        ({"played_ms": 45_000.5}, "/played_ms"),
        ({"played_ms": True}, "/played_ms"),
        ({"played_ms": -1}, "/played_ms"),
        ({"played_ms": 86_400_001}, "/played_ms"),
        ({"duration_ms": 0}, "/duration_ms"),
        ({"completion": 1.5}, "/completion"),
        ({"completion": "1"}, "/completion"),
        ({"event_id": "not-a-uuid"}, "/event_id"),
        ({"event_id": "{" + str(uuid.uuid4())[:34] + "}"}, "/event_id"),
        ({"occurred_at": 1_700_000_000}, "/occurred_at"),
        ({"occurred_at": "1700000000"}, "/occurred_at"),
        ({"occurred_at": "yesterday"}, "/occurred_at"),
        ({"occurred_at": "2026-11-21T07:00:00"}, "/occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "/occurred_at"),
        ({"occurred_at": (NOW - timedelta(days=31)).isoformat()}, "/occurred_at"),
        ({"occurred_at": (NOW + timedelta(minutes=6)).isoformat()}, "/occurred_at"),
        ({"exposure": {"position": 2**31}}, "/exposure/position"),
        ({"exposure": {"surface": "x" * 65}}, "/exposure/surface"),
        ({"exposure": {"a/b~c": 1}}, "/exposure/a~1b~0c"),
        ({"exposure": []}, "/exposure"),
        ({"admin": 1}, "/admin"),
    ],
)
async def test_bad_fields(change: dict, pointer: str) -> None:
    service = Service()
    answer = await post(service, "/v1/plays", PLAY | change)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["pointer"] == pointer
    batch = await post(service, "/v1/plays", [PLAY, PLAY | change, PLAY])
    assert (batch.status_code, batch.json()["index"], batch.json()["pointer"]) == (422, 1, f"/1{pointer}")
    assert service.publisher.events == []


@pytest.mark.parametrize("at", [NOW - timedelta(days=30), NOW + timedelta(minutes=5)])
async def test_times_at_the_border_pass(at) -> None:
    assert (await post(Service(), "/v1/plays", PLAY | {"occurred_at": at.isoformat()})).status_code == 202


@pytest.mark.parametrize("action", ["unknown", "exploded", "", None, 3])
async def test_bad_actions(action: object) -> None:
    service = Service()
    problem(await post(service, "/v1/interactions", LIKE | {"action": action}), 422, "invalid-body")


def text(value: str) -> bytes:
    """A play whose ``played_ms`` is written as ``value``."""
    return json.dumps(PLAY | {"played_ms": "HERE"}).replace('"HERE"', value).encode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json-malformed"),
        (b"{", "json-malformed"),
        (b'{"a":1}}', "json-malformed"),
        (b"{'a':1}", "json-malformed"),
        (b'\xef\xbb\xbf{"a":1}', "json-malformed"),
        (b'{"a":"\x01"}', "json-malformed"),
        (b'{"user_id":"u\xff"}', "json-encoding"),
        (b'{"user_id":"\xed\xa0\x80"}', "json-encoding"),
        (json.dumps(PLAY).encode("utf-16"), "json-encoding"),
        (text("NaN"), "json-number"),
        (text("Infinity"), "json-number"),
        (text("-Infinity"), "json-number"),
        (text("1e999"), "json-number"),
        (text("9223372036854775808"), "json-number"),
        (text("-9223372036854775809"), "json-number"),
        (text("9" * 5000), "json-number"),
        (b'{"user_id":"a","user_id":"b"}', "json-duplicate-key"),
        (b'[{"exposure":{"surface":"a","surface":"b"}}]', "json-duplicate-key"),
        (b'{"user_id":"\\ud800"}', "json-surrogate"),
        (b'{"\\udc00":1}', "json-surrogate"),
        (b'["\\ud800"]', "json-surrogate"),
        (b"[" * 17 + b"]" * 17, "json-too-deep"),
        (b"[" * 100_000, "json-too-deep"),
        (b'{"a":' * 40_000, "json-too-deep"),
    ],
)
async def test_bad_json(body: bytes, code: str) -> None:
    service = Service()
    problem(await post(service, "/v1/plays", body), 400, code)
    problem(await post(service, "/v1/rank", body), 400, code)
    assert service.publisher.events == []


@pytest.mark.parametrize("body", [b"null", b"1", b'"x"', b"true", b"[1]", b"[[]]", b"[null]"])
async def test_json_of_another_shape(body: bytes) -> None:
    problem(await post(Service(), "/v1/plays", body), 422, "invalid-body")


async def test_brackets_and_escapes_inside_strings_do_not_count() -> None:
    title = "[" * 60 + '"\\'
    answer = await post(Service(), "/v1/plays", PLAY | {"exposure": {"surface": title}})
    assert answer.status_code == 202


async def test_a_pair_of_surrogates_is_an_ordinary_character() -> None:
    body = json.dumps(PLAY | {"exposure": {"surface": "\U0001f3b9"}}).encode()
    assert b"\\ud83c" in body
    service = Service()
    assert (await post(service, "/v1/plays", body)).status_code == 202
    assert service.publisher.events[0].record.exposure.surface == "\U0001f3b9"


async def test_batch_sizes() -> None:
    service = Service(settings=small_limits(batch_records=3))
    problem(await post(service, "/v1/plays", []), 422, "batch-size")
    problem(await post(service, "/v1/plays", [PLAY] * 4), 422, "batch-size")
    assert (await post(service, "/v1/plays", [PLAY] * 3)).json() == {"accepted": 3}


async def test_a_body_over_the_limit() -> None:
    service = Service(settings=small_limits(json_bytes=1000))
    problem(await post(service, "/v1/plays", b" " * 1001), 413, "body-too-large")

    async def pieces():
        for _ in range(20):
            yield b" " * 100

    async with service.client() as client:
        headers = {"content-type": "application/json"}
        answer = await client.post("/v1/plays", content=pieces(), headers=headers)
    problem(answer, 413, "body-too-large")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_json_must_be_called_json(content_type: str) -> None:
    problem(await post(Service(), "/v1/plays", PLAY, content_type), 415, "content-type")


async def test_hostile_bodies_cost_little() -> None:
    # Quadratic handling of any of these would take minutes; the suite's timeout is the judge.
    service = Service()
    for body in (
        b'"' + b"\\" * 1_000_000,
        b'"\\"' * 300_000,
        b"{" + b",".join(b'"%d":1' % (n % 60_000) for n in range(60_001)) + b"}",
        b"[" + b"[]," * 300_000 + b"[]]",
        b'{"a":' + b"1" * 1_000_000 + b"}",
    ):
        answer = await post(service, "/v1/plays", body)
        assert 400 <= answer.status_code < 500
