"""What the ingest stores, in which order, and that what it refuses leaves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from features import ownership
from schemas.errors import UnavailableError
from schemas.ids import media_id
from tests.fakes.serving import Service, small_limits

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 200
WAV = b"RIFF\x24\x08\0\0WAVEfmt " + b"\0" * 600
MEDIA = media_id("u-1", "k")


async def send(service: Service, file: bytes = PNG, path: str = "/v1/uploads", **fields: str) -> Any:
    data = {"kind": "post", "uploader": "u-1"} | fields if path == "/v1/uploads" else fields
    async with service.client() as client:
        return await client.post(path, data=data, files={"file": ("f", file)}, headers={"Idempotency-Key": "k"})


async def test_everything_of_an_upload_lies_under_its_id() -> None:
    service = Service()
    assert (await send(service, title="T")).status_code == 202
    (emit,) = service.publisher.events
    assert emit.record.object.key == ownership.file_key(MEDIA, emit.record.object.sha256)
    assert list(service.objects.data) == [
        f"owners/{ownership.user_token('u-1')}/{MEDIA}",
        f"receipts/{MEDIA}.json",
        emit.record.object.key,
    ], "in this order: an erasure at any moment finds all that is there"
    assert service.objects.data[emit.record.object.key] == PNG


async def test_an_avatar_lies_under_its_user() -> None:
    service = Service()
    assert (await send(service, path="/v1/avatars", user="u-1")).status_code == 202
    (emit,) = service.publisher.events
    receipt = f"{ownership.avatar_receipts('u-1')}/{emit.record.event_id}.json"
    assert list(service.objects.data) == [receipt, emit.record.object.key]
    assert emit.record.object.key == ownership.avatar_key("u-1", emit.record.event_id, emit.record.object.sha256)


@pytest.mark.parametrize(
    ("file", "path", "fields"),
    [
        (WAV, "/v1/uploads", {}),
        (PNG, "/v1/uploads", {"uploader": ""}),
        (PNG, "/v1/uploads", {"surface": "nowhere"}),
        (PNG, "/v1/uploads", {"strange": "field"}),
        (PNG * 100, "/v1/uploads", {}),
        (PNG, "/v1/avatars", {}),
    ],
    ids=["type", "uploader", "surface", "field", "size", "avatar"],
)
async def test_what_is_refused_leaves_nothing(file: bytes, path: str, fields: dict[str, str]) -> None:
    service = Service(settings=small_limits(image_bytes=5000))
    assert (await send(service, file, path, **fields)).status_code in (413, 415, 422)
    assert service.objects.data == {}


async def test_another_file_under_the_same_key_leaves_the_first() -> None:
    service = Service()
    await send(service)
    before = dict(service.objects.data)
    assert (await send(service, PNG + b"other")).status_code == 422
    assert service.objects.data == before


async def test_a_file_that_cannot_be_removed_now_waits_for_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_key: str) -> None:
        raise UnavailableError("the store is away")

    service = Service()
    monkeypatch.setattr(service.objects, "delete", away)
    assert (await send(service, uploader="")).status_code == 422
    (left,) = service.objects.data
    assert left.startswith("incoming/")
