"""The stages' own compute time for one upload: the product's handlers, one after the other, in this process."""

from __future__ import annotations

import inspect
import statistics
import sys
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from models.recommender import Recommender
from processors.content_embedding import content_embedding
from processors.content_moderation import content_moderation
from processors.item_mapping import item_mapping, place
from processors.item_publication import item_publication
from processors.media_analysis import media_analysis
from processors.runtime.processor import Capability
from processors.runtime.settings import Settings
from processors.runtime.topic_scan import read_to_end
from processors.runtime.wiring import Wiring
from schemas.item import ItemChanged
from schemas.media import MediaStatus
from schemas.record import Record
from schemas.topics import REVIEW_REQUESTED, UPLOADS
from schemas.upload import UploadCreated

WHOLE, LEARNED = "whole", "whole, by the learned path"
HANDLERS = (media_analysis, content_moderation, content_embedding, item_publication, item_mapping)
STAGES = tuple(each.name for each in HANDLERS)

Medians = dict[str, float]
"""Seconds by part."""


@dataclass
class Kept:
    """State of one item, in memory."""

    status: dict[str, Record] = field(default_factory=dict)

    def get(self, key: str) -> Record | None:
        return self.status.get(key)


def medians(found: list[Medians]) -> Medians:
    """Median of each part."""
    return {name: statistics.median(each[name] for each in found) for name in found[0]}


async def compute_s(media: dict[str, Any], recommender: Recommender, times: int) -> dict[str, float]:
    """Median time of each stage's handler, one after the other, for one upload."""
    wiring = Wiring(Settings())
    try:
        taken = [await _stages_s(wiring, media, recommender) for _ in range(times)]
    finally:
        wiring.close()
    return medians(taken[1:])


async def _stages_s(wiring: Wiring, media: dict[str, Any], recommender: Recommender) -> dict[str, float]:
    event = _event(wiring, media)
    kept = Kept()
    facts: list[Any] = [event]
    changes: list[ItemChanged] = []
    taken = {}
    for capability in (media_analysis, content_moderation, content_embedding):
        needs = await _needs(wiring, capability)
        started = time.perf_counter()
        emits = await capability.handler(facts[0] if capability is media_analysis else facts[1], **needs)
        taken[capability.name] = time.perf_counter() - started
        # what is asked of people is no stage of the upload
        facts += [emit.record for emit in emits if emit.topic is not REVIEW_REQUESTED]
    started = time.perf_counter()
    for fact in facts:
        for emit in await item_publication.handler(fact, state=kept):
            if isinstance(emit.record, MediaStatus):
                kept.status[emit.key] = emit.record
            elif isinstance(emit.record, ItemChanged):
                changes.append(emit.record)
    taken[item_publication.name] = time.perf_counter() - started
    whole = sum(taken.values())
    started = time.perf_counter()
    (mapped,) = place(recommender, changes[-1:])
    taken[item_mapping.name] = time.perf_counter() - started
    assert mapped.vector, "not mapped"
    (status,) = kept.status.values()
    assert isinstance(status, MediaStatus)
    assert status.state == "published", status
    return taken | {WHOLE: whole, LEARNED: whole + taken[item_mapping.name]}


def _event(wiring: Wiring, media: dict[str, Any]) -> UploadCreated:
    """The upload once more under another id, so that nothing made for the first is found."""
    for message in read_to_end(wiring.settings.kafka, tuple(topic.name for topic in UPLOADS)):
        if (message.key() or b"").decode() == media["media_id"]:
            event = wiring.codec.decode(message.value() or b"", UploadCreated)
            return replace(event, media_id=str(uuid.uuid4()), event_id=str(uuid.uuid4()))
    sys.exit(f"no upload event of {media['media_id']}")


async def _inline(function: Any, *args: Any) -> Any:
    return function(*args)


async def _needs(wiring: Wiring, capability: Capability) -> dict[str, Any]:
    names = list(inspect.signature(capability.handler).parameters)[1:]
    return {name: _inline if name == "offload" else getattr(wiring, name) for name in names}
