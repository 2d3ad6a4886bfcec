"""Progress of uploads as clients see it."""

from __future__ import annotations

import asyncio
import json
import uuid

import httpx
import pytest

from processors.serving.status_view import FollowedStatus
from schemas.common import Label, Reason
from schemas.media import TimelineEntry
from schemas.topics import MEDIA_STATUS, MEDIA_WITHDRAWN
from tests.fakes.serving import NOW, Service, media_status

ID = str(uuid.UUID(int=7, version=5))


async def get(service: Service, path: str, **headers: str) -> httpx.Response:
    async with service.client() as client:
        return await client.get(path, headers=headers)


async def upload(service: Service) -> str:
    async with service.client() as client:
        answer = await client.post(
            "/v1/uploads",
            data={"kind": "audio", "uploader": "u-1", "title": "Song"},
            files={"file": ("a.flac", b"fLaC" + b"\0" * 600)},
        )
    return answer.json()["media_id"]


async def test_a_status_is_shown_without_our_internals() -> None:
    service = Service()
    service.tell(
        media_status(
            ID,
            "published",
            5,
            title="T",
            labels=(Label(name="piano", score=0.5),),
            timeline=(TimelineEntry(stage="media_analysis", state="analysed", at=NOW),),
            vector=(1.0, 0.0),
            vector_version="joint-1",
        )
    )
    answer = await get(service, f"/v1/media/{ID}")
    assert answer.status_code == 200
    assert answer.json() == {
        "media_id": ID,
        "kind": "video",
        "state": "published",
        "reasons": [],
        "labels": [{"name": "piano", "score": 0.5}],
        "timeline": [{"stage": "media_analysis", "state": "analysed", "at": "2026-11-21T08:00:00Z"}],
        "title": "T",
        "uploader": "u-1",
        "song_id": None,
        "language": None,
        "accepted_at": "2026-11-21T08:00:00Z",
        "changed_at": "2026-11-21T08:00:00Z",
        "seq": 5,
        "item_id": ID,
    }


async def test_a_rejection_names_its_reasons_and_no_item() -> None:
    service = Service()
    service.tell(media_status(ID, "rejected", 3, reasons=(Reason(code="media-silent", text="Silent."),)))
    document = (await get(service, f"/v1/media/{ID}")).json()
    assert document["reasons"] == [{"code": "media-silent", "text": "Silent."}]
    assert "item_id" not in document


async def test_an_accepted_upload_is_known_before_its_first_status() -> None:
    service = Service()
    media = await upload(service)
    document = (await get(service, f"/v1/media/{media}")).json()
    assert (document["state"], document["kind"], document["title"], document["seq"]) == ("received", "audio", "Song", 0)
    assert [entry["state"] for entry in document["timeline"]] == ["received"]


@pytest.mark.parametrize("media", [ID, "x", "..%2F..%2Fetc%2Fpasswd", "avatars%2Fx", ID.upper() + "A", "%00"])
@pytest.mark.parametrize("path", ["", "/events"])
async def test_unknown_uploads(media: str, path: str) -> None:
    answer = await get(Service(), f"/v1/media/{media}{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_avatars_receipt_is_no_upload() -> None:
    service = Service()
    async with service.client() as client:
        answer = await client.post("/v1/avatars", data={"user": "u"}, files={"file": ("x", b"GIF89a" + b"\0" * 9)})
    assert (await get(service, f"/v1/media/{answer.json()['event_id']}")).status_code == 404


async def test_a_lower_seq_is_late() -> None:
    service = Service()
    service.tell(media_status(ID, "published", 5))
    service.tell(media_status(ID, "processing", 4))
    assert (await get(service, f"/v1/media/{ID}")).json()["state"] == "published"
    service.status.apply(MEDIA_STATUS.name, ID, None)
    assert (await get(service, f"/v1/media/{ID}")).status_code == 404


def events_of(text: str) -> list[tuple[int, str]]:
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\r\n\r\n")]
    return [(int(b["id"]), json.loads(b["data"])["state"]) for b in blocks]


async def watch(service: Service, media: str, **headers: str) -> httpx.Response:
    return await asyncio.wait_for(get(service, f"/v1/media/{media}/events", **headers), 20)


async def until_watched(view: FollowedStatus, media: str) -> None:
    while media not in view._watchers:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_events_until_the_end() -> None:
    service = Service()
    media = await upload(service)
    watching = asyncio.create_task(watch(service, media))
    await until_watched(service.status, media)
    for seq, state in ((1, "received"), (2, "processing"), (4, "rejected")):
        await asyncio.to_thread(service.tell, media_status(media, state, seq))
        await asyncio.sleep(0.02)
    answer = await watching
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert events_of(answer.text) == [(0, "received"), (1, "received"), (2, "processing"), (4, "rejected")]
    assert service.status._watchers == {}


async def test_a_slow_reader_gets_the_newest() -> None:
    service = Service()
    service.tell(media_status(ID, "processing", 1))
    states = service.status.watch(ID)
    assert (await anext(states)).seq == 1
    service.tell(media_status(ID, "processing", 2))
    service.tell(media_status(ID, "published", 3))
    assert (await anext(states)).seq == 3
    await states.aclose()


async def test_a_client_that_comes_back() -> None:
    service = Service()
    service.tell(media_status(ID, "published", 5))
    assert events_of((await watch(service, ID, **{"Last-Event-ID": "3"})).text) == [(5, "published")]
    assert (await watch(service, ID, **{"Last-Event-ID": "5"})).status_code == 204
    for bad in ("x", "-1", "9" * 40):
        answer = await watch(service, ID, **{"Last-Event-ID": bad})
        assert (answer.status_code, answer.json()["code"]) == (400, "last-event-id")


async def test_watches_end_with_the_service() -> None:
    service = Service()
    service.tell(media_status(ID, "processing", 1))
    watching = asyncio.create_task(watch(service, ID))
    await until_watched(service.status, ID)
    service.status.close()
    assert events_of((await watching).text) == [(1, "processing")]


async def test_withdrawal() -> None:
    service = Service()
    service.tell(media_status(ID, "published", 5, uploader="u-3"))
    async with service.client() as client:
        answers = [await client.delete(f"/v1/media/{ID}") for _ in range(2)]
        unknown = await client.delete(f"/v1/media/{uuid.uuid4()}")
        service.publisher.away = True
        away = await client.delete(f"/v1/media/{ID}")
    assert [a.status_code for a in answers] == [202, 202]
    first, second = service.publisher.events
    assert (first.topic, first.key, first.record.requested_by) == (MEDIA_WITHDRAWN, ID, "owner")
    assert first.record.erase, "its bytes go too"
    assert first.record.event_id == second.record.event_id
    assert (unknown.status_code, unknown.json()["code"]) == (404, "media-unknown")
    assert (away.status_code, away.json()["code"]) == (503, "broker-unavailable")
