"""Which objects belong to whom: a key begins with its owner, so that an owner's objects go whole and nobody else's do.

===============================================  ===================================================================
``media/<media id>/<sha256>``                    the uploaded file
``derived/items/<media id>/...``                 what capabilities made of it
``receipts/<media id>.json``                     the event that was accepted
``owners/<user token>/<media id>``               whose it is, and since when; written before all of the above
``avatars/<user token>/<event id>/<sha256>``     an avatar
``avatars/<user token>/<event id>/derived/...``  what capabilities made of it
``receipts/avatars/<user token>/<event id>.json``  the event that announced it
``erased/<media id>``                            the fence: what is missing was erased and is not lost
``incoming/<number>/...``                        files of requests that are not accepted yet
===============================================  ===================================================================

Equal files of two uploads are kept twice: were they shared, erasing one could take the other's away in the moment in
which it is accepted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import orjson

from features.ports import ObjectStore
from schemas.errors import AppError, BadEventError, BadMediaError
from schemas.ids import stable_id

INCOMING = "incoming"
RECEIPTS = "receipts"
UNFINISHED = timedelta(hours=1)
"""Age from which a file of an unfinished request is left over; a request that stands still ends much sooner."""


def user_token(user: str) -> str:
    """Name of a user in keys: a user id may hold what no key may."""
    return stable_id("user", user)


def file_key(media_id: str, sha256: str) -> str:
    return f"{media_folder(media_id)}/{sha256}"


def media_folder(media_id: str) -> str:
    """Where an upload's file lies."""
    return f"media/{media_id}"


def derived_folder(media_id: str) -> str:
    """Where everything goes that a capability makes of an upload."""
    return f"derived/items/{media_id}"


def avatar_key(user: str, event_id: str, sha256: str) -> str:
    return f"{avatar_folder(user, event_id)}/{sha256}"


def avatar_folder(user: str, event_id: str) -> str:
    """Where an avatar lies with all that is made of it."""
    return f"avatars/{user_token(user)}/{event_id}"


def avatar_derived_folder(user: str, event_id: str) -> str:
    """Where everything goes that a capability makes of an avatar."""
    return f"{avatar_folder(user, event_id)}/derived"


def avatar_receipts(user: str) -> str:
    """Folder of a user's avatar receipts."""
    return f"{RECEIPTS}/avatars/{user_token(user)}"


async def claim(objects: ObjectStore, user: str, media_id: str, at: datetime) -> None:
    """Note whose an upload is before anything else of it is stored."""
    await objects.put_new(_owner_key(user, media_id), orjson.dumps(at))


async def claimed(objects: ObjectStore, user: str, until: datetime) -> AsyncIterator[str]:
    """Media ids of a user's uploads up to ``until``."""
    async for each in objects.walk(f"owners/{user_token(user)}"):
        try:
            at = datetime.fromisoformat(orjson.loads(await objects.get(each.key)))
        except KeyError:
            continue  # erased meanwhile
        if at <= until:
            yield each.key.rpartition("/")[2]


async def forget_unaccepted(objects: ObjectStore, user: str, media_id: str) -> bool:
    """Drop the claim of an upload that was never accepted; whether it was one.

    Only when no request can still be about to accept it.
    """
    try:
        await objects.get(_receipt_key(media_id))
    except KeyError:
        await objects.delete(_owner_key(user, media_id))
        return True
    return False


async def erase_medium(objects: ObjectStore, media_id: str) -> None:
    """Remove every object of an upload; may be repeated, and ended at any place and begun again."""
    await objects.put_new(_fence_key(media_id), b"")
    for folder in (media_folder(media_id), derived_folder(media_id)):
        await _remove_folder(objects, folder)
    receipt = _receipt_key(media_id)
    try:
        uploader = orjson.loads(await objects.get(receipt))["uploader"]
    except KeyError:
        return
    # the receipt goes last: it alone says whose claim is to be removed
    await objects.delete(_owner_key(uploader, media_id))
    await objects.delete(receipt)


