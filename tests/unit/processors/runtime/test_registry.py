"""The registry's client against answers in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
import stamina

from processors.runtime.registry import IncompatibleSchemaError, SchemaRegistry
from schemas import contracts, topics
from schemas.errors import BadEventError, UnavailableError
from schemas.media import MediaWithdrawn

URL = "http://registry/apis"
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    stamina.set_testing(True, attempts=2)
    yield
    stamina.set_testing(False)


@pytest.fixture
def registry() -> Iterator[Callable[[Answer], SchemaRegistry]]:
    made: list[SchemaRegistry] = []

    def make(answer: Answer) -> SchemaRegistry:
        one = SchemaRegistry(URL)
        one._client.close()
        one._client = httpx.Client(base_url=URL, transport=httpx.MockTransport(answer))
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def test_registering_sets_the_rule_and_sends_the_resolved_contract(
    registry: Callable[[Answer], SchemaRegistry],
) -> None:
    seen: list[tuple[str, str, dict[str, str]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, json.loads(request.content)))
        return httpx.Response(200, json={"id": 7})

    assert registry(answer).register(topics.MEDIA_WITHDRAWN) == 7
    subject = "media.item.withdrawn.v1-value"
    assert seen == [
        ("PUT", f"/apis/config/{subject}", {"compatibility": "BACKWARD_TRANSITIVE"}),
        (
            "POST",
            f"/apis/subjects/{subject}/versions",
            {"schema": contracts.canonical_json(MediaWithdrawn.CONTRACT), "schemaType": "AVRO"},
        ),
    ]


def test_an_incompatible_contract_is_refused(registry: Callable[[Answer], SchemaRegistry]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(409 if request.method == "POST" else 200, text="no")

    with pytest.raises(IncompatibleSchemaError, match=r"media\.item\.withdrawn\.v1-value"):
        registry(answer).register(topics.MEDIA_WITHDRAWN)


def test_lookup_knows_what_is_not_there(registry: Callable[[Answer], SchemaRegistry]) -> None:
    assert registry(lambda _r: httpx.Response(404)).lookup(topics.MEDIA_WITHDRAWN) is None
    assert registry(lambda _r: httpx.Response(200, json={"id": 3})).lookup(topics.MEDIA_WITHDRAWN) == 3


def test_fetch(registry: Callable[[Answer], SchemaRegistry]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/apis/schemas/ids/9"
        return httpx.Response(200, json={"schema": '"string"'})

    assert registry(answer).fetch(9) == '"string"'


def test_an_id_that_nobody_registered_is_a_bad_event(registry: Callable[[Answer], SchemaRegistry]) -> None:
    with pytest.raises(BadEventError) as caught:
        registry(lambda _r: httpx.Response(404)).fetch(9)
    assert caught.value.code == "schema-unknown"


def test_a_codec_writes_every_topic_asked_for(registry: Callable[[Answer], SchemaRegistry]) -> None:
    made = registry(lambda _r: httpx.Response(200, json={"id": 3})).codec([topics.MEDIA_WITHDRAWN])
    from tests.fakes.runtime import NOW

    data = made.encode(MediaWithdrawn(event_id="e", occurred_at=NOW, media_id="m", requested_by="u"))
    assert data[:5] == b"\0\0\0\0\3"


def test_a_codec_needs_every_schema_registered(registry: Callable[[Answer], SchemaRegistry]) -> None:
    with pytest.raises(UnavailableError) as caught:
        registry(lambda _r: httpx.Response(404)).codec([topics.MEDIA_WITHDRAWN])
    assert caught.value.code == "schema-unregistered"


def test_a_registry_that_breaks_or_is_away_is_unavailable(registry: Callable[[Answer], SchemaRegistry]) -> None:
    calls: list[int] = []

    def away(request: httpx.Request) -> httpx.Response:
        calls.append(1)
        raise httpx.ConnectError("refused", request=request)

    for answer in (lambda _r: httpx.Response(500, text="oops"), away):
        with pytest.raises(UnavailableError) as caught:
            registry(answer).fetch(9)
        assert caught.value.code == "registry-unavailable"
    assert len(calls) == 2


def test_an_outage_of_a_moment_is_not_noticed(registry: Callable[[Answer], SchemaRegistry]) -> None:
    calls: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(1)
        if len(calls) == 1:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json={"schema": "x"})

    assert registry(answer).fetch(9) == "x"


def test_waits_until_the_registry_answers(registry: Callable[[Answer], SchemaRegistry]) -> None:
    answers = iter((503, 200))
    registry(lambda _r: httpx.Response(next(answers), json=[])).wait()
    assert next(answers, None) is None
