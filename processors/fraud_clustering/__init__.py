"""Finds rings: accounts whose avatars show one face.

consumes  user.face.embedded.v1
produces  fraud.ring.suspected.v1, review.item.requested.v1, fraud.face.kept.v1 (its state)
models    `fraud_clustering`
stores    nothing: vectors of users' faces are in these two topics, and those of its retries and dead letters, only

The rings that stand are a function of the newest face of each account within the window, and the window ends at the
newest event seen: whatever the order of the events, the batches, repeats and crashes, the same rings stand in the end.
What is said of them is compared with what the topic of rings says, read anew whenever the last answer may not have come
through. Rings are said before the faces they are made of are kept, so that after a crash they are found again.
"""

from __future__ import annotations

from collections.abc import Sequence

from processors.fraud_clustering.desk import RingDesk
from processors.runtime.processor import Emit, Offload, Received, State, capability
from schemas.topics import FACE_EMBEDDED, FACE_KEPT, REVIEW_REQUESTED, RING_SUSPECTED
from schemas.user import FaceEmbedded


@capability(
    consumes=(FACE_EMBEDDED,),
    produces=(RING_SUSPECTED, REVIEW_REQUESTED, FACE_KEPT),
    weight="thread",
    batch=True,
    gather=(FACE_EMBEDDED,),
    state=FACE_KEPT,
)
async def fraud_clustering(
    events: Sequence[Received[FaceEmbedded]], *, state: State, ring_desk: RingDesk, offload: Offload
) -> list[Emit]:
    """Finds accounts whose avatars show one face."""
    return await ring_desk.work([received.record for received in events], state, offload)