async def avatars(objects: ObjectStore, user: str, until: datetime) -> AsyncIterator[str]:
    """Event ids of a user's avatars up to ``until``."""
    async for each in objects.walk(avatar_receipts(user)):
        try:
            event = orjson.loads(await objects.get(each.key))
        except KeyError:
            continue  # erased meanwhile
        if datetime.fromisoformat(event["occurred_at"]) <= until:
            yield str(event["event_id"])


async def erase_avatars(objects: ObjectStore, user: str, until: datetime) -> int:
    """Remove a user's avatars up to ``until``; how many there were. May be repeated."""
    found = [event_id async for event_id in avatars(objects, user, until)]
    for event_id in found:
        await forget_avatar(objects, user, event_id)
    return len(found)


async def forget_avatar(objects: ObjectStore, user: str, event_id: str) -> None:
    """Remove every object of one avatar; may be repeated, and ended at any place and begun again."""
    await _remove_folder(objects, avatar_folder(user, event_id))
    # the receipt goes last: it alone says that there is an avatar
    await objects.delete(_avatar_receipt(user, event_id))


async def unclaimed_avatars(objects: ObjectStore, user: str, keep: str) -> list[str]:
    """Keys of what was stored of a user's avatars after they had been erased.

    A receipt is there before anything else of an avatar, and goes last.

    Args:
        objects: The store.
        user: Whose avatars.
        keep: Event id of an avatar that stays although it has no receipt; empty: none does.
    """
    # listed before the receipts: an avatar that is accepted meanwhile has its receipt by then
    stored = [each.key async for each in objects.walk(f"avatars/{user_token(user)}")]
    known = {each.key.rpartition("/")[2].removesuffix(".json") async for each in objects.walk(avatar_receipts(user))}
    return [key for key in stored if key.split("/")[2] not in known | {keep}]


async def sweep_avatars(objects: ObjectStore, user: str, keep: str) -> int:
    """Remove those, see `unclaimed_avatars`; how many objects."""
    left = await unclaimed_avatars(objects, user, keep)
    for key in left:
        await objects.delete(key)
    return len(left)


async def sweep_unfinished(objects: ObjectStore) -> int:
    """Remove files that ended requests left behind, whosever they are; how many there were."""
    before = datetime.now(UTC) - UNFINISHED
    left = [each.key async for each in objects.walk(INCOMING) if each.changed_at < before]
    for key in left:
        await objects.delete(key)
    return len(left) + await objects.sweep(UNFINISHED)


async def is_erased(objects: ObjectStore, media_id: str) -> bool:
    """Whether the objects of an upload were taken away on purpose."""
    try:
        await objects.get(_fence_key(media_id))
    except KeyError:
        return False
    return True


async def get_object(objects: ObjectStore, media_id: str, key: str) -> bytes:
    """Bytes of an upload's object.

    Raises:
        BadMediaError: the upload was erased.
        BadEventError: the object is lost.
    """
    try:
        return await objects.get(key)
    except KeyError as error:
        raise await missing_object(objects, media_id, key) from error


async def missing_object(objects: ObjectStore, media_id: str, key: str) -> AppError:
    """What to raise where an upload's object is not there: erased is the user's wish, lost is our failure."""
    if await is_erased(objects, media_id):
        return BadMediaError("The upload was erased.", code="withdrawn")
    return BadEventError(f"no object {key}", code="object-missing")


async def missing_avatar(objects: ObjectStore, user: str, event_id: str, key: str) -> AppError:
    """The same for an avatar's object, whose receipt goes last: where that is still there, the object is lost."""
    try:
        await objects.get(_avatar_receipt(user, event_id))
    except KeyError:
        return BadMediaError("The avatar was erased.", code="withdrawn")
    return BadEventError(f"no object {key}", code="object-missing")


async def _remove_folder(objects: ObjectStore, folder: str) -> None:
    for key in [each.key async for each in objects.walk(folder)]:
        await objects.delete(key)


def _owner_key(user: str, media_id: str) -> str:
    return f"owners/{user_token(user)}/{media_id}"


def _receipt_key(media_id: str) -> str:
    return f"{RECEIPTS}/{media_id}.json"


def _avatar_receipt(user: str, event_id: str) -> str:
    return f"{avatar_receipts(user)}/{event_id}.json"


def _fence_key(media_id: str) -> str:
    return f"erased/{media_id}"
