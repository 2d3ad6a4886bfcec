"""Published items whose joint vector is of another version than that of now are embedded anew, from the topics.

A new encoder, template or language model gives another version; what was published before keeps its old vector, which
compares with none of the new ones. The results take the way of every upload: `item_publication` tells the catalogue,
from there they reach the stores and the recommender. It may run beside the workers and be repeated: what is of this
version already is passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field

from confluent_kafka import Message

from processors.content_embedding import content_embedding
from processors.runtime.offload import offload_for
from processors.runtime.topic_scan import read_topic
from processors.runtime.wiring import Wiring
from processors.serving.decoding import Decoder
from processors.tools.rebuild.newest import NewestRecords
from schemas.errors import AppError, UnavailableError
from schemas.item import ItemChanged
from schemas.media import MediaAnalysed
from schemas.topics import ITEM_CHANGED, MEDIA_ANALYSED

Advance = Callable[[str, int, int], None]
"""Takes the step, how many items are done, and of how many."""


@dataclass
class Reembedded:
    """What became of the items.

    Attributes:
        version: Version of joint vectors that this process makes.
        done: Items embedded anew.
        current: Published items that are of this version already.
        failed: Reason by item for the others; they keep what they have.
    """

    version: str
    done: list[str] = field(default_factory=list)
    current: int = 0
    failed: dict[str, str] = field(default_factory=dict)


async def reembed(wiring: Wiring, tell: Advance) -> Reembedded:
    """Embed anew what is of another version.

    Raises:
        UnavailableError: broker, registry, object store or a model elsewhere does not answer; what was done stays.
    """
    found = Reembedded(wiring.encoders.joint.version)
    decoder = Decoder(wiring.codec, wiring.registry.fetch)
    wanted = await asyncio.to_thread(_wanted, wiring, decoder, found)
    events = await asyncio.to_thread(_analysed, wiring, wanted)
    found.failed |= dict.fromkeys(
        sorted(wanted - events.keys()), f"its event is no longer in {MEDIA_ANALYSED.name}: upload it again"
    )
    with closing(offload_for(content_embedding.weight, 1)) as offload:
        needs = {"objects": wiring.objects, "encoders": wiring.encoders, "offload": offload}
        for number, (item, value) in enumerate(events.items(), start=1):
            try:
                event = decoder.decode(value, MediaAnalysed)
                await wiring.publisher.publish(await content_embedding.handler(event, **needs))
            except UnavailableError:
                raise
            except AppError as error:
                found.failed[item] = str(error)
            else:
                found.done.append(item)
            tell("embedding anew", number, len(events))
    return found


def _wanted(wiring: Wiring, decoder: Decoder, found: Reembedded) -> set[str]:
    """Published items of another version."""
    items = NewestRecords(wiring.settings.kafka, ITEM_CHANGED, ItemChanged, decoder, order=lambda item: item.seq)
    with closing(items):
        items.advance()
        published = [item for key in items if (item := items.get(key)) is not None and item.change == "published"]
    wanted = {item.item_id for item in published if item.vector and item.vector_version != found.version}
    found.current = len(published) - len(wanted)
    return wanted


def _analysed(wiring: Wiring, wanted: Collection[str]) -> dict[str, bytes]:
    """Newest event of each wanted item that is still there, as it was sent."""
    values: dict[str, bytes] = {}

    def keep(message: Message) -> None:
        key, value = (message.key() or b"").decode(errors="replace"), message.value()
        if key in wanted and value is not None:
            values[key] = value

    read_topic(wiring.settings.kafka, MEDIA_ANALYSED.name, keep)
    return values
