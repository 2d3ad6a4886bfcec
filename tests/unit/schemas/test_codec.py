"""Every record survives its bytes, and no bytes whatever do more than raise ``BadEventError``."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import contracts, topics
from schemas.codec import Codec, UnknownSchemaError
from schemas.common import Exposure, Label, ObjectRef, Reason
from schemas.content import ContentClassified
from schemas.errors import BadEventError
from schemas.media import MediaStatus, MediaWithdrawn, TimelineEntry
from schemas.play import SongPlayed
from schemas.record import Record
from schemas.upload import UploadCreated
from tests.fakes.runtime import codec, schema_text

RECORDS = tuple(dict.fromkeys(t.record for t in topics.ALL))
CODES = {
    "value-missing",
    "value-truncated",
    "value-magic",
    "schema-unknown",
    "value-type",
    "value-undecodable",
    "value-trailing",
}
GOLDEN_AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
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


@pytest.fixture(scope="module")
def known() -> Codec:
    return codec()


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_any_record_survives_its_bytes(record: type[Record], known: Codec) -> None:
    @settings(max_examples=25, deadline=None)
    @given(values(contracts.resolve(record.CONTRACT)))
    def survives(value: Record) -> None:
        assert known.decode(known.encode(value), record) == value

    survives()


def withdrawn() -> MediaWithdrawn:
    return MediaWithdrawn(event_id="e1", occurred_at=GOLDEN_AT, media_id="m1", requested_by="u1")


def status() -> MediaStatus:
    return MediaStatus(
        media_id="m1",
        kind="post",
        uploader="u1",
        state="published",
        seq=3,
        accepted_at=GOLDEN_AT,
        changed_at=GOLDEN_AT,
        reasons=(Reason(code="c", text="音"),),
        labels=(Label(name="jazz", score=0.5),),
        timeline=(TimelineEntry(stage="upload", state="received", at=GOLDEN_AT),),
        object=ObjectRef(key="k", sha256="0f", size_bytes=7, content_type="image/png"),
        decision="approve",
        vector=(0.25, -1.0),
        vector_version="v1",
    )


# Bytes that are out in the world: a change here means that old events are no longer read as they were written.
GOLDEN: list[tuple[Record, str]] = [
    (withdrawn(), "046531dcbccccaef66046d3104753100"),
    (
        status(),
        "046d3106047531080602dcbccccaef66dcbccccaef6602026306e99fb30002086a617a7a0000003f00020c75706c6f6164107265636569766564dcbccccaef66000000000002026b0430660e12696d6167652f706e67000200040000803e000080bf000476310000",
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


def refused(known: Codec, data: bytes | None, expected: type[Record] = MediaWithdrawn) -> str:
    with pytest.raises(BadEventError) as caught:
        known.decode(data, expected)
    return caught.value.code


def test_no_value(known: Codec) -> None:
    assert refused(known, None) == "value-missing"


@pytest.mark.parametrize("length", range(5))
def test_shorter_than_a_header(known: Codec, length: int) -> None:
    assert refused(known, known.encode(withdrawn())[:length]) == "value-truncated"


@pytest.mark.parametrize("magic", [1, 0x7F, 0x80, 0xFF])
def test_wrong_magic(known: Codec, magic: int) -> None:
    assert refused(known, bytes([magic]) + known.encode(withdrawn())[1:]) == "value-magic"


@pytest.mark.parametrize("record", [withdrawn(), status()], ids=lambda r: type(r).__name__)
def test_truncated_at_every_length(known: Codec, record: Record) -> None:
    data = known.encode(record)
    for length in range(5, len(data)):
        assert refused(known, data[:length], type(record)) == "value-undecodable", length


def test_trailing_bytes(known: Codec) -> None:
    assert refused(known, known.encode(withdrawn()) + b"\0") == "value-trailing"


def test_unknown_id_says_which(known: Codec) -> None:
    with pytest.raises(UnknownSchemaError) as caught:
        known.decode(b"\0\xff\xff\xff\xff", MediaWithdrawn)
    assert caught.value.schema_id == 2**32 - 1
    assert caught.value.code == "schema-unknown"


def test_another_record(known: Codec) -> None:
    assert refused(known, known.encode(status())) == "value-type"


@pytest.mark.parametrize("position", [2**31, -(2**31) - 1, 2**62])
def test_an_int_of_more_than_32_bits(known: Codec, position: int) -> None:
    """fastavro decodes it; the record could not be written again. Found by fuzzing."""
    play = SongPlayed(
        event_id="e",
        occurred_at=GOLDEN_AT,
        user_id="u",
        song_id="s",
        played_ms=1,
        duration_ms=2,
        completion=0.5,
        exposure=Exposure(surface="", position=2**30, request_id="", experiment=""),
    )
    number, varint = position << 1 ^ position >> 63, bytearray()
    while number > 0x7F:
        varint.append(number & 0x7F | 0x80)
        number >>= 7
    varint.append(number)
    data = known.encode(play)
    assert data.count(b"\x80\x80\x80\x80\x08") == 1
    assert known.decode(data, SongPlayed) == play
    assert refused(known, data.replace(b"\x80\x80\x80\x80\x08", bytes(varint)), SongPlayed) == "value-undecodable"


FUZZED = codec()


def decoded_or_code(data: bytes, expected: type[Record]) -> type[Record] | str:
    """Class of what the bytes say, or the code of the error; any other exception goes through."""
    try:
        return type(FUZZED.decode(data, expected))
    except BadEventError as error:
        return error.code


@settings(max_examples=300, deadline=None)
@given(
    record=st.sampled_from(RECORDS),
    head=st.one_of(st.integers(1, len(RECORDS)).map(lambda i: struct.pack(">bI", 0, i)), st.binary(max_size=6)),
    body=st.binary(max_size=80),
)
def test_random_bytes_raise_nothing_else(record: type[Record], head: bytes, body: bytes) -> None:
    assert decoded_or_code(head + body, record) in (record, *CODES)


@settings(max_examples=300, deadline=None)
@given(record=st.sampled_from([withdrawn(), status()]), place=st.floats(0, 1), byte=st.integers(0, 255))
def test_one_flipped_byte_raises_nothing_else(record: Record, place: float, byte: int) -> None:
    data = bytearray(FUZZED.encode(record))
    data[min(int(place * len(data)), len(data) - 1)] = byte
    assert decoded_or_code(bytes(data), type(record)) in (type(record), *CODES)


@pytest.mark.parametrize(
    "count",
    [2**62, -(2**62), 2**31],
)
def test_a_tiny_message_that_claims_many_items_is_quick(known: Codec, count: int) -> None:
    """The count of an array is a promise of the sender; the items must be there."""
    head = known.encode(
        ContentClassified(
            event_id="",
            source_event_id="",
            occurred_at=GOLDEN_AT,
            produced_at=GOLDEN_AT,
            media_id="",
            labels=(),
            model_version="",
        )
    )
    # the last two bytes: no labels, empty model version
    zigzag = (count << 1) ^ (count >> 63)
    varint = bytearray()
    number = zigzag & (2**64 - 1)
    while number > 0x7F:
        varint.append(number & 0x7F | 0x80)
        number >>= 7
    varint.append(number)
    assert refused(known, head[:-2] + bytes(varint) + b"\2a", ContentClassified) == "value-undecodable"


# a writer of another time


def written(schema: dict[str, Any], value: dict[str, Any], schema_id: int = 900) -> tuple[Codec, bytes]:
    """A codec that knows ``schema`` only as a writer's, and bytes written with it."""
    import io

    import fastavro

    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema, named_schemas={}), value)
    known = Codec()
    known.learn(schema_id, json.dumps(schema))
    return known, struct.pack(">bI", 0, schema_id) + out.getvalue()


