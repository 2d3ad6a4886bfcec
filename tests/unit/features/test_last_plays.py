"""The packed last plays: what goes in comes out, and other bytes are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.last_plays import LAST_PLAYS, NONE, LastPlays, unpacked
from schemas.errors import BugError

PLAYS = st.lists(st.tuples(st.text(), st.floats(0, 1, width=32), st.integers(-(2**62), 2**62)), max_size=2 * LAST_PLAYS)


Play = tuple[str, float, int]


def of(plays: list[Play]) -> LastPlays:
    return LastPlays.of([item for item, _, _ in plays], [done for _, done, _ in plays], [at for _, _, at in plays])


def told(plays: LastPlays) -> list[Play]:
    return list(zip(plays.items, plays.completion.tolist(), plays.at_ms.tolist(), strict=True))


@given(PLAYS, PLAYS)
def test_the_newest_plays_come_out_as_they_went_in(first: list[Play], then: list[Play]) -> None:
    kept = of(first).then(of(then))
    assert told(unpacked(kept.packed())) == (first + then)[-LAST_PLAYS:]
    assert told(kept.last(3)) == (first + then)[-3:]


def test_the_bytes_are_those_that_the_module_describes() -> None:
    packed = of([("\u00e9", 0.5, 1), ("b", 1.0, 258)]).packed()
    numbers = bytes.fromhex("0200 0100000000000000 0201000000000000 0000003f 0000803f")
    assert packed == numbers + '["\u00e9","b"]'.encode()
    assert NONE.packed() == b"\0\0[]"


@pytest.mark.parametrize(
    "data",
    [b"", b"\1", b"\1\0", b"\1\0" + bytes(12), b"\1\0" + bytes(12) + b"[]", b"\0\0{}", b"\0\0[]x"],
    ids=["empty", "half", "no columns", "no items", "too few items", "no list", "trailing"],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BugError, match="last plays"):
        unpacked(data)
