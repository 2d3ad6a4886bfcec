"""The way in for files: what is accepted, what is refused, and that a repeat changes nothing."""

from __future__ import annotations

import json

import httpx
import pytest

from schemas.ids import media_id
from schemas.topics import AVATAR_CHANGED, POST_CREATED, VIDEO_CREATED
from tests.fakes.serving import NOW, Service, small_limits

MP4 = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(range(256)) * 8
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 200
WAV = b"RIFF\x24\x08\0\0WAVEfmt " + b"\0" * 600
FIELDS = {"kind": "video", "uploader": "u-1"}


def problem(answer: httpx.Response, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"urn:overture:problem:{code}"
    assert document["title"]
    assert document["detail"]
    return document


async def send(service: Service, data: dict, file: bytes | None = MP4, key: str | None = None, name="clip.mp4"):
    headers = {} if key is None else {"Idempotency-Key": key}
    files = {} if file is None else {"file": (name, file)}
    async with service.client() as client:
        if not files:
            files = {"kind": (None, data["kind"])} if "kind" in data else {"uploader": (None, data["uploader"])}
            data = {k: v for k, v in data.items() if k not in files}
        return await client.post("/v1/uploads", data=data, files=files, headers=headers)


async def raw(service: Service, body: bytes, content_type: str = "multipart/form-data; boundary=B", **headers: str):
    async with service.client() as client:
        return await client.post("/v1/uploads", content=body, headers={"content-type": content_type, **headers})


def part(name: str, value: bytes, extra: str = "") -> bytes:
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + value + b"\r\n"


async def test_an_upload_is_durable_and_announced_before_the_answer() -> None:
    service = Service()
    fields = FIELDS | {"title": "钢琴", "tags": ["a", "b"], "song_id": "s-1", "language": "zh-Hans", "text": "hi\nyou"}
    answer = await send(service, fields, key="k1")
    assert answer.status_code == 202
    assert answer.json() == {"media_id": media_id("u-1", "k1"), "state": "received"}
    (emit,) = service.publisher.events
    event = emit.record
    assert (emit.topic, emit.key) == (VIDEO_CREATED, answer.json()["media_id"])
    assert (event.title, event.tags, event.song_id, event.language) == ("钢琴", ("a", "b"), "s-1", "zh-Hans")
    assert event.occurred_at == NOW
    assert event.object.content_type == "video/mp4"
    assert service.objects.data[event.object.key] == MP4
    assert service.codec.encode(event)


async def test_a_file_is_streamed_not_gathered() -> None:
    service = Service()
    form = part("kind", b"video") + part("uploader", b"u") + part("file", MP4 + b"x" * 300_000, '; filename="f"')

    async def pieces():
        whole = form + b"--B--\r\n"
        for start in range(0, len(whole), 1000):
            yield whole[start : start + 1000]

    async with service.client() as client:
        headers = {"content-type": "multipart/form-data; boundary=B"}
        answer = await client.post("/v1/uploads", content=pieces(), headers=headers)
    assert answer.status_code == 202
    assert 0 < service.objects.largest_chunk <= 2000
    assert service.objects.data[service.publisher.events[0].record.object.key] == MP4 + b"x" * 300_000


@pytest.mark.parametrize("step", [1, 2, 3, 7, 50])
async def test_any_split_of_the_body_gives_the_same_bytes(step: int) -> None:
    service = Service()
    tricky = MP4 + b"\r\n--B\r\r\n--\r\n--A" * 5
    form = part("file", tricky, '; filename="f"') + part("kind", b"video") + part("uploader", b"u") + b"--B--\r\n"

    async def pieces():
        for start in range(0, len(form), step):
            yield form[start : start + step]

    # "\r\n--B\r\r" is no boundary of ours but the parser must refuse or keep it the same way at every split
    async with service.client() as client:
        headers = {"content-type": "multipart/form-data; boundary=B"}
        answer = await client.post("/v1/uploads", content=pieces(), headers=headers)
    assert answer.status_code == 400 or service.objects.data[service.publisher.events[0].record.object.key] == tricky
    safe = MP4 + b"\r\n--\r\n--A\r\n-" * 5
    form = part("file", safe, '; filename="f"') + part("kind", b"video") + part("uploader", b"u") + b"--B--\r\n"
    service = Service()
    async with service.client() as client:
        answer = await client.post("/v1/uploads", content=pieces(), headers=headers)
    assert answer.status_code == 202
    assert service.objects.data[service.publisher.events[0].record.object.key] == safe


async def test_the_same_key_gives_the_identical_event_again() -> None:
    service = Service()
    first = await send(service, FIELDS, key="k")
    service.now = NOW.replace(hour=9)
    second = await send(service, FIELDS, key="k")
    assert first.json() == second.json()
    assert second.status_code == 202
    one, two = service.publisher.events
    assert one.record == two.record


@pytest.mark.parametrize("change", [{"file": MP4 + b"!"}, {"data": FIELDS | {"title": "other"}}])
async def test_the_same_key_for_something_else_is_refused(change: dict) -> None:
    service = Service()
    await send(service, FIELDS, key="k")
    answer = await send(service, **({"data": FIELDS} | change), key="k")
    problem(answer, 422, "idempotency-mismatch")
    assert len(service.publisher.events) == 1


async def test_keys_of_two_uploaders_do_not_meet() -> None:
    service = Service()
    first = await send(service, FIELDS, key="k")
    second = await send(service, FIELDS | {"uploader": "u-2"}, key="k")
    assert first.json()["media_id"] != second.json()["media_id"]


async def test_without_a_key_each_upload_is_its_own() -> None:
    service = Service()
    assert (await send(service, FIELDS)).json() != (await send(service, FIELDS)).json()


@pytest.mark.parametrize("part_away", ["publisher", "objects"])
async def test_503_with_retry_after_and_a_repeat_mends_it(part_away: str) -> None:
    service = Service()
    getattr(service, part_away).away = True
    answer = await send(service, FIELDS, key="k")
    document = problem(answer, 503, "broker-unavailable" if part_away == "publisher" else "objects-unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "10.1.2.3" not in json.dumps(document)
    assert "secret" not in json.dumps(document)
    getattr(service, part_away).away = False
    assert (await send(service, FIELDS, key="k")).status_code == 202
    assert len(service.publisher.events) == 1


async def test_a_post_may_be_text_alone() -> None:
    service = Service()
    answer = await send(service, {"kind": "post", "uploader": "u", "text": "hello", "surface": "moment"}, None)
    assert answer.status_code == 202
    (emit,) = service.publisher.events
    assert emit.topic == POST_CREATED
    assert (emit.record.object, emit.record.surface) == (None, "moment")


async def test_a_browsers_empty_file_input_is_no_file() -> None:
    service = Service()
    body = part("kind", b"post") + part("uploader", b"u") + part("text", b"hi") + part("file", b"", '; filename=""')
    assert (await raw(service, body + b"--B--\r\n")).status_code == 202


@pytest.mark.parametrize(
    ("fields", "file", "status", "code"),
    [
        ({"uploader": "u"}, MP4, 422, "field-missing"),
        ({"kind": "video"}, MP4, 422, "field-missing"),
        (FIELDS, None, 422, "field-missing"),
        ({"kind": "post", "uploader": "u", "text": "  "}, None, 422, "field-missing"),
        (FIELDS | {"kind": "hologram"}, MP4, 422, "field-invalid"),
        (FIELDS | {"kind": "unknown"}, MP4, 422, "field-invalid"),
        (FIELDS | {"uploader": "../../etc/passwd"}, MP4, 422, "field-invalid"),
        (FIELDS | {"uploader": "a b"}, MP4, 422, "field-invalid"),
        (FIELDS | {"uploader": "u" * 129}, MP4, 422, "field-too-long"),
        (FIELDS | {"song_id": "a/b"}, MP4, 422, "field-invalid"),
        (FIELDS | {"language": "not a tag"}, MP4, 422, "field-invalid"),
        (FIELDS | {"surface": "moment"}, MP4, 422, "field-invalid"),
        ({"kind": "post", "uploader": "u", "surface": "wall"}, PNG, 422, "field-invalid"),
        (FIELDS | {"title": "x" * 301}, MP4, 422, "field-too-long"),
        (FIELDS | {"title": "a\0b"}, MP4, 422, "field-control-character"),
        (FIELDS | {"text": "字" * 10_001}, MP4, 422, "field-too-long"),
        (FIELDS | {"tags": ["t"] * 31}, MP4, 422, "field-too-many"),
        (FIELDS | {"tags": "t" * 65}, MP4, 422, "field-too-long"),
        (FIELDS | {"title": ["a", "b"]}, MP4, 422, "field-duplicate"),
        (FIELDS | {"kind": ["video", "audio"]}, MP4, 422, "field-duplicate"),
        (FIELDS | {"admin": "1"}, MP4, 422, "field-unknown"),
        (FIELDS, b"", 422, "media-empty"),
        (FIELDS, b"just some text, really", 415, "media-type"),
        (FIELDS, "text\u4e2d".encode("utf-16"), 415, "media-type"),
        (FIELDS, PNG, 415, "media-type"),
        (FIELDS, WAV, 415, "media-type"),
        (FIELDS, b"BM" + b"\0" * 100, 415, "media-type"),
        (FIELDS | {"kind": "audio"}, PNG, 415, "media-type"),
        (FIELDS | {"kind": "score"}, MP4, 415, "media-type"),
        (FIELDS | {"kind": "screenshot"}, b"%PDF-1.7 ...", 415, "media-type"),
    ],
)
async def test_refused(fields: dict, file: bytes | None, status: int, code: str) -> None:
    service = Service()
    problem(await send(service, fields, file), status, code)
    assert service.publisher.events == []
    assert not [key for key in service.objects.data if key.startswith("receipts/")]


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\x\\y.mp4", "a\x00b.mp4", "x" * 900, "clip.txt"])
async def test_a_file_name_is_never_used(name: str) -> None:
    service = Service()
    answer = await send(service, FIELDS, name=name)
    assert answer.status_code == 202
    assert not [key for key in service.objects.data if "passwd" in key or ".." in key or "clip" in key]


@pytest.mark.parametrize("first", [True, False])
async def test_limits_by_kind_wherever_the_kind_comes(first: bool) -> None:
    service = Service(settings=small_limits(video_bytes=5000, image_bytes=1000))
    kind, file = part("kind", b"post"), part("file", PNG, '; filename="x"')
    body = part("uploader", b"u") + (kind + file if first else file + kind) + b"--B--\r\n"
    problem(await raw(service, body), 413, "upload-too-large")
    assert service.publisher.events == []


async def test_a_container_of_either_family_is_checked_when_its_kind_comes_late() -> None:
    service = Service(settings=small_limits(audio_bytes=1000))
    body = part("uploader", b"u") + part("file", MP4, '; filename="x"') + part("kind", b"audio") + b"--B--\r\n"
    problem(await raw(service, body), 413, "upload-too-large")
    body = part("uploader", b"u") + part("file", MP4, '; filename="x"') + part("kind", b"score") + b"--B--\r\n"
    problem(await raw(service, body), 415, "media-type")


async def test_a_body_over_every_limit_is_refused_before_it_is_read() -> None:
    service = Service(settings=small_limits(video_bytes=100, audio_bytes=100, image_bytes=100))
    answer = await raw(service, b"x" * (2 * 1024 * 1024))
    problem(answer, 413, "body-too-large")


GOOD = part("kind", b"video") + part("uploader", b"u") + part("file", MP4, '; filename="f"')


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (GOOD + b"--B--\r\n", "multipart/form-data", 400, "multipart-boundary"),
        (GOOD + b"--B--\r\n", "multipart/form-data; boundary=" + "b" * 71, 400, "multipart-boundary"),
        (GOOD + b"--B--\r\n", "application/x-www-form-urlencoded", 415, "content-type"),
        (b'{"kind":"video"}', "application/json", 415, "content-type"),
        (GOOD, "multipart/form-data; boundary=B", 400, "multipart-truncated"),
        (GOOD[:-200], "multipart/form-data; boundary=B", 400, "multipart-truncated"),
        (b"", "multipart/form-data; boundary=B", 400, "multipart-truncated"),
        (b"no boundary at all", "multipart/form-data; boundary=B", 400, "multipart-malformed"),
        (b"--B\r\nbad header\r\n\r\nx\r\n--B--", "multipart/form-data; boundary=B", 400, "multipart-malformed"),
        (b"--B\r\nX-Only: 1\r\n\r\nx\r\n--B--", "multipart/form-data; boundary=B", 400, "multipart-malformed"),
        (
            b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--",
            "multipart/form-data; boundary=B",
            400,
            "multipart-malformed",
        ),
        (
            b'--B\r\nContent-Disposition: form-data; name="kind"\r\nContent-Disposition: form-data; name="x"\r\n\r\nx'
            b"\r\n--B--",
            "multipart/form-data; boundary=B",
            400,
            "multipart-malformed",
        ),
        (
            b"--B\r\nA: " + b"x" * 5000 + b"\r\n\r\nx\r\n--B--",
            "multipart/form-data; boundary=B",
            400,
            "multipart-malformed",
        ),
        (
            b'--B\r\nContent-Disposition: form-data; name="kind"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
            b"dg==\r\n--B--",
            "multipart/form-data; boundary=B",
            400,
            "multipart-encoding",
        ),
        (part("kind", b"\xff\xfe") + b"--B--", "multipart/form-data; boundary=B", 422, "field-encoding"),
        (
            GOOD + part("file", MP4, '; filename="g"') + b"--B--",
            "multipart/form-data; boundary=B",
            422,
            "field-duplicate",
        ),
        (part("title", b"x", '; filename="t"') + b"--B--", "multipart/form-data; boundary=B", 422, "field-is-file"),
        (
            part("file", b"", '; filename=""') * 101 + b"--B--",
            "multipart/form-data; boundary=B",
            400,
            "multipart-too-many-parts",
        ),
    ],
)
async def test_broken_forms(body: bytes, content_type: str, status: int, code: str) -> None:
    service = Service()
    problem(await raw(service, body, content_type), status, code)
    assert service.publisher.events == []


