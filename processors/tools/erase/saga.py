"""Asking for a user to be forgotten, and seeing how far it is. The workers do it; this only watches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from features.ownership import avatars, claimed, derived_folder, media_folder, unclaimed_avatars
from features.views import COLLECTIONS, ITEM_CONTENT, USER_AVATAR, VIEWS
from processors.runtime.processor import Emit
from processors.runtime.topic_scan import read_to_end
from processors.runtime.wiring import Wiring
from schemas.codec import UnknownSchemaError
from schemas.fraud import FaceKept, RingSuspected
from schemas.ids import stable_id
from schemas.media import MediaStatus
from schemas.play import PlayAggregate
from schemas.record import Record
from schemas.review import ReviewCase
from schemas.topics import (
    AVATAR_SETTLED,
    BY_NAME,
    FACE_KEPT,
    MEDIA_STATUS,
    PLAY_AGGREGATED,
    PROFILE_CHANGED,
    PROFILE_KEPT,
    REVIEW_CASE,
    RING_SUSPECTED,
    USER_ERASED,
)
from schemas.user import AvatarSettled, ProfileChanged, ProfileKept, UserErased

AT_A_TIME = 500
KEYED = (MEDIA_STATUS, PLAY_AGGREGATED, PROFILE_CHANGED, PROFILE_KEPT, AVATAR_SETTLED, FACE_KEPT)
"""Topics whose newest record of a user or an upload must be blank in the end."""
NAMING = (REVIEW_CASE, RING_SUSPECTED)
"""Topics of others' keys whose newest records may name a user."""


@dataclass(frozen=True)
class Belongings:
    """What is known of a user.

    Attributes:
        media: Ids of uploads.
        avatars: Number of avatars.
        views: Names of the feature views that hold the user.
    """

    media: frozenset[str]
    avatars: int
    views: tuple[str, ...]


async def belongings(wiring: Wiring, user: str, until: datetime) -> Belongings:
    """What an erasure would forget.

    Raises:
        UnavailableError: a store or the broker does not answer.
    """
    media = await wiring.upload_log.media_of(user, until)
    media |= {media_id async for media_id in claimed(wiring.objects, user, until)}
    count = len([each async for each in avatars(wiring.objects, user, until)])
    return Belongings(frozenset(media), count, tuple(await _views_with(wiring, user, until)))


async def ask(wiring: Wiring, user: str, requested_by: str) -> UserErased:
    """Ask for everything up to now to be forgotten; durable when this returns.

    Raises:
        UnavailableError: the broker did not acknowledge it.
    """
    now = datetime.now(UTC)
    at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    event = UserErased(
        event_id=stable_id("user-erased", user, at.isoformat()), occurred_at=at, user_id=user, requested_by=requested_by
    )
    await wiring.publisher.publish([Emit(USER_ERASED, user, event)])
    return event


async def remains(wiring: Wiring, event: UserErased, media: frozenset[str]) -> list[str]:
    """What is still to be done, one sentence each; empty when nothing is.

    Args:
        wiring: The stores.
        event: What was asked for.
        media: Uploads known to be the user's.

    Raises:
        UnavailableError: a store or the broker does not answer.
    """
    user, until = event.user_id, event.occurred_at
    if datetime.now(UTC) < until + wiring.erasure_settle:
        return ["requests that were being accepted are given time to end"]
    found = [f"upload {each} is claimed" async for each in claimed(wiring.objects, user, until)]
    found += [f"avatar {each} is there" async for each in avatars(wiring.objects, user, until)]
    found += [f"object {key} is there" for key in await _left_of_avatars(wiring, user)]
    found += [f"{view} holds the user" for view in await _views_with(wiring, user, until)]
    for media_id in sorted(media):
        for folder in (media_folder(media_id), derived_folder(media_id)):
            found += [f"object {each.key} is there" async for each in wiring.objects.walk(folder)]
    found += await _indexed(wiring, sorted(media))
    # the topics are read from end to end, so only when all else is done
    return found or _unmerged(wiring, event, media)


async def _left_of_avatars(wiring: Wiring, user: str) -> list[str]:
    """Keys of crops and previews whose avatar is gone."""
    (row,) = await wiring.feature_reader.read(USER_AVATAR.name, [user])
    # an avatar that another producer has announced has no receipt of ours
    return await unclaimed_avatars(wiring.objects, user, keep="" if row is None else row.values["event_id"])


async def _views_with(wiring: Wiring, user: str, until: datetime) -> list[str]:
    found = []
    for view in (each.name for each in VIEWS.values() if each.entity == "user"):
        (row,) = await wiring.feature_reader.read(view, [user])
        if row is not None and row.at <= until:
            found.append(view)
    return found


async def _indexed(wiring: Wiring, media: list[str]) -> list[str]:
    found = []
    for start in range(0, len(media), AT_A_TIME):
        some = media[start : start + AT_A_TIME]
        rows = await wiring.feature_reader.read(ITEM_CONTENT.name, some)
        found += [f"{ITEM_CONTENT.name} holds {row.entity_id}" for row in rows if row is not None]
        for alias in COLLECTIONS:
            found += [f"{alias} holds {each}" for each in await wiring.vector_index.fetch(alias, some)]
    return found


def _unmerged(wiring: Wiring, event: UserErased, media: frozenset[str]) -> list[str]:
    """Uploads whose newest status is not erased, and what states hold of the user from before."""
    waiting = {(MEDIA_STATUS.name, each): "does not say it yet" for each in media}
    keys = media | {event.user_id, f"user:{event.user_id}"}
    naming = {topic.name for topic in NAMING}
    for message in read_to_end(wiring.settings.kafka, [topic.name for topic in (*KEYED, *NAMING)]):
        key, topic, value = (message.key() or b"").decode(errors="replace"), message.topic() or "", message.value()
        if topic in naming and (value is None or event.user_id.encode() not in value):
            waiting.pop((topic, key), None)
            continue
        if value is None or (topic not in naming and key not in keys):
            continue
        if is_blank(_decoded(wiring, topic, value), event.user_id, event.occurred_at):
            waiting.pop((topic, key), None)
        else:
            waiting[topic, key] = "holds it from before"
    return [f"{key}: {topic} {why}" for (topic, key), why in sorted(waiting.items())]


def is_blank(record: Record, user: str, until: datetime) -> bool:
    """Whether a record tells nothing of what was of the user before the erasure at ``until``."""
    match record:
        case MediaStatus():
            return record.erased
        case PlayAggregate() | ProfileKept() | AvatarSettled() | FaceKept():
            return record.erased_at is not None and record.erased_at >= until
        case ProfileChanged():
            return record.occurred_at >= until
        case ReviewCase(request=request):
            return request is None or request.occurred_at > until or user not in (request.owner, *request.members)
        case RingSuspected():
            return record.occurred_at > until or user not in record.members
    return False


def _decoded(wiring: Wiring, topic: str, value: bytes) -> Record:
    try:
        return wiring.codec.decode(value, BY_NAME[topic].record)
    except UnknownSchemaError as unknown:
        wiring.codec.learn(unknown.schema_id, wiring.registry.fetch(unknown.schema_id))
        return wiring.codec.decode(value, BY_NAME[topic].record)
