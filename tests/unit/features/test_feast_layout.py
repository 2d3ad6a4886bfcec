from __future__ import annotations

import contextlib
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.feast_layout import entity_key, feature_field, parse_time, parse_value, vector_header, view_fields
from features.views import ITEM_PLAYS
from schemas.errors import BugError


def test_the_key_of_an_entity() -> None:
    assert entity_key("overture", "item_id", "i1") == bytes.fromhex(
        "01000000 02000000 07000000 6974656d5f6964 02000000 02000000 6931 6f766572747572 65"
    )


def test_the_fields_of_a_view() -> None:
    assert feature_field("v1", "f") == bytes.fromhex("2a23be48")
    assert view_fields(ITEM_PLAYS)[-1] == b"_ts:item_plays_v1"
    assert len(view_fields(ITEM_PLAYS)) == len(ITEM_PLAYS.fields) + 1


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=400))
def test_a_vector_is_header_and_tail(values: list[float]) -> None:
    floats = np.array(values, dtype="<f4")
    parsed = parse_value(vector_header(len(values)) + floats.tobytes(), "float_vector")
    assert parsed.dtype == np.float32
    assert np.array_equal(parsed, floats)


def test_a_vector_may_come_unpacked() -> None:
    inner = b"".join(b"\x0d" + struct.pack("<f", value) for value in (1.5, -2.0))
    assert parse_value(b"\x82\x01" + bytes([len(inner)]) + inner, "float_vector").tolist() == [1.5, -2.0]


def test_times_before_1970_and_with_nanoseconds() -> None:
    assert parse_time(b"").timestamp() == 0
    assert parse_time(b"\x08" + b"\xff" * 9 + b"\x01").timestamp() == -1
    assert parse_time(b"\x08\x01\x10\xb9\x60").microsecond == 12


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x20", "int64"),
        (b"\x20" + b"\xff" * 11, "int64"),
        (b"\x12\x05abc", "string"),
        (b"\x12\x01\xff", "string"),
        (b"\x62\x03\x0a\x01\xff", "string_list"),
        (b"\x23", "string"),
        (b"\x12\x01a", "int64"),
        (b"\x22\x01a", "int64"),
        (b"\x98\x01\x00", "string"),
    ],
)
def test_what_is_no_such_value_is_refused(data: bytes, kind) -> None:
    with pytest.raises(BugError):
        parse_value(data, kind)


@given(st.binary(max_size=60), st.sampled_from(["int64", "float64", "string", "string_list", "float_vector", "bytes"]))
def test_any_bytes_are_parsed_or_refused(data: bytes, kind) -> None:
    with contextlib.suppress(BugError):
        parse_value(data, kind)


def test_nothing_is_no_value() -> None:
    assert parse_value(b"", "int64") is None


def test_reading_imports_neither_feast_nor_pymilvus() -> None:
    code = "import sys, features.feature_reader, features.attempts, features.objects, features.feast_store;"
    code += "sys.exit(bool({'feast', 'pymilvus', 'pandas', 'pyarrow'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