async def test_a_client_that_goes_away_leaves_nothing() -> None:
    service = Service()
    sent = iter([{"type": "http.request", "body": GOOD[:-500], "more_body": True}, {"type": "http.disconnect"}])
    answers: list[dict] = []

    async def receive() -> dict:
        return next(sent)

    async def keep(message: dict) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/uploads",
        "raw_path": b"/v1/uploads",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"multipart/form-data; boundary=B")],
    }
    await service.app(scope, receive, keep)
    assert answers[0]["status"] == 400
    assert service.objects.data == {}


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\xe9"])
async def test_bad_idempotency_keys(key: str) -> None:
    service = Service()
    answer = await raw(service, GOOD + b"--B--\r\n", **{"Idempotency-Key": key.encode("latin-1")})
    problem(answer, 400, "idempotency-key")


async def avatar(service: Service, data: dict, file: bytes = PNG, key: str = "k"):
    async with service.client() as client:
        return await client.post(
            "/v1/avatars", data=data, files={"file": ("me.png", file)}, headers={"Idempotency-Key": key}
        )


async def test_an_avatar_is_announced() -> None:
    service = Service()
    answer = await avatar(service, {"user": "u-9"})
    assert answer.status_code == 202
    (emit,) = service.publisher.events
    assert (emit.topic, emit.key, emit.record.object.content_type) == (AVATAR_CHANGED, "u-9", "image/png")
    await avatar(service, {"user": "u-9"})
    assert service.publisher.events[1].record == emit.record
    problem(await avatar(service, {"user": "u-9"}, PNG + b"x"), 422, "idempotency-mismatch")


