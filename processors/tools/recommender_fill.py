"""The stores of one version of the recommender: its own collection is filled before services hear of it.

What all versions share, features and topic, follows only after the move, so that a promotion that fails leaves them
as they were. While this goes on, workers place new items: until they have heard of the version with the one before.
A worker that has heard works on only when it has loaded it (`ActiveModel.pending`), and what changed meanwhile is gone
over until a pass finds nothing new. All of it can be repeated.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from features import milvus_scan, milvus_versions
from features.views import recommender_items
from models.recommender import Recommender
from processors.item_mapping import place, store_features, store_vectors, withdrawn
from processors.runtime.processor import Emit
from processors.runtime.publisher import KafkaPublisher
from processors.runtime.wiring import Wiring
from processors.serving.decoding import Decoder
from processors.tools.rebuild.newest import NewestRecords
from schemas.item import ItemChanged, ItemMapped
from schemas.topics import ITEM_CHANGED, ITEM_MAPPED

BATCH = 256
SETTLE_S = 5.0
"""Seconds after which every worker has heard of a version and ended the batch it had in hand, generously."""
Advance = Callable[[str, int, int], None]
"""Takes the step, how many items are done, and of how many."""


class RecommenderFill:
    """Fills the stores of a version.

    Args:
        wiring: Settings and stores.
        tell: Takes the progress.
    """

    def __init__(self, wiring: Wiring, tell: Advance) -> None:
        self._wiring = wiring
        self._tell = tell
        decoder = Decoder(wiring.codec, wiring.registry.fetch)
        self._items = NewestRecords(
            wiring.settings.kafka, ITEM_CHANGED, ItemChanged, decoder, order=lambda item: item.seq
        )

    def close(self) -> None:
        """Hang up."""
        self._items.close()

    async def content_versions(self) -> Counter[str]:
        """How many published items have a joint vector of which version.

        Raises:
            UnavailableError: broker or registry does not answer.
        """
        await asyncio.to_thread(self._items.advance)
        items = (item for key in self._items if (item := self._items.get(key)) is not None)
        return Counter(item.vector_version for item in items if item.change == "published" and item.vector)

    async def prepare(self, recommender: Recommender) -> int:
        """Make the version's collection, place every published item in it, take out what is not one; how many.

        Raises:
            UnavailableError: broker, registry or a store does not answer.
        """
        config, collection = self._wiring.milvus_config, recommender_items(recommender.version)
        await asyncio.to_thread(milvus_versions.make, config, [collection])
        await asyncio.to_thread(self._items.advance)
        done = await self._place(recommender, "placing items", self._items, shared=False)
        rows = await asyncio.to_thread(lambda: [row for row, _ in milvus_scan.scan(config, collection.name)])
        await self._wiring.vector_index.delete(collection.name, [row for row in rows if not self._published(row)])
        return done

    async def settle(self, recommender: Recommender) -> int:
        """Give readers the collection, and place every item, in features and topic too; how many.

        It ends when nothing changed while the last pass was going on; an item placed twice counts twice.

        Raises:
            UnavailableError: broker, registry or a store does not answer.
        """
        collection = recommender_items(recommender.version)
        # somebody who promotes at the same time may have dropped it as one not in use
        await asyncio.to_thread(milvus_versions.make, self._wiring.milvus_config, [collection])
        await asyncio.to_thread(milvus_versions.move_aliases, self._wiring.milvus_config, [collection])
        await asyncio.sleep(SETTLE_S)
        await asyncio.to_thread(self._items.advance)
        done = await self._place(recommender, "telling where items are", self._items, shared=True)
        while changed := await asyncio.to_thread(self._items.advance):
            done += await self._place(recommender, "placing what changed meanwhile", changed, shared=True)
        return done

    async def tidy(self, kept: Iterable[str]) -> list[str]:
        """Drop the collections of all versions but those given and the one that readers get; names of the dropped.

        Those given are there afterwards, if need be empty: workers take out of them what is withdrawn.

        Raises:
            UnavailableError: Milvus does not answer.
        """
        config, versions = self._wiring.milvus_config, list(kept)
        await asyncio.to_thread(milvus_versions.make, config, [recommender_items(each) for each in versions])
        return await asyncio.to_thread(milvus_versions.drop_recommender_collections, config, versions)

    def any_published(self, ids: Iterable[str]) -> bool:
        """Whether one of these was a published item when last read."""
        return any(self._published(item_id) for item_id in ids)

    async def _place(self, recommender: Recommender, step: str, keys: Iterable[str], *, shared: bool) -> int:
        """Place items in the version's collection; ``shared``: and in what all versions share."""
        wanted, done = list(keys), 0
        publisher: KafkaPublisher = self._wiring.publisher
        for start in range(0, len(wanted), BATCH):
            items = [item for key in wanted[start : start + BATCH] if (item := self._items.get(key)) is not None]
            published = [item for item in items if item.change == "published"]
            told: list[ItemMapped] = await asyncio.to_thread(place, recommender, published)
            told += [withdrawn(item) for item in items if item.change == "withdrawn"]
            await store_vectors(told, published, recommender.version, self._wiring.vector_index)
            if shared:
                await store_features(told, self._wiring.feature_writer)
                await publisher.publish([Emit(ITEM_MAPPED, record.item_id, record) for record in told])
            done += len(items)
            self._tell(step, done, len(wanted))
        return done

    def _published(self, item_id: str) -> bool:
        item = self._items.get(item_id)
        return item is not None and item.change == "published"
