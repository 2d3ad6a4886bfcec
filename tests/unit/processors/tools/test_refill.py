"""A refill against workers that write the same rows at the worst moments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from features.ports import FeatureRow
from features.views import ITEM_PLAYS
from processors.tools.rebuild.fingerprints import Target, compare, fingerprint
from processors.tools.rebuild.refill import Refill
from processors.tools.rebuild.sources import Derived, Source
from processors.tools.rebuild.stores import Stores
from schemas.errors import UnavailableError
from tests.fakes.features import MemoryFeatures, MemoryVectors
from tests.fakes.runtime import at


def row(entity: str, second: int) -> FeatureRow:
    return FeatureRow(entity, at(second), {"plays": second})


class Topic(Source):
    """A topic in a dict: number of plays by item; None stands for withdrawn."""

    targets = (ITEM_PLAYS,)

    def __init__(self, *, leads: bool, **values: int | None) -> None:
        self.leads = leads
        self.values: dict[str, int | None] = dict(values)
        self.coming: list[dict[str, int | None]] = []
        self.failing: dict[str, str] = {}

    def advance(self) -> set[str]:
        new = self.coming.pop(0) if self.coming else {}
        self.values |= new
        return set(new)

    def known(self) -> Iterable[str]:
        return list(self.values)

    def knows(self, key: str) -> bool:
        return key in self.values

    def places(self, key: str) -> Sequence[tuple[Target, str]]:
        return [(ITEM_PLAYS, key)]

    def key_of(self, target: Target, row_id: str) -> str:
        return row_id

    async def derive(self, keys: Sequence[str]) -> Derived:
        rows: dict[str, Any] = {k: row(k, v) for k in keys if (v := self.values.get(k)) and k not in self.failing}
        return Derived({ITEM_PLAYS.name: rows}, {k: v for k, v in self.failing.items() if k in keys})


class Desk:
    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.features = MemoryFeatures(now=lambda: at(0))
        self.between: list[Callable[[], Any]] = []
        stores = Stores(self.features, self.features, MemoryVectors())
        self.refill = Refill(
            topic,
            stores,
            emptied=(ITEM_PLAYS,),
            checked=(ITEM_PLAYS,),
            workers_passed=self.passed,
            tell=lambda *_: None,
        )

    async def passed(self) -> None:
        if self.between:
            self.between.pop(0)()

    def put(self, entity: str, second: int) -> None:
        """As a worker, whose check of the old row came before the refill's write."""
        self.features.rows[ITEM_PLAYS.name, entity] = row(entity, second)

    @property
    def plays(self) -> dict[str, int]:
        return {entity: stored.values["plays"] for (_, entity), stored in self.features.rows.items()}


@pytest.mark.parametrize("leads", [True, False])
async def test_emptied_and_filled(leads: bool) -> None:
    desk = Desk(Topic(leads=leads, a=1, b=2, gone=None))
    desk.put("stray", 9)
    desk.put("a", 7)
    found = await desk.refill.run()
    assert desk.plays == {"a": 1, "b": 2}
    assert (found.mended, found.rounds, found.failed) == (0, 1, {})
    assert found.stored[ITEM_PLAYS.name].keys() == {"a", "b"}


async def test_an_old_row_over_a_new_one_is_mended() -> None:
    topic = Topic(leads=False, a=1)
    desk = Desk(topic)
    # the worker wrote 5, this wrote 1 over it, and now the worker's state says 5
    topic.coming = [{"a": 5}]
    found = await desk.refill.run()
    assert desk.plays == {"a": 5}
    assert (found.mended, found.rounds, found.moved) == (1, 3, {ITEM_PLAYS.name: {"a"}})


async def test_steady_traffic_does_not_keep_it_from_ending() -> None:
    """Each round finds an item that its worker writes only afterwards."""
    topic = Topic(leads=True, a=1)
    topic.coming = [{f"new-{number}": 1} for number in range(30)]
    desk = Desk(topic)

    def worker(number: int) -> Callable[[], None]:
        return lambda: desk.put(f"new-{number}", 1)

    desk.between = [lambda: None, *(worker(number) for number in range(30))]
    found = await desk.refill.run()
    # the first round cannot tell whether its item was written and then emptied; the second sees it written
    assert (found.mended, found.rounds) == (0, 2)


