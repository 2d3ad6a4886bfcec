"""Counts how often each item was shown, so that one that nobody plays does not count as cold for ever.

consumes  user.item.interacted.v1 (by user)
produces  item.exposure.counted.v1 (its state)
stores    nothing: the service sums the counts of all partitions

An item's exposures are spread over all partitions. Each partition counts its own part, and the newest part of each
replaces the one before, as with the plays of a song. No total is made of them here: the service is the only reader, and
it follows every partition. A count carries the offset it has come to: after a kill or a replay what is not above it
was counted already. An exposure that a client sends again counts again, as remembering the ids of what is ten times
as frequent as plays would cost more than a border of some hundred needs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from processors.runtime.processor import Emit, Received, State, capability
from schemas.interaction import ExposuresCounted, ItemInteracted
from schemas.topics import EXPOSURES_COUNTED, ITEM_INTERACTED


@capability(
    consumes=(ITEM_INTERACTED,),
    produces=(EXPOSURES_COUNTED,),
    state=EXPOSURES_COUNTED,
    batch=True,
    gather=(ITEM_INTERACTED,),
)
async def exposure_counting(events: Sequence[Received[ItemInteracted]], *, state: State) -> list[Emit]:
    """Counts exposures by item, for the border between cold and known items."""
    offsets: defaultdict[str, list[int]] = defaultdict(list)
    for received in events:
        if received.record.action == "exposed":
            offsets[received.record.item_id].append(received.offset)
    parts = (_counted(item, events[0].partition, seen, state) for item, seen in offsets.items())
    return [Emit(EXPOSURES_COUNTED, part.item_id, part) for part in parts if part is not None]


def _counted(item: str, partition: int, offsets: Sequence[int], state: State) -> ExposuresCounted | None:
    """An item's count after exposures at these offsets, in growing order; None if all were counted before."""
    known = state.get(item)
    before, applied = (known.exposures, known.applied_offset) if isinstance(known, ExposuresCounted) else (0, -1)
    new = sum(offset > applied for offset in offsets)
    if not new:
        return None
    return ExposuresCounted(
        item_id=item, source_partition=partition, exposures=before + new, applied_offset=offsets[-1]
    )
