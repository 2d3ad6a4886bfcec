"""No bytes whatever do more than raise ``BadEventError``."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import Codec, UnknownSchemaError
from schemas.common import Exposure
from schemas.content import ContentClassified
from schemas.errors import BadEventError
from schemas.media import MediaWithdrawn
from schemas.play import SongPlayed
from schemas.record import Record
from tests.fakes.runtime import codec
from tests.fuzz.targets import CODEC_ERRORS as CODES
from tests.unit.schemas.codec_records import GOLDEN_AT, RECORDS, refused, status, withdrawn


def zigzag_varint(number: int) -> bytes:
    """A whole number of at most 64 bits as Avro writes it."""
    left, written = (number << 1 ^ number >> 63) & (2**64 - 1), bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((*written, left))


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
    data = known.encode(play)
    assert data.count(b"\x80\x80\x80\x80\x08") == 1
    assert known.decode(data, SongPlayed) == play
    assert (
        refused(known, data.replace(b"\x80\x80\x80\x80\x08", zigzag_varint(position)), SongPlayed)
        == "value-undecodable"
    )


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
    assert refused(known, head[:-2] + zigzag_varint(count) + b"\2a", ContentClassified) == "value-undecodable"