async def test_a_workers_newer_row_stays_where_features_come_before_the_topic() -> None:
    desk = Desk(Topic(leads=False, a=1))
    desk.between = [lambda: desk.put("a", 5), lambda: desk.put("new", 1)]
    assert (await desk.refill.run()).mended == 0
    assert desk.plays == {"a": 5}
    desk = Desk(Topic(leads=False, a=1))
    desk.between = [lambda: desk.put("new", 1)]
    assert (await desk.refill.run()).mended == 0
    assert desk.plays == {"a": 1, "new": 1}


async def test_a_withdrawn_item_does_not_come_back() -> None:
    topic = Topic(leads=True, a=1, b=2)
    desk = Desk(topic)
    # the worker took it away before this wrote it
    topic.coming = [{"a": None}]
    found = await desk.refill.run()
    assert desk.plays == {"b": 2}
    assert found.mended == 1


async def test_a_forgotten_user_does_not_come_back() -> None:
    topic = Topic(leads=False, a=1, b=2)
    desk = Desk(topic)
    topic.coming = [{"a": None}]
    await desk.refill.run()
    assert desk.plays == {"b": 2}


async def test_a_row_emptied_after_its_worker_wrote_it_is_filled() -> None:
    topic = Topic(leads=False)
    desk = Desk(topic)
    topic.coming = [{"late": 3}]
    assert (await desk.refill.run()).mended == 1
    assert desk.plays == {"late": 3}


async def test_a_new_item_of_a_worker_is_nobodys_only_if_the_topic_does_not_know_it() -> None:
    topic = Topic(leads=True, a=1)
    desk = Desk(topic)
    topic.coming = [{"new": 4}]
    desk.between = [lambda: desk.put("new", 4), lambda: desk.put("stray", 4)]
    assert (await desk.refill.run()).mended == 0
    desk.between = [lambda: desk.put("stray", 4)]
    assert (await desk.refill.run()).mended == 1
    assert desk.plays == {"a": 1, "new": 4}


async def test_what_cannot_be_written_is_told_and_does_not_stop_the_rest() -> None:
    topic = Topic(leads=True, a=1, b=2)
    topic.failing = {"a": "its object is missing"}
    desk = Desk(topic)
    assert (await desk.refill.run()).failed == {"a": "its object is missing"}
    assert desk.plays == {"b": 2}


async def test_a_row_that_only_a_worker_could_write_stays() -> None:
    topic = Topic(leads=True, a=1)
    topic.failing = {"a": "its object is missing"}
    desk = Desk(topic)
    desk.between = [lambda: desk.put("a", 1)]
    assert (await desk.refill.run()).mended == 0
    assert desk.plays == {"a": 1}


async def test_rows_that_never_rest_end_it() -> None:
    desk = Desk(Topic(leads=True, a=1))
    desk.between = [lambda: desk.put("stray", 1)] * 30
    with pytest.raises(UnavailableError, match="keep changing"):
        await desk.refill.run()


def test_differences_name_rows_and_fields() -> None:
    def prints(**rows: FeatureRow) -> dict[str, bytes]:
        return {name: fingerprint(ITEM_PLAYS, each) for name, each in rows.items()}

    odd = FeatureRow("c", at(3), {"plays": 4, "decayed_plays": 0.1})
    before = prints(a=row("a", 1), b=row("b", 2), c=row("c", 3), m=row("m", 1))
    after = prints(a=row("a", 1), c=odd, d=row("d", 4), m=row("m", 2))
    found = compare(ITEM_PLAYS, before, after, frozenset({"m"}))
    assert (found.missing, found.added, found.changed) == (["b"], ["d"], {"c": ("plays", "decayed_plays")})
    assert found
    assert not compare(ITEM_PLAYS, before, dict(before))


def test_a_fingerprint_sees_the_last_bit_of_a_vector() -> None:
    from features.views import ITEM_CONTENT

    vector = np.ones(4, np.float32)
    other = vector.copy()
    other[3] = np.nextafter(np.float32(1), np.float32(2))
    one, two = (FeatureRow("a", at(0), {"vector": each, "labels": []}) for each in (vector, other))
    assert fingerprint(ITEM_CONTENT, one) != fingerprint(ITEM_CONTENT, two)
    assert fingerprint(ITEM_CONTENT, one) == fingerprint(ITEM_CONTENT, FeatureRow("a", at(0), dict(one.values)))
