"""Items' places in the recommender's space, rebuilt from the state of item_mapping while its worker goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from features.views import ITEM_VECTOR, recommender_items
from processors.item_mapping import feature_row, vector_row
from processors.tools.rebuild.mapped_source import MappedSource
from processors.tools.rebuild.refill import Filled, Refill
from processors.tools.rebuild.stores import Stores
from schemas.item import ItemChanged, ItemMapped
from tests.fakes.features import MemoryFeatures, MemoryVectors
from tests.fakes.runtime import at

VERSION = "r-1"
ITEMS = recommender_items(VERSION)


class Records:
    """The newest record of each key; ``coming`` is what the next readings find."""

    def __init__(self, records: dict[str, Any]) -> None:
        self.records = records
        self.coming: list[dict[str, Any]] = []

    def __contains__(self, key: object) -> bool:
        return key in self.records

    def __iter__(self) -> Iterator[str]:
        return iter(self.records)

    def get(self, key: str) -> Any:
        return self.records.get(key)

    def advance(self) -> set[str]:
        new = self.coming.pop(0) if self.coming else {}
        self.records |= new
        return set(new)


def changed(item: str, seq: int = 1, change: Any = "published") -> ItemChanged:
    return ItemChanged(
        event_id=f"{item}-{seq}",
        occurred_at=at(0),
        changed_at=at(seq),
        item_id=item,
        kind="audio",
        change=change,
        seq=seq,
    )


def placed(item: str, seq: int = 1, version: str = VERSION) -> ItemMapped:
    return ItemMapped(
        event_id=f"{item}-{seq}",
        occurred_at=at(0),
        produced_at=at(seq),
        item_id=item,
        change="published",
        seq=seq,
        model_version=version,
        vector=(float(seq),) * 64,
    )


def gone(item: str, seq: int) -> ItemMapped:
    return replace(placed(item, seq), change="withdrawn", vector=(), model_version="")


class Desk:
    def __init__(self, *records: ItemMapped, catalogue: tuple[ItemChanged, ...] | None = None) -> None:
        items = tuple(changed(each.item_id, each.seq) for each in records) if catalogue is None else catalogue
        self.records = Records({each.item_id: each for each in records})
        self.catalogue = Records({each.item_id: each for each in items})
        self.features = MemoryFeatures(now=lambda: at(1000))
        self.vectors = MemoryVectors()
        self.between: list[Callable[[], Any]] = []
        self.source = MappedSource(self.records, self.catalogue, VERSION, ITEMS)  # type: ignore[arg-type]

    async def run(self) -> Filled:
        stores = Stores(self.features, self.features, self.vectors)
        both = self.source.targets
        passed = self.passed
        return await Refill(
            self.source, stores, emptied=both, checked=both, workers_passed=passed, tell=lambda *_: None
        ).run()

    async def passed(self) -> None:
        if self.between:
            self.between.pop(0)()

    def worker(self, record: ItemMapped) -> None:
        """As item_mapping writes it, before its state follows."""
        if record.vector:
            self.features.rows[ITEM_VECTOR.name, record.item_id] = feature_row(record)
            row = vector_row(record, changed(record.item_id, record.seq))
            self.vectors.rows.setdefault(ITEMS.name, {})[row.id] = row
        else:
            self.features.rows.pop((ITEM_VECTOR.name, record.item_id))
            self.vectors.rows[ITEMS.name].pop(record.item_id)

    @property
    def held(self) -> dict[str, int]:
        """Sequence number that each item has in both stores."""
        vectors = {item: int(row.scalars["seq"]) for item, row in self.vectors.rows.get(ITEMS.name, {}).items()}
        features = {item: int(row.at.timestamp() - at(0).timestamp()) for (_, item), row in self.features.rows.items()}
        assert vectors == features
        return vectors


async def test_emptied_and_filled() -> None:
    desk = Desk(placed("a"), placed("b", 2), gone("w", 3), replace(placed("odd"), vector=()))
    desk.worker(placed("stray", 9))
    found = await desk.run()
    assert desk.held == {"a": 1, "b": 2}
    assert (found.mended, found.rounds, found.failed) == (0, 1, {})


async def test_what_is_withdrawn_meanwhile_does_not_come_back() -> None:
    desk = Desk(placed("a"), placed("b"))
    # the worker took it out of the stores before this wrote it
    desk.records.coming = [{"a": gone("a", 2)}]
    desk.catalogue.coming = [{"a": changed("a", 2, "withdrawn")}]
    await desk.run()
    assert desk.held == {"b": 1}


async def test_a_workers_newer_rows_stay() -> None:
    desk = Desk(placed("a"))
    desk.between = [lambda: desk.worker(placed("a", 5)), lambda: desk.worker(placed("new"))]
    assert (await desk.run()).mended == 0
    assert desk.held == {"a": 5}


async def test_an_old_row_over_a_new_one_is_mended() -> None:
    desk = Desk(placed("a"))
    desk.records.coming, desk.catalogue.coming = [{"a": placed("a", 5)}], [{"a": changed("a", 5)}]
    assert (await desk.run()).mended == 2
    assert desk.held == {"a": 5}


@pytest.mark.parametrize("change", ["published", "withdrawn"])
async def test_an_item_that_the_worker_has_not_come_to_is_not_compared(change: str) -> None:
    desk = Desk(placed("a"), placed("b"), catalogue=(changed("a", 2, change), changed("b")))
    assert desk.source.on_their_way() == {"a"}
    await desk.run()
    assert set(desk.held) == ({"a", "b"} if change == "published" else {"b"})


async def test_an_item_of_another_version_is_named_and_not_mixed_in() -> None:
    desk = Desk(placed("a"), placed("b", version="r-0"))
    found = await desk.run()
    assert desk.held == {"a": 1}
    assert found.failed == {"b": "placed by r-0, not by r-1: promote that once more"}


async def test_an_item_that_left_the_catalogue_has_no_row() -> None:
    desk = Desk(placed("a"), placed("b"), catalogue=(changed("b"),))
    await desk.run()
    assert desk.held == {"b": 1}
