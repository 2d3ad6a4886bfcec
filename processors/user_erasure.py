"""Withdraws all that a user has uploaded, removes the avatars, and tells of it who reads no erasures.

consumes  user.account.erased.v1
produces  media.item.withdrawn.v1, user.face.embedded.v1 and review.action.taken.v1 (face and cases are to be forgotten)
stores    objects: removes avatars with their receipts, and files of ended requests

What else is known of a user goes with these: ``item_publication`` blanks the uploads' status and withdraws the items,
``media_erasure`` removes their objects, ``item_indexing`` their vectors and features, ``play_aggregation`` the taste,
``user_profile`` what the user has told of himself, ``avatar_publication`` what became of the avatar,
``fraud_clustering`` the face's vector and the place in rings, ``review_settlement`` cases of what the user sent.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from features.ownership import claimed, erase_avatars, forget_unaccepted, sweep_unfinished
from features.ports import ObjectStore
from processors.runtime.processor import Emit, capability
from schemas.ids import stable_id
from schemas.media import MediaWithdrawn
from schemas.review import ReviewActed
from schemas.topics import FACE_EMBEDDED, MEDIA_WITHDRAWN, REVIEW_ACTED, USER_ERASED
from schemas.user import FaceEmbedded, UserErased

REQUESTED_BY = "user-erasure"
MODERATOR = "system:user_erasure"
log = structlog.get_logger(__name__)


class UploadLog(Protocol):
    """What the topics know of uploads."""

    async def media_of(self, user: str, until: datetime) -> set[str]:
        """Ids of the user's uploads accepted up to ``until``, as far as the topics still hold them.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...


@capability(consumes=(USER_ERASED,), produces=(MEDIA_WITHDRAWN, FACE_EMBEDDED, REVIEW_ACTED), concurrency=4)
async def user_erasure(
    event: UserErased, *, objects: ObjectStore, upload_log: UploadLog, erasure_settle: timedelta
) -> list[Emit]:
    """Withdraws a user's uploads for erasure and removes the avatars."""
    # a request that was being accepted when the erasure was asked for has ended by then, one way or the other;
    # the clock of whoever asked may be fast
    left = min(erasure_settle, event.occurred_at + erasure_settle - datetime.now(UTC))
    await asyncio.sleep(max(0.0, left.total_seconds()))
    media = await upload_log.media_of(event.user_id, event.occurred_at)
    async for media_id in claimed(objects, event.user_id, event.occurred_at):
        if not await forget_unaccepted(objects, event.user_id, media_id):
            media.add(media_id)
    avatars = await erase_avatars(objects, event.user_id, event.occurred_at)
    left_over = await sweep_unfinished(objects)
    log.info("user erased", uploads=len(media), avatars=avatars, unfinished_uploads=left_over)
    told = [Emit(FACE_EMBEDDED, event.user_id, _faceless(event)), Emit(REVIEW_ACTED, event.user_id, _forgotten(event))]
    return told + [Emit(MEDIA_WITHDRAWN, media_id, _withdrawn(media_id, event)) for media_id in sorted(media)]


def _faceless(event: UserErased) -> FaceEmbedded:
    return FaceEmbedded(
        event_id=stable_id("face-erased", event.event_id),
        source_event_id=event.event_id,
        occurred_at=event.occurred_at,
        user_id=event.user_id,
        erased=True,
    )


def _forgotten(event: UserErased) -> ReviewActed:
    return ReviewActed(
        event_id=stable_id("cases-erased", event.event_id),
        occurred_at=event.occurred_at,
        moderator=MODERATOR,
        action="erase",
        owner=event.user_id,
    )


def _withdrawn(media_id: str, event: UserErased) -> MediaWithdrawn:
    return MediaWithdrawn(
        event_id=stable_id("erased", media_id, event.event_id),
        occurred_at=event.occurred_at,
        media_id=media_id,
        requested_by=REQUESTED_BY,
        erase=True,
    )
