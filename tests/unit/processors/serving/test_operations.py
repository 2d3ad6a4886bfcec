"""What the page reads: the broker's figures, the last uploads, one upload's history, pictures."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from processors.catalogue import BY_NAME
from processors.serving.operations.broker import FRESH_S, WINDOW_S, BrokerWatch
from processors.serving.operations.overview import STANDING_S
from processors.serving.operations.recent import Newest, RecentUploads
from schemas.common import Label, Reason
from schemas.item import ItemIndexed
from schemas.pipeline import DeadLettered
from schemas.topics import ALL, AUDIO_CREATED
from tests.fakes.operations import PUBLISHED_WAY, MemoryBroker, WatchedService, reading, steps, upload
from tests.fakes.serving import NOW, item

ANALYSIS = BY_NAME["media_analysis"]
SOURCE = ANALYSIS.consumes[0].name


def media_id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


ONE, TWO, THREE = media_id(1), media_id(2), media_id(3)


async def overview(service: WatchedService) -> dict[str, Any]:
    async with service.client() as client:
        answer = await client.get("/v1/operations/overview")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def analysis(service: WatchedService) -> dict[str, Any]:
    return next(each for each in (await overview(service))["capabilities"] if each["name"] == ANALYSIS.name)


# -- the broker's figures ---------------------------------------------------------------------------


async def test_lag_counts_what_is_committed_and_what_was_deleted() -> None:
    service = WatchedService()
    service.broker.begins = {(SOURCE, 0): 5, (SOURCE, 1): 0}
    service.broker.ends = {(SOURCE, 0): 20, (SOURCE, 1): 7}
    service.broker.committed = {ANALYSIS.group: {(SOURCE, 0): 18}}
    found = await analysis(service)
    assert found["lag"] == 2 + 7
    topic = next(each for each in (await overview(service))["topics"] if each["name"] == SOURCE)
    assert topic["records"] == 15 + 7
    assert topic["lag"] == {"media_analysis": 9, "item_publication": 15 + 7}


async def test_every_topic_and_capability_is_there() -> None:
    document = await overview(WatchedService())
    assert [each["name"] for each in document["topics"]] == [topic.name for topic in ALL]
    assert {each["name"] for each in document["capabilities"]} == set(BY_NAME)


async def test_rates_are_differences_over_a_window() -> None:
    service = WatchedService()
    service.broker.ends = {(SOURCE, 0): 100}
    service.broker.committed = {ANALYSIS.group: {(SOURCE, 0): 90}}
    assert (await analysis(service))["per_s"] is None, "one reading says nothing of speed"
    service.broker.clock += 10
    service.broker.ends = {(SOURCE, 0): 150}
    service.broker.committed = {ANALYSIS.group: {(SOURCE, 0): 120}}
    document = await overview(service)
    topic = next(each for each in document["topics"] if each["name"] == SOURCE)
    assert (topic["per_s"], (await analysis(service))["per_s"]) == (5.0, 3.0)
    service.broker.clock += WINDOW_S + 1
    assert (await analysis(service))["per_s"] is None, "what was long ago is no speed of now"


@pytest.mark.parametrize(
    ("members", "ends", "committed", "later_s", "expected"),
    [
        (1, 5, 5, 0, "idle"),
        (1, 6, 5, 0, "working"),
        (1, 6, 5, STANDING_S, "standing"),
        (0, 6, 5, 0, "stopped"),
        (0, 5, 5, 0, "stopped"),
    ],
)
async def test_states_of_a_capability(members: int, ends: int, committed: int, later_s: float, expected: str) -> None:
    service = WatchedService()
    service.broker.members = {ANALYSIS.group: members}
    service.broker.ends = {(SOURCE, 0): ends}
    service.broker.committed = {ANALYSIS.group: {(SOURCE, 0): committed}}
    await overview(service)
    service.broker.clock += later_s
    assert (await analysis(service))["state"] == expected


async def test_progress_ends_a_standstill() -> None:
    service = WatchedService()
    service.broker.ends = {(SOURCE, 0): 10}
    for committed, state in ((1, "working"), (1, "standing"), (2, "working")):
        service.broker.committed = {ANALYSIS.group: {(SOURCE, 0): committed}}
        assert (await analysis(service))["state"] == state
        service.broker.clock += STANDING_S


async def test_records_that_wait_for_a_retry_and_dead_letters() -> None:
    service = WatchedService()
    (retry, _), *_ = ANALYSIS.retry_topics
    service.broker.ends = {(retry, 3): 4, (ANALYSIS.dead_letter_topic, 0): 9}
    service.broker.begins = {(ANALYSIS.dead_letter_topic, 0): 6}
    found = await analysis(service)
    assert (found["state"], found["lag"], found["retrying"], found["dead_letters"]) == ("retrying", 0, 4, 3)


async def test_a_group_that_divides_its_partitions() -> None:
    class Restless(MemoryBroker):
        async def read(self):
            return reading(self.clock, steady=frozenset())

    assert (await analysis(WatchedService(broker=Restless())))["state"] == "rebalancing"


async def test_many_browsers_one_reading() -> None:
    service = WatchedService()
    await asyncio.gather(*[overview(service) for _ in range(20)])
    assert service.broker.reads == 1
    service.broker.clock += FRESH_S / 2
    await overview(service)
    assert service.broker.reads == 1
    service.broker.clock += FRESH_S / 2
    await overview(service)
    assert service.broker.reads == 2


async def test_a_broker_that_is_away_leaves_the_last_figures_with_their_time() -> None:
    service = WatchedService()
    service.broker.ends = {(SOURCE, 0): 3}
    first = await overview(service)
    assert first["broker"] == {"state": "ok", "code": None, "read_at": "2026-11-21T08:00:00Z"}
    service.broker.away = True
    service.broker.clock += 60
    service.now += timedelta(seconds=60)
    document = await overview(service)
    assert document["broker"] == {"state": "away", "code": "broker-unavailable", "read_at": "2026-11-21T08:00:00Z"}
    assert (document["now"], (await analysis(service))["lag"]) == ("2026-11-21T08:01:00Z", 3)
    assert "10.1.2.3" not in str(document)
    service.broker.away = False
    service.broker.clock += 60
    assert (await overview(service))["broker"]["state"] == "ok"


async def test_a_broker_that_was_never_there() -> None:
    service = WatchedService(broker=MemoryBroker(away=True))
    document = await overview(service)
    assert document["broker"] == {"state": "away", "code": "broker-unavailable", "read_at": None}
    assert {each["state"] for each in document["capabilities"]} == {"unknown"}
    assert {each["records"] for each in document["topics"]} == {None}


async def test_a_slow_broker_keeps_nobody_waiting_and_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.serving.operations.broker.PATIENCE_S", 0.01)
    broker = MemoryBroker(hold=asyncio.Event())
    watch = BrokerWatch(broker, {}, lambda: NOW, lambda: broker.clock)
    assert await watch.figures() is None
    broker.clock += 100
    assert await watch.figures() is None
    assert broker.reads == 1
    broker.hold.set()
    monkeypatch.setattr("processors.serving.operations.broker.PATIENCE_S", 30)
    assert (await watch.figures()) is not None


# -- times --------------------------------------------------------------------------------------------


async def test_latencies_come_from_the_timelines() -> None:
    service = WatchedService()
    service.tell(upload(ONE))
    service.tell(ItemIndexed(event_id="i", occurred_at=NOW, produced_at=NOW + timedelta(seconds=6.5), item_id=ONE,
                             change="published", seq=1))  # fmt: skip
    latency = {each["name"]: each["latency"] for each in (await overview(service))["capabilities"]}
    assert latency["media_analysis"] == {"p50_ms": 2000.0, "p95_ms": 2000.0, "count": 1}
    assert latency["content_moderation"]["p50_ms"] == 1000.0
    assert latency["content_embedding"]["p50_ms"] == 3000.0
    assert latency["content_classification"]["p50_ms"] == 1000.0
    assert latency["item_publication"]["p50_ms"] == 500.0
    assert latency["item_indexing"]["p50_ms"] == 1000.0
    assert latency["play_aggregation"] is None


async def test_time_to_recallable_is_known_of_what_came_while_we_watched() -> None:
    service = WatchedService(live=False)
    service.tell(upload(ONE))
    service.tell(item(ONE))
    service.live = True
    service.tell(upload(TWO))
    service.now = NOW + timedelta(seconds=7)
    service.tell(item(TWO))
    service.now = NOW + timedelta(seconds=9)
    service.tell(item(TWO, seq=2))
    service.tell(item(ONE, seq=2))
    document = await overview(service)
    assert document["recallable"] == {"p50_ms": 7000.0, "p95_ms": 7000.0, "count": 1}
    assert document["catalogue_items"] == 2
    service.tell(item(TWO, seq=3, change="withdrawn"))
    assert (await overview(service))["recallable"] is None


# -- uploads ------------------------------------------------------------------------------------------


async def listed(service: WatchedService, query: str = "") -> list[dict[str, Any]]:
    async with service.client() as client:
        answer = await client.get(f"/v1/operations/items{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_the_newest_uploads_come_first() -> None:
    service = WatchedService()
    for number, name in enumerate((TWO, ONE, THREE)):
        service.tell(upload(name, "processing", number))
    service.tell(upload(ONE, "rejected", 1, seq=5, reasons=(Reason(code="text-blocked", text="No."),)))
    assert [each["media_id"] for each in await listed(service)] == [THREE, ONE, TWO]
    assert [each["media_id"] for each in await listed(service, "?limit=2")] == [THREE, ONE]
    (rejected,) = await listed(service, "?state=rejected")
    assert rejected["reasons"] == [{"code": "text-blocked", "text": "No."}]
    service.forget(ONE)
    assert await listed(service, "?state=rejected") == []


async def test_memory_is_bounded() -> None:
    recent = RecentUploads(10)
    for number in range(1000):
        recent.take(media_id(number), upload(media_id(number), second=number))
        assert len(recent) <= 20
    assert [each.media_id for each in recent.newest()] == [media_id(number) for number in range(999, 989, -1)]
    assert all(each.vector == () for each in recent.newest())
    newest: Newest[int] = Newest(3)
    for number in (1, 2, 3, 1, 4):
        newest.set(str(number), number)
    assert (len(newest), newest.get("2"), newest.get("1"), newest.get("4")) == (3, None, 1, 4)


async def test_labels_neighbours_and_what_may_be_seen() -> None:
    service = WatchedService()
    picture = await service.picture()
    labels = (Label(name="piano", score=0.2), Label(name="cat", score=0.7))
    service.tell(upload(ONE, labels=labels, thumbnail=picture))
    service.tell(upload(TWO, second=-1))
    service.tell(upload(THREE, "review", -2, thumbnail=picture))
    service.tell(item(ONE, (1, 0, 0, 0)))
    service.tell(item(TWO, (1, 0.1, 0, 0)))
    one, two, three = await listed(service)
    assert [label["name"] for label in one["labels"]] == ["cat", "piano"]
    (neighbour,) = one["similar"]
    assert (neighbour["media_id"], neighbour["title"], neighbour["similarity"]) == (TWO, f"title of {TWO[:4]}", 0.995)
    assert (one["thumbnail"], one["sensitive"]) == (True, False)
    assert (two["thumbnail"], two["sensitive"]) == (False, False)
    assert (three["thumbnail"], three["sensitive"], three["similar"]) == (True, True, [])


async def test_an_answer_that_has_not_changed_is_not_sent_again() -> None:
    service = WatchedService()
    service.tell(upload(ONE))
    async with service.client() as client:
        for path in ("/v1/operations/items", f"/v1/operations/items/{ONE}"):
            first = await client.get(path)
            again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            service.tell(upload(ONE, seq=service.parts.operations.recent.newest()[0].seq + 1, title=path))
            assert (await client.get(path, headers={"If-None-Match": first.headers["etag"]})).status_code == 200


@pytest.mark.parametrize("query", ["?limit=0", "?limit=101", "?limit=x", "?state=burnt"])
async def test_bad_parameters(query: str) -> None:
    async with WatchedService().client() as client:
        answer = await client.get(f"/v1/operations/items{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-parameter")


async def test_one_uploads_whole_history() -> None:
    service = WatchedService()
    service.tell(upload(ONE, uploader="ada"))
    service.now = NOW + timedelta(seconds=5.6)
    service.tell(item(ONE))
    service.tell(ItemIndexed(event_id="i", occurred_at=NOW, produced_at=NOW + timedelta(seconds=5.8), item_id=ONE,
                             change="published", seq=1, collections=("content_joint",)))  # fmt: skip
    service.tell(letter(ONE))
    async with service.client() as client:
        history = (await client.get(f"/v1/operations/items/{ONE}")).json()
    assert [(step["stage"], step["after_ms"], step["took_ms"]) for step in history["timeline"]] == [
        ("upload", 0, None),
        ("media_analysis", 2000, 2000),
        ("content_moderation", 3000, 1000),
        ("content_embedding", 5000, 3000),
        ("item_publication", 5500, 500),
        ("service", 5600, 100),
        ("item_indexing", 5800, 300),
        ("content_classification", 6000, 1000),
    ]
    assert (history["uploader"], history["plays"], history["collections"]) == ("ada", 0, ["content_joint"])
    (given_up,) = history["dead_letters"]
    assert (given_up["capability"], given_up["code"]) == ("content_embedding", "redis-away")
    assert given_up["origin"] == "media.upload.analysed.v1/2@77"
    assert "vector" not in history


def letter(key: str, event_id: str = "d") -> DeadLettered:
    return DeadLettered(
        event_id=event_id,
        occurred_at=NOW,
        capability="content_embedding",
        key=key,
        origin_topic="media.upload.analysed.v1",
        origin_partition=2,
        origin_offset=77,
        dead_letter_topic="content-embedding.dead-letter.v1",
        attempts=2,
        code="redis-away",
        text="gone",
    )


async def test_dead_letters_are_told_once_each() -> None:
    service = WatchedService()
    for event_id in ("a", "b", "a"):
        service.tell(letter(ONE, event_id))
    assert [each.event_id for each in service.facts.letters(ONE)] == ["b", "a"]
    assert service.facts.letters(TWO) == ()


@pytest.mark.parametrize("name", [ONE, "nonsense", "..%2F..%2Fetc%2Fpasswd"])
async def test_no_such_upload(name: str) -> None:
    async with WatchedService().client() as client:
        for path in (f"/v1/operations/items/{name}", f"/v1/media/{name}/thumbnail"):
            assert (await client.get(path)).status_code == 404


async def test_an_upload_whose_first_facts_are_late() -> None:
    service = WatchedService()
    service.tell(upload(ONE, "processing", accepted_at=None, timeline=steps(("media_analysis", "analysed", 2))))
    async with service.client() as client:
        history = (await client.get(f"/v1/operations/items/{ONE}")).json()
    assert [(step["after_ms"], step["took_ms"]) for step in history["timeline"]] == [(None, None)]
    assert (await listed(service))[0]["recallable_ms"] is None


# -- pictures -----------------------------------------------------------------------------------------


async def test_a_picture_can_be_nothing_but_a_picture() -> None:
    service = WatchedService()
    service.tell(upload(ONE, thumbnail=await service.picture()))
    async with service.client() as client:
        answer = await client.get(f"/v1/media/{ONE}/thumbnail")
        assert (answer.status_code, answer.content) == (200, b"RIFF....WEBP")
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        again = await client.get(f"/v1/media/{ONE}/thumbnail", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize("wrong", ["type", "bytes", "missing", "deleted", "none"])
async def test_what_is_not_served_as_a_picture(wrong: str) -> None:
    service = WatchedService()
    picture = await service.picture(content_type="text/html" if wrong == "type" else "image/webp")
    if wrong == "bytes":
        service.objects.data[picture.key] = b"<script>"
    if wrong == "missing":
        del service.objects.data[picture.key]
    state = "deleted" if wrong == "deleted" else "published"
    service.tell(upload(ONE, state, thumbnail=None if wrong == "none" else picture))
    async with service.client() as client:
        answer = await client.get(f"/v1/media/{ONE}/thumbnail")
    assert (answer.status_code, answer.json()["code"]) == (404, "thumbnail-unknown")


def test_the_timeline_used_here_is_of_real_stages() -> None:
    assert {entry.stage for entry in PUBLISHED_WAY} - {"upload"} <= set(BY_NAME)
    assert AUDIO_CREATED in ANALYSIS.consumes
