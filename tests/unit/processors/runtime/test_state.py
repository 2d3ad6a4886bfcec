"""State of a capability: what is remembered, when it is read and when it is dropped."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from processors.runtime.settings import Kafka
from processors.runtime.state import CompactedState, PartitionState
from schemas.codec import Codec
from schemas.media import MediaStatus
from schemas.topics import MEDIA_STATUS
from tests.fakes.runtime import NOW, codec, schema_text


def status(seq: int) -> MediaStatus:
    return MediaStatus(media_id="m", kind="post", state="processing", seq=seq, changed_at=NOW)


class Loaded(CompactedState[MediaStatus]):
    """Reads no broker: each load gives ``source`` as it is then, after ``gate`` lets it."""

    def __init__(self, known: Codec, fetch: Any = None) -> None:
        super().__init__(Kafka(), MEDIA_STATUS, known, fetch or (lambda _id: ""))
        self.source: dict[str, bytes] = {}
        self.loads: list[int] = []
        self.gate = threading.Event()
        self.started = threading.Event()
        self.gate.set()

    def _load(self, number: int) -> PartitionState[MediaStatus]:
        self.loads.append(number)
        state = PartitionState(self.decode)
        for key, value in self.source.items():
            state.put(key, value)
        self.started.set()
        assert self.gate.wait(10)
        return state


def test_the_newest_value_counts_and_a_tombstone_forgets() -> None:
    known = codec()
    state: PartitionState[MediaStatus] = PartitionState(lambda b: known.decode(b, MediaStatus))
    assert state.get("m") is None
    state.put("m", known.encode(status(1)))
    state.put("m", known.encode(status(2)))
    assert state.get("m") == status(2)
    assert len(state) == 1
    state.put("m", None)
    state.put("never", None)
    assert state.get("m") is None
    assert len(state) == 0


async def test_a_partition_is_read_once() -> None:
    state = Loaded(codec())
    one, two = await asyncio.gather(state.partition(3), state.partition(3))
    assert one is two
    await state.partition(4)
    assert state.loads == [3, 4]


async def test_what_was_forgotten_is_read_anew() -> None:
    known = codec()
    state = Loaded(known)
    assert (await state.partition(0)).get("m") is None
    state.source["m"] = known.encode(status(5))
    state.forget()
    assert (await state.partition(0)).get("m") == status(5)


async def test_forgetting_while_a_load_is_under_way_counts_too() -> None:
    """Between the start of the load and the rebalance another worker may have written."""
    known = codec()
    state = Loaded(known)
    state.gate.clear()
    loading = asyncio.create_task(state.partition(0))
    await asyncio.to_thread(state.started.wait, 10)
    state.source["m"] = known.encode(status(5))
    state.forget()
    state.gate.set()
    await loading
    assert (await state.partition(0)).get("m") == status(5)


async def test_values_of_a_new_writer_are_read_with_its_schema() -> None:
    writer = codec()
    asked: list[int] = []

    def fetch(schema_id: int) -> str:
        asked.append(schema_id)
        return schema_text(MediaStatus.CONTRACT)

    state = Loaded(Codec(), fetch)
    state.source["m"] = writer.encode(status(5))
    partition = await state.partition(0)
    assert partition.get("m") == partition.get("m") == status(5)
    assert len(asked) == 1


async def test_a_broken_value_counts_as_absent() -> None:
    """Else every later fact of the item would be given up, its failure too."""
    state = Loaded(codec())
    state.source["m"] = b"nonsense"
    assert (await state.partition(0)).get("m") is None
