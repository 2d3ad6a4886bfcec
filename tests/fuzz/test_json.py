"""JSON bodies: parsed to plain values or refused, and the service never stumbles over one."""

from __future__ import annotations

import json
from random import Random

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.effort import fuzz, patience
from tests.fuzz.mutations import mutate
from tests.fuzz.plain import any_json
from tests.fuzz.targets import call, parse_json

PROGRAMS = st.binary(max_size=18)
TEXTS = st.text('[]{}",:0123456789eE+-.\\untrfalsI NaN\ud83d', max_size=40)
SEEDS = st.integers(0, 2**32 - 1)
PLAY = {
    "event_id": "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f77",
    "user_id": "u-7",
    "song_id": "s-1",
    "occurred_at": "2026-11-21T08:00:00Z",
    "played_ms": 61000,
    "duration_ms": 180000,
    "completion": 0.5,
    "exposure": {"surface": "home", "position": 3, "request_id": "r", "experiment": "e"},
}
BODIES = {
    "/v1/plays": PLAY,
    "/v1/interactions": {"user_id": "u-7", "item_id": "s-1", "action": "liked"},
    "/v1/recall": {"user": "u-7", "limit": 10, "kind": "audio"},
    "/v1/rank": {"user": "u-7", "item_ids": ["s-1", "s-2"]},
}
HEADERS = [(b"content-type", b"application/json")]


@patience
@fuzz
@given(seed=SEEDS, program=PROGRAMS)
def test_nearly_right_json(seed: int, program: bytes) -> None:
    parse_json(mutate(json.dumps(any_json(Random(seed))).encode(), program))


@patience
@fuzz
@given(body=st.one_of(st.binary(max_size=60), TEXTS))
def test_any_bytes(body: bytes | str) -> None:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    found = parse_json(data)
    # what a strict parser takes is refused only for the reasons that are ours
    try:
        strict = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    assert found == strict or found in ("json-duplicate-key", "json-number", "json-too-deep")


@patience
@fuzz
@given(path=st.sampled_from(sorted(BODIES)), name=st.integers(0, 7), seed=SEEDS, batch=st.integers(0, 3))
def test_routes_take_any_value_in_any_field(path: str, name: int, seed: int, batch: int) -> None:
    names = list(BODIES[path])
    body: object = BODIES[path] | {names[name % len(names)]: any_json(Random(seed))}
    if batch:
        body = [body] * batch
    call("POST", path, path, HEADERS, [json.dumps(body).encode()])


@patience
@fuzz
@given(path=st.sampled_from(sorted(BODIES)), program=PROGRAMS, content_type=st.sampled_from([0, 0, 0, 1, 2]))
def test_routes_take_nearly_right_bodies(path: str, program: bytes, content_type: int) -> None:
    types = (b"application/json", b"text/plain", b"application/json; charset=latin-1")
    call("POST", path, path, [(b"content-type", types[content_type])], [mutate(orjson.dumps(BODIES[path]), program)])
