"""The stores of one version of the recommender: its collection is filled before services hear of it.

While it fills, workers still place new items with the version before. So what changed since is gone over once more
when the version was published: by then workers have it, or their writes are overtaken here. All of it can be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from features import milvus_scan, milvus_versions
from features.views import recommender_items
from models.recommender import Recommender
from processors.item_mapping import place, store, withdrawn
from processors.runtime.processor import Emit
from processors.runtime.publisher import KafkaPublisher
from processors.runtime.wiring import Wiring
from processors.serving.decoding import Decoder
from processors.tools.rebuild.newest import NewestRecords
from schemas.item import ItemChanged, ItemMapped
from schemas.topics import ITEM_CHANGED, ITEM_MAPPED

BATCH = 256
SETTLE_S = 5.0
"""Seconds after which every worker has heard of a version, generously."""
Advance = Callable[[str, int, int], None]
"""Takes the step, how many items are done, and of how many."""


class RecommenderFill:
    """Fills the stores of a version.

    Args:
        wiring: Settings and stores.
        tell: Takes the progress.
        settle_s: See ``SETTLE_S``.
    """

    def __init__(self, wiring: Wiring, tell: Advance, settle_s: float = SETTLE_S) -> None:
        self._wiring = wiring
        self._tell = tell
        self._settle_s = settle_s
        decoder = Decoder(wiring.codec, wiring.registry.fetch)
        self._items = NewestRecords(
            wiring.settings.kafka, ITEM_CHANGED, ItemChanged, decoder, order=lambda item: item.seq
        )

    def close(self) -> None:
        """Hang up."""
        self._items.close()

    async def prepare(self, recommender: Recommender) -> int:
        """Make the version's collection, place every published item in it, take out what is not one; how many.

        Raises:
            UnavailableError: broker, registry or a store does not answer.
        """
        config, collection = self._wiring.milvus_config, recommender_items(recommender.version)
        await asyncio.to_thread(milvus_versions.make, config, [collection])
        await asyncio.to_thread(self._items.advance)
        done = await self._place(recommender, "placing items", list(self._items))
        rows = await asyncio.to_thread(lambda: [row for row, _ in milvus_scan.scan(config, collection.name)])
        await self._wiring.vector_index.delete(collection.name, [row for row in rows if not self._published(row)])
        return done

    async def settle(self, recommender: Recommender) -> int:
        """Give readers the collection, and go over what changed since `prepare`; how many items.

        Raises:
            UnavailableError: broker, registry or a store does not answer.
        """
        collection = recommender_items(recommender.version)
        await asyncio.to_thread(milvus_versions.move_aliases, self._wiring.milvus_config, [collection])
        await asyncio.sleep(self._settle_s)
        changed = await asyncio.to_thread(self._items.advance)
        return await self._place(recommender, "placing what changed meanwhile", changed)

    async def _place(self, recommender: Recommender, step: str, keys: Iterable[str]) -> int:
        wanted, done = list(keys), 0
        publisher: KafkaPublisher = self._wiring.publisher
        for start in range(0, len(wanted), BATCH):
            items = [item for key in wanted[start : start + BATCH] if (item := self._items.get(key)) is not None]
            published = [item for item in items if item.change == "published"]
            told: list[ItemMapped] = await asyncio.to_thread(place, recommender, published)
            told += [withdrawn(item) for item in items if item.change == "withdrawn"]
            await store(told, published, recommender.version, self._wiring.feature_writer, self._wiring.vector_index)
            await publisher.publish([Emit(ITEM_MAPPED, record.item_id, record) for record in told])
            done += len(items)
            self._tell(step, done, len(wanted))
        return done

    def _published(self, item_id: str) -> bool:
        item = self._items.get(item_id)
        return item is not None and item.change == "published"
