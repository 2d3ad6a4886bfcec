"""Every record survives its bytes, and what does not fit is not written."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import contracts
from schemas.codec import Codec
from schemas.common import Label
from schemas.content import ContentClassified
from schemas.media import MediaWithdrawn
from schemas.play import SongPlayed
from schemas.record import Record
from schemas.upload import UploadCreated
from tests.unit.schemas.codec_records import GOLDEN_AT, PLAY, RECORDS, status, withdrawn

PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=8),
    "string": st.text(max_size=8),
}
TIMES = st.integers(-(10**12), 10**13).map(
    lambda ms: datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
)


def values(schema: Any, named: dict[str, st.SearchStrategy[Any]] | None = None) -> st.SearchStrategy[Any]:
    """Values of a resolved contract, as our dataclasses hold them."""
    named = {} if named is None else named
    if isinstance(schema, str):
        return named[schema] if schema in named else PRIMITIVES[schema]
    if isinstance(schema, list):
        return st.one_of([values(branch, named) for branch in schema])
    if schema.get("logicalType") == "timestamp-millis":
        return TIMES
    match schema["type"]:
        case "record":
            fields = {f["name"]: values(f["type"], named) for f in schema["fields"]}
            made = st.builds(Record.by_contract(contracts.full_name(schema)), **fields)
            named[contracts.full_name(schema)] = made
            return made
        case "enum":
            named[contracts.full_name(schema)] = st.sampled_from(schema["symbols"])
            return named[contracts.full_name(schema)]
        case "array":
            return st.lists(values(schema["items"], named), max_size=3).map(tuple)
        case "map":
            return st.dictionaries(st.text(max_size=4), values(schema["values"], named), max_size=3)
    return values(schema["type"], named)


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_any_record_survives_its_bytes(record: type[Record], known: Codec) -> None:
    @settings(max_examples=25, deadline=None)
    @given(values(contracts.resolve(record.CONTRACT)))
    def survives(value: Record) -> None:
        assert known.decode(known.encode(value), record) == value

    survives()


# Bytes that are out in the world: a change here means that old events are no longer read as they were written.
GOLDEN: list[tuple[Record, str]] = [
    (withdrawn(), "046531dcbccccaef66046d3104753100"),
    (
        status(),
        "046d3106047531080602dcbccccaef66dcbccccaef6602026306e99fb30002086a617a7a0000003f00020c75706c6f6164107265636569766564dcbccccaef66000000000002026b0430660e12696d6167652f706e67000200040000803e000080bf00047631000000",
    ),
]


@pytest.mark.parametrize(("record", "body"), GOLDEN, ids=["MediaWithdrawn", "MediaStatus"])
def test_golden_bytes(record: Record, body: str) -> None:
    one = Codec()
    one.assign(record.CONTRACT, 258)
    assert one.encode(record).hex() == "0000000102" + body
    assert one.decode(bytes.fromhex("0000000102" + body), type(record)) == record


def test_header_is_the_confluent_one(known: Codec) -> None:
    data = known.encode(withdrawn())
    assert data[0] == 0
    assert struct.unpack(">I", data[1:5])[0] == [r.CONTRACT for r in RECORDS].index(MediaWithdrawn.CONTRACT) + 1


def test_lists_where_tuples_belong_are_written_too(known: Codec) -> None:
    data = known.encode(
        ContentClassified(
            event_id="",
            source_event_id="",
            occurred_at=GOLDEN_AT,
            produced_at=GOLDEN_AT,
            media_id="",
            labels=[Label(name="a", score=1.0)],
            model_version="",
        )
    )  # type: ignore[arg-type]
    assert known.decode(data, ContentClassified).labels == (Label(name="a", score=1.0),)


@pytest.mark.parametrize(
    "record",
    [
        MediaWithdrawn(event_id=None, occurred_at=GOLDEN_AT, media_id="m", requested_by="u"),  # type: ignore[arg-type]
        UploadCreated(event_id="e", occurred_at=GOLDEN_AT, media_id="m", kind="hologram", uploader="u"),  # type: ignore[arg-type]
        SongPlayed(**PLAY | {"played_ms": 2**63}),
        SongPlayed(**PLAY | {"completion": "half"}),
    ],
    ids=["none", "enum", "range", "text"],
)
def test_what_does_not_fit_is_not_written(known: Codec, record: Record) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        known.encode(record)


def test_a_record_without_an_id_is_not_written() -> None:
    with pytest.raises(KeyError):
        Codec().encode(withdrawn())