async def test_what_an_avatar_came_with_is_told() -> None:
    service = Service()
    told = {"device": "d-1", "network": "n:2", "region": "DE", "reach": "1200"}
    assert (await avatar(service, {"user": "u-9"} | told)).status_code == 202
    record = service.publisher.events[0].record
    assert (record.device, record.network, record.region, record.reach) == ("d-1", "n:2", "DE", 1200)
    problem(await avatar(service, {"user": "u-9"} | told | {"reach": "1201"}), 422, "idempotency-mismatch")
    assert (await avatar(service, {"user": "u-9", "region": "", "reach": ""}, key="k2")).status_code == 202
    assert (service.publisher.events[1].record.region, service.publisher.events[1].record.reach) == ("", 0)


@pytest.mark.parametrize(
    "told",
    [
        *({"region": value} for value in ("de", "DEU", "D1", "D")),
        *({"reach": value} for value in ("-1", "1.5", "1e3", "many", "9" * 13)),
        *({name: value} for name in ("device", "network") for value in ("a/b", "a b")),
    ],
)
async def test_what_an_avatar_cannot_come_with(told: dict) -> None:
    service = Service()
    (name,) = told
    document = problem(await avatar(service, {"user": "u"} | told), 422, "field-invalid")
    assert document["detail"].startswith(f"{name}: ")
    assert service.publisher.events == []


async def test_bad_avatars() -> None:
    service = Service()
    problem(await avatar(service, {}), 422, "field-missing")
    problem(await avatar(service, {"user": "u"}, WAV), 415, "media-type")
    problem(await avatar(service, {"user": "u", "kind": "x"}), 422, "field-unknown")
    problem(await avatar(service, {"user": "u"}, b""), 422, "media-empty")
    assert service.publisher.events == []