def song_played_schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_text(SongPlayed.CONTRACT))
    return schema


PLAY: dict[str, Any] = {
    "event_id": "e",
    "occurred_at": GOLDEN_AT,
    "user_id": "u",
    "song_id": "s",
    "played_ms": 5,
    "duration_ms": 10,
    "completion": 0.5,
    "exposure": None,
}


def test_a_field_that_we_do_not_know_is_skipped() -> None:
    schema = song_played_schema()
    schema["fields"].insert(2, {"name": "device", "type": "string"})
    known, data = written(schema, PLAY | {"device": "phone"})
    assert known.decode(data, SongPlayed) == SongPlayed(**PLAY)


def test_a_field_that_the_writer_lacks_has_its_default() -> None:
    schema = song_played_schema()
    schema["fields"] = [f for f in schema["fields"] if f["name"] != "exposure"]
    known, data = written(schema, {k: v for k, v in PLAY.items() if k != "exposure"})
    assert known.decode(data, SongPlayed) == SongPlayed(**PLAY)


def test_a_schema_learned_anew_counts_at_once() -> None:
    known, plain = written(song_played_schema(), PLAY)
    assert known.decode(plain, SongPlayed) == SongPlayed(**PLAY)
    schema = song_played_schema()
    schema["fields"].insert(2, {"name": "device", "type": "string"})
    _, longer = written(schema, PLAY | {"device": "phone"})
    known.learn(int.from_bytes(longer[1:5], "big"), json.dumps(schema))
    assert known.decode(longer, SongPlayed) == SongPlayed(**PLAY)


def test_a_missing_field_without_default_is_a_bad_event() -> None:
    schema = song_played_schema()
    schema["fields"] = [f for f in schema["fields"] if f["name"] != "user_id"]
    known, data = written(schema, {k: v for k, v in PLAY.items() if k != "user_id"})
    assert refused(known, data, SongPlayed) == "value-undecodable"


def test_a_kind_of_the_future_becomes_unknown() -> None:
    schema = json.loads(schema_text(UploadCreated.CONTRACT))
    kind = next(f for f in schema["fields"] if f["name"] == "kind")
    kind["type"]["symbols"].append("hologram")
    value = {
        "event_id": "e",
        "occurred_at": GOLDEN_AT,
        "media_id": "m",
        "kind": "hologram",
        "uploader": "u",
        "object": None,
        "title": "",
        "text": "",
        "tags": [],
        "song_id": None,
        "language": None,
        "surface": "none",
    }
    known, data = written(schema, value)
    assert known.decode(data, UploadCreated).kind == "unknown"


@pytest.mark.parametrize(
    "schema",
    [
        "not json",
        "5",
        "null",
        "{}",
        '{"type": "record"}',
        '{"type": "array"}',
        '{"type": "enum", "name": "A"}',
        '{"type": "record", "name": "A", "fields": 3}',
        '{"type": "record", "name": 7, "fields": []}',
        '{"type": "record", "name": "A", "fields": [{"name": "x", "type": "Nope"}]}',
        "[" * 20_000,
    ],
    ids=lambda s: s[:30],
)
def test_what_is_no_schema_is_a_bad_event(schema: str) -> None:
    with pytest.raises(BadEventError) as caught:
        Codec().learn(1, schema)
    assert caught.value.code == "schema-invalid"


@pytest.mark.parametrize("schema", ['"string"', '["null", "string"]', "[]", '{"type": "map", "values": "int"}'])
def test_a_schema_that_is_no_record_is_a_bad_event(schema: str) -> None:
    """The registry holds what others register too: a bare string is a valid schema."""
    known = Codec()
    known.learn(1, schema)
    assert refused(known, b"\0\0\0\0\1\2a") == "value-type"


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
