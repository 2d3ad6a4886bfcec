"""A new version is filled beside the old one while uploads go on; readers get the old one, after the switch the new."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from features.views import ITEM_CONTENT
from processors.catalogue import VERSIONS
from processors.runtime.wiring import Wiring
from processors.tools.backfill.run import backfill, drop_others
from processors.tools.backfill.versions import BackfillError, Standing, standing, version_of
from processors.tools.rebuild import groups
from processors.tools.rebuild.refill import Filled
from tests.loading import load

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
NAME = "item_indexing"


@pytest.fixture
def two(world: Any) -> Iterator[Any]:
    module = load(Path(__file__).with_name("version_two.py"))
    module.declare()
    yield world
    module.retract()


@dataclass
class Reader:
    """Reads some items again and again under the aliases, as a service would.

    Attributes:
        ids: Items that are there all the time.
        views: Versions seen by feature, in order.
        faults: What was not as it must be.
    """

    world: Any
    ids: list[str]
    views: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        self.world.run(self._read)

    async def _read(self, wiring: Wiring) -> None:
        while not self.stop.is_set():
            rows = await wiring.feature_reader.read(ITEM_CONTENT.alias, self.ids)
            versions = {2 if "song" in row.values else 1 for row in rows if row is not None}
            vectors = await wiring.vector_index.fetch("content_joint", self.ids)
            if None in rows or len(vectors) != len(self.ids) or len(versions) != 1:
                self.faults.append(f"{sum(row is None for row in rows)} rows, {len(vectors)} vectors, {versions}")
            self.views += [each for each in versions if self.views[-1:] != [each]]
            await asyncio.sleep(0.05)


def fill(world: Any, version: int, *, switching: bool) -> Filled:
    async def work(wiring: Wiring) -> Filled:
        return await backfill(wiring, NAME, version, lambda *_: None, switching=switching)

    found: Filled = world.run(work)
    return found


def standings(world: Any) -> dict[int, Standing]:
    async def work(wiring: Wiring) -> dict[int, Standing]:
        return {each.version: each for each in await standing(wiring, NAME)}

    found: dict[int, Standing] = world.run(work)
    return found


def drop(world: Any) -> list[int]:
    async def work(wiring: Wiring) -> list[int]:
        return await drop_others(wiring, NAME)

    found: list[int] = world.run(work)
    return found


def indexed(world: Any, version: int) -> bool:
    kafka, capability = world.settings.kafka, version_of(NAME, version)
    until = groups.ends(kafka, [topic.name for topic in capability.consumes])
    return not groups.look(kafka, capability.group, until).lag


def test_old_and_new_side_by_side(two: Any) -> None:
    world = two
    world.start(NAME)
    lasting = world.publish(60)
    world.withdraw(lasting[50:])
    world.wait_for(lambda: indexed(world, 1), "indexing")
    reader, stop = Reader(world, lasting[:50]), threading.Event()

    def live() -> None:
        while not stop.is_set():
            world.withdraw(world.publish(3)[:1])
            stop.wait(0.2)

    threads = [threading.Thread(target=live), threading.Thread(target=reader.run)]
    for each in threads:
        each.start()
    try:
        beside = fill(world, 2, switching=False)
        assert (beside.mended, beside.failed) == (0, {})
        assert reader.views == [1]
        assert standings(world)[1].in_use
        assert not standings(world)[2].in_use

        world.start("version_two.py")
        fill(world, 2, switching=True)
        world.wait_for(lambda: reader.views == [1, 2], f"the switch, not {reader.views}")
        assert standings(world)[2].in_use
        assert not standings(world)[1].in_use

        fill(world, 1, switching=True)
        world.wait_for(lambda: reader.views == [1, 2, 1], "the way back")
        fill(world, 2, switching=True)
        world.wait_for(lambda: reader.views == [1, 2, 1, 2], "the new version again")
    finally:
        stop.set()
        reader.stop.set()
        for each in threads:
            each.join()
    assert reader.faults == []
    world.wait_for(lambda: indexed(world, 1) and indexed(world, 2), "the rest")
    prints = world.prints()
    for view in ("item_content_v1", "item_content_v2", "content_joint_v1", "content_joint_v2", "content_text_v2"):
        assert set(prints[view]) == world.published

    with pytest.raises(BackfillError, match="workers of version 1"):
        drop(world)
    world.stop()
    assert drop(world) == [1]
    after = standings(world)
    assert after[1].rows["item_content_v1"] == 0
    assert after[1].rows["content_joint_v1"] is None
    assert after[2].rows["content_joint_v2"] == len(world.published)
    # from nothing, as its group went with it
    fill(world, 1, switching=True)
    assert set(world.prints(["item_content_v1"])["item_content_v1"]) == world.published
    assert drop(world) == [2]


def test_what_cannot_be_filled_is_refused() -> None:
    for name, version in (("nothing", 1), ("play_aggregation", 1), (NAME, max(VERSIONS[NAME]) + 1)):
        with pytest.raises(BackfillError, match=name):
            version_of(name, version)
