"""Erasing uploads and users: what goes, what stays, and that it may be ended anywhere and begun again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from features import ownership
from processors.media_erasure import media_erasure
from processors.runtime.processor import Received
from processors.serving.receipts import Receipts
from processors.user_erasure import user_erasure
from schemas import topics
from schemas.common import ObjectRef
from schemas.errors import BadEventError, BadMediaError
from schemas.media import MediaStatus, MediaWithdrawn
from schemas.review import ReviewActed
from schemas.upload import UploadCreated
from schemas.user import AvatarChanged, FaceEmbedded, UserErased
from tests.fakes.features import MemoryObjects
from tests.fakes.runtime import at

ERASED = UserErased(event_id="x", occurred_at=at(10), user_id="ada", requested_by="test")


async def accept(objects: MemoryObjects, user: str, media_id: str, second: float) -> None:
    """What the ingest stores of an upload, and what capabilities make of it."""
    key = ownership.file_key(media_id, "aa")
    event = UploadCreated(
        event_id="e",
        occurred_at=at(second),
        media_id=media_id,
        kind="video",
        uploader=user,
        object=ObjectRef(key=key, sha256="aa", size_bytes=1, content_type="video/mp4"),
    )
    await ownership.claim(objects, user, media_id, event.occurred_at)
    await Receipts(objects, UploadCreated).settle(media_id, event)
    await objects.put(key, b"bytes", "video/mp4")
    await objects.put(f"{ownership.derived_folder(media_id)}/analysis", b"arrays", "x/y")


async def change_avatar(objects: MemoryObjects, user: str, event_id: str, second: float) -> None:
    key = ownership.avatar_key(user, event_id, "aa")
    ref = ObjectRef(key=key, sha256="aa", size_bytes=1, content_type="image/png")
    event = AvatarChanged(event_id=event_id, occurred_at=at(second), user_id=user, object=ref)
    await Receipts(objects, AvatarChanged, ownership.avatar_receipts(user)).settle(event_id, event)
    await objects.put(key, b"face", "image/png")


def keys_of(objects: MemoryObjects, part: str) -> list[str]:
    return [key for key in objects.data if part in key]


async def erase(objects: MemoryObjects, *media: str, erased: bool = True) -> None:
    events: list[Received[Any]] = [
        Received(
            MediaStatus(media_id=m, kind="video", state="deleted", seq=1, changed_at=at(0), erased=erased), "t", 0, n
        )
        for n, m in enumerate(media)
    ]
    assert await media_erasure.handler(events, objects=objects) == []


class Log:
    """`UploadLog` that knows what it is told."""

    def __init__(self, *media: str) -> None:
        self.media = set(media)

    async def media_of(self, user: str, until: Any) -> set[str]:
        return set(self.media)


async def forget(objects: MemoryObjects, *logged: str) -> list[str]:
    emits = await user_erasure.handler(
        ERASED, objects=objects, upload_log=Log(*logged), erasure_settle=timedelta(seconds=0)
    )
    face, cases, *withdrawn = emits
    assert (face.topic, face.key, cases.topic) == (topics.FACE_EMBEDDED, "ada", topics.REVIEW_ACTED)
    assert isinstance(face.record, FaceEmbedded)
    assert (face.record.user_id, face.record.occurred_at, face.record.erased, face.record.vector) == (
        "ada",
        at(10),
        True,
        (),
    )
    assert isinstance(cases.record, ReviewActed)
    assert (cases.record.action, cases.record.owner, cases.record.occurred_at) == ("erase", "ada", at(10))
    for emit in withdrawn:
        assert emit.topic == topics.MEDIA_WITHDRAWN
        assert isinstance(emit.record, MediaWithdrawn)
        assert (emit.record.erase, emit.record.occurred_at, emit.record.media_id) == (True, at(10), emit.key)
    return [emit.key for emit in withdrawn]


async def test_all_of_an_upload_goes_and_a_fence_stays() -> None:
    objects = MemoryObjects()
    await accept(objects, "ada", "m1", 0)
    await accept(objects, "bob", "m2", 0)
    await erase(objects, "m1")
    assert keys_of(objects, "m1") == ["erased/m1"]
    assert len(keys_of(objects, "m2")) == 4
    assert await ownership.is_erased(objects, "m1")
    assert not await ownership.is_erased(objects, "m2")


async def test_an_upload_that_was_only_withdrawn_keeps_its_objects() -> None:
    objects = MemoryObjects()
    await accept(objects, "ada", "m1", 0)
    await erase(objects, "m1", erased=False)
    assert len(keys_of(objects, "m1")) == 4


async def test_what_is_stored_late_goes_with_the_next_status() -> None:
    objects = MemoryObjects()
    await accept(objects, "ada", "m1", 0)
    await erase(objects, "m1")
    await objects.put(f"{ownership.derived_folder('m1')}/embedding", b"late", "x/y")
    await erase(objects, "m1", "m1")
    assert keys_of(objects, "m1") == ["erased/m1"]


class EndsError(Exception):
    """The process dies here."""


class Dying(MemoryObjects):
    """Dies before the n-th change."""

    def __init__(self, data: dict[str, bytes], changes: int) -> None:
        super().__init__()
        self.data, self.left = data, changes

    def _count(self) -> None:
        if self.left == 0:
            raise EndsError
        self.left -= 1

    async def delete(self, key: str) -> None:
        self._count()
        await super().delete(key)

    async def put_new(self, key: str, data: bytes) -> bool:
        self._count()
        return await super().put_new(key, data)


@pytest.mark.parametrize("changes", range(8))
async def test_wherever_it_dies_a_second_try_ends_in_the_same(changes: int) -> None:
    objects = MemoryObjects()
    await accept(objects, "ada", "m1", 0)
    await change_avatar(objects, "ada", "a1", 0)
    dying = Dying(objects.data, changes)
    try:
        await erase(dying, "m1")
        await forget(dying)
    except EndsError:
        assert changes < 7
    else:
        assert changes == 7
    await forget(objects, "m1")
    await erase(objects, "m1")
    assert list(objects.data) == ["erased/m1"]


@pytest.mark.parametrize("changes", range(6))
async def test_a_deletion_that_died_anywhere_needs_nothing_but_to_come_again(changes: int) -> None:
    objects = MemoryObjects()
    await accept(objects, "ada", "m1", 0)
    try:
        await erase(Dying(objects.data, changes), "m1")
    except EndsError:
        assert changes < 5
    else:
        assert changes == 5
    await erase(objects, "m1")
    assert list(objects.data) == ["erased/m1"]


async def test_what_the_topics_and_the_claims_know_is_withdrawn_once() -> None:
    objects = MemoryObjects()
    await accept(objects, "ada", "m1", 0)
    await accept(objects, "ada", "m2", 10)
    await accept(objects, "ada", "m3", 11)
    await accept(objects, "bob", "m4", 0)
    assert await forget(objects, "m1", "m9") == ["m1", "m2", "m9"]
    assert await forget(objects, "m1", "m9") == ["m1", "m2", "m9"], "until media_erasure has removed them"


async def test_a_claim_of_what_was_never_accepted_is_dropped() -> None:
    objects = MemoryObjects()
    await ownership.claim(objects, "ada", "m1", at(0))
    assert await forget(objects) == []
    assert objects.data == {}


async def test_avatars_go_and_those_of_a_new_start_stay() -> None:
    objects = MemoryObjects()
    await change_avatar(objects, "ada", "old", 10)
    await change_avatar(objects, "ada", "new", 11)
    await change_avatar(objects, "bob", "old", 0)
    await forget(objects)
    assert len(keys_of(objects, "old")) == 2
    assert len(keys_of(objects, "new")) == 2
    assert not [k for k in keys_of(objects, "old") if ownership.user_token("ada") in k]


async def test_a_crop_without_a_receipt_was_stored_after_the_erasure() -> None:
    """What a capability still makes of an avatar in the moment in which that goes."""
    objects = MemoryObjects()
    await change_avatar(objects, "ada", "old", 10)
    await change_avatar(objects, "ada", "new", 11)
    await forget(objects)
    for name in ("old", "new"):
        await objects.put(f"avatars/{ownership.user_token('ada')}/{name}/crop.webp", b"face", "image/webp")
    assert await ownership.sweep_avatars(objects, "ada", keep="") == 1
    assert keys_of(objects, "old") == []
    assert len(keys_of(objects, "new")) == 3


async def test_requests_in_flight_are_given_time() -> None:
    """Whoever began to accept an upload before the erasure has ended when the claims are read."""
    objects = MemoryObjects()
    now = ownership.datetime.now(ownership.UTC)
    event = UserErased(event_id="x", occurred_at=now, user_id="ada", requested_by="test")
    work = asyncio.ensure_future(
        user_erasure.handler(event, objects=objects, upload_log=Log(), erasure_settle=timedelta(milliseconds=300))
    )
    await asyncio.sleep(0.05)
    await accept(objects, "ada", "m1", -100)
    assert [emit.key for emit in await work if emit.topic == topics.MEDIA_WITHDRAWN] == ["m1"]


async def test_a_fast_clock_of_who_asked_holds_nobody_up() -> None:
    objects = MemoryObjects()
    await change_avatar(objects, "ada", "a1", 0)
    later = ownership.datetime.now(ownership.UTC) + timedelta(days=1)
    event = UserErased(event_id="x", occurred_at=later, user_id="ada", requested_by="test")
    async with asyncio.timeout(60):
        await user_erasure.handler(event, objects=objects, upload_log=Log(), erasure_settle=timedelta(milliseconds=1))
    assert objects.data == {}


async def test_missing_bytes_are_the_users_wish_or_our_failure() -> None:
    objects = MemoryObjects()
    with pytest.raises(BadEventError) as lost:
        await ownership.get_object(objects, "m1", "media/m1/x")
    assert lost.value.code == "object-missing"
    await erase(objects, "m1")
    with pytest.raises(BadMediaError) as erased:
        await ownership.get_object(objects, "m1", "media/m1/x")
    assert erased.value.code == "withdrawn"


def test_a_user_id_of_any_letters_has_a_key() -> None:
    for user in ("../../etc", "a b", "用户", "x" * 128):
        assert ownership.avatar_receipts(user).count("/") == 2
