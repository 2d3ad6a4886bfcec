"""Takes the objects of erased uploads away, and again whatever comes late.

consumes  media.status.changed.v1
produces  nothing
stores    objects: removes an upload's file, what was made of it, its receipt; leaves the fence ``erased/<media id>``

Every fact of an upload, late ones too, makes ``item_publication`` say its status once more. So whoever was in
the midst of work and stored something after the erasure is followed by another status, and it goes then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from features.ownership import erase_medium
from features.ports import ObjectStore
from processors.runtime.processor import Emit, Received, capability
from schemas.media import MediaStatus
from schemas.topics import MEDIA_STATUS

AT_A_TIME = 8
log = structlog.get_logger(__name__)


@capability(consumes=(MEDIA_STATUS,), produces=(), batch=True)
async def media_erasure(events: Sequence[Received[MediaStatus]], *, objects: ObjectStore) -> list[Emit]:
    """Removes every object of erased uploads."""
    erased = sorted({e.record.media_id for e in events if e.record.erased})
    for start in range(0, len(erased), AT_A_TIME):
        await asyncio.gather(*[erase_medium(objects, media_id) for media_id in erased[start : start + AT_A_TIME]])
    if erased:
        log.info("objects erased", uploads=len(erased))
    return []
