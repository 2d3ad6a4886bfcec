"""Exposures are counted by item, once each, however batches are cut and delivered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.exposure_counting import exposure_counting
from processors.runtime.processor import Emit, Received
from schemas import topics
from schemas.interaction import Action, ExposuresCounted, ItemInteracted
from tests.fakes.runtime import NOW, MemoryState

Log = Sequence[tuple[str, Action]]
EVENTS = st.tuples(st.sampled_from(["i1", "i2", "i3"]), st.sampled_from(["exposed", "exposed", "clicked", "liked"]))


def received(log: Log, first: int = 0, partition: int = 3) -> list[Received[Any]]:
    return [
        Received(
            ItemInteracted(event_id=f"e{place}", occurred_at=NOW, user_id="u", item_id=item, action=action),
            topics.ITEM_INTERACTED.name,
            partition,
            place,
        )
        for place, (item, action) in enumerate(log, first)
    ]


async def work(log: Log, state: MemoryState, first: int = 0) -> list[Emit]:
    return list(await exposure_counting.handler(received(log, first), state=state))


async def test_one_record_an_item_and_batch() -> None:
    log: Log = [("i1", "exposed"), ("i2", "clicked"), ("i1", "exposed"), ("i3", "exposed"), ("i1", "liked")]
    assert await work(log, MemoryState(), first=10) == [
        Emit(
            topics.EXPOSURES_COUNTED,
            item,
            ExposuresCounted(item_id=item, source_partition=3, exposures=exposures, applied_offset=offset),
        )
        for item, exposures, offset in (("i1", 2, 12), ("i3", 1, 13))
    ]


async def test_what_was_counted_is_not_said_again() -> None:
    state = MemoryState()
    log: Log = [("i1", "exposed"), ("i1", "exposed")]
    state.apply(await work(log, state), topics.EXPOSURES_COUNTED)
    assert await work(log, state) == []
    [emit] = await work([*log, ("i1", "exposed")], state)
    assert isinstance(emit.record, ExposuresCounted)
    assert (emit.record.exposures, emit.record.applied_offset) == (3, 2)


@settings(max_examples=100, deadline=None)
@given(log=st.lists(EVENTS, max_size=20), data=st.data())
async def test_counts_are_exact_whatever_crashes(log: list[tuple[str, Action]], data: st.DataObject) -> None:
    """A crash keeps part of what was emitted, and the worker begins again at the last commit."""
    state = MemoryState()
    position = committed = crashes = 0
    while position < len(log):
        size = data.draw(st.integers(1, len(log) - position), label="batch")
        emits = await work(log[position : position + size], state, position)
        if crashes < 4 and data.draw(st.booleans(), label="crash"):
            crashes += 1
            emits = [emit for emit in emits if data.draw(st.booleans(), label="acked")]
            position = committed
        else:
            position += size
            if data.draw(st.booleans(), label="commit"):
                committed = position
        state.apply(emits, topics.EXPOSURES_COUNTED)
    exposed = [item for item, action in log if action == "exposed"]
    assert {key: part.exposures for key, part in state.values.items() if isinstance(part, ExposuresCounted)} == {
        item: exposed.count(item) for item in exposed
    }
