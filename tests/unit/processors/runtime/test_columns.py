"""Reading together against reading one by one, on good records and on broken ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.runtime.columns import FEWEST, BatchDecoder
from schemas.common import Exposure
from schemas.errors import BadEventError
from schemas.interaction import ItemInteracted
from schemas.play import PlayAggregate, SongCounted, SongPlayed
from schemas.record import Record
from tests.fakes.runtime import NOW, codec

CODEC = codec()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text("abc", max_size=200)
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 1), timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
LONGS = st.integers(-(2**62), 2**62 - 1) | st.integers(-70, 70)
EXPOSURES = st.none() | st.builds(Exposure, surface=TEXT, position=st.integers(-(2**31), 2**31 - 1), request_id=TEXT)
RECORDS: dict[type[Record], st.SearchStrategy[Any]] = {
    SongPlayed: st.builds(
        SongPlayed,
        event_id=TEXT,
        occurred_at=TIMES,
        user_id=TEXT,
        song_id=TEXT,
        played_ms=LONGS,
        duration_ms=LONGS,
        completion=st.floats(width=32, allow_nan=False),
        exposure=EXPOSURES,
    ),
    SongCounted: st.builds(
        SongCounted,
        song_id=TEXT,
        source_partition=st.integers(-(2**31), 2**31 - 1),
        plays=LONGS,
        completions=LONGS,
        played_ms=LONGS,
        decayed_plays=st.floats(allow_nan=False),
        last_played_at=TIMES,
        applied_offset=LONGS,
    ),
    ItemInteracted: st.builds(
        ItemInteracted,
        event_id=TEXT,
        occurred_at=TIMES,
        user_id=TEXT,
        item_id=TEXT,
        action=st.sampled_from(["unknown", "exposed", "liked", "followed"]),
        exposure=EXPOSURES,
    ),
}
every_contract = pytest.mark.parametrize("contract", RECORDS, ids=lambda c: c.__name__)


def one_by_one(values: Sequence[bytes | None], contract: type[Record]) -> list[Record | None]:
    found: list[Record | None] = []
    for value in values:
        try:
            found.append(CODEC.decode(value, contract))
        except BadEventError:
            found.append(None)
    return found


@every_contract
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_good_records_are_all_read(contract: type[Record], data: st.DataObject) -> None:
    records = data.draw(st.lists(RECORDS[contract], min_size=FEWEST, max_size=FEWEST + 9))
    values = [CODEC.encode(record) for record in records]
    assert BatchDecoder(CODEC).decode(values, contract) == one_by_one(values, contract)


@every_contract
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_broken_ones_are_left_out_and_spoil_no_neighbour(contract: type[Record], data: st.DataObject) -> None:
    records = data.draw(st.lists(RECORDS[contract], min_size=FEWEST, max_size=FEWEST + 5))
    values: list[bytes | None] = [CODEC.encode(record) for record in records]
    broken = data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1, max_size=6))
    for index in broken:
        whole = bytearray(values[index] or b"")
        place = data.draw(st.integers(0, len(whole) - 1))
        match data.draw(st.sampled_from(["cut", "bit", "byte", "more", "none"])):
            case "cut":
                del whole[place:]
            case "bit":
                whole[place] ^= 1 << data.draw(st.integers(0, 7))
            case "byte":
                whole[place] = data.draw(st.sampled_from([0x00, 0x01, 0x7F, 0x80, 0xFF]))
            case "more":
                whole += data.draw(st.binary(min_size=1, max_size=12))
            case "none":
                values[index] = None
                continue
        values[index] = bytes(whole)
    found = BatchDecoder(CODEC).decode(values, contract)
    known = one_by_one(values, contract)
    for index, (together, alone) in enumerate(zip(found, known, strict=True)):
        # a NaN that a broken byte made is equal to nothing, itself included
        assert together is None or repr(together) == repr(alone)
        assert together is not None or index in broken or 0 in broken


@pytest.mark.parametrize(
    "values", [[], [None] * FEWEST, [b""] * FEWEST, [b"\x00"] * FEWEST, [b"\x00\xff\xff\xff\xff"] * FEWEST]
)
def test_nothing_of_ours_is_left_to_the_codec(values: list[bytes | None]) -> None:
    assert BatchDecoder(CODEC).decode(values, SongPlayed) == [None] * len(values)


def test_contracts_with_arrays_are_left_to_the_codec() -> None:
    state = PlayAggregate(aggregate_id="user:u", plays=1, completions=1, played_ms=1, last_played_at=NOW)
    assert BatchDecoder(CODEC).decode([CODEC.encode(state)] * FEWEST, PlayAggregate) == [None] * FEWEST
