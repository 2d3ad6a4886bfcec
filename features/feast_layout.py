"""Feast's layout of a Redis online store (0.67, entity key version 3), without importing Feast.

One hash for each entity holds all its views:

* key: ``u32 count=1 | u32 2 (string) | u32 length | join key name | u32 value type | u32 length | id | project``,
  all little-endian;
* field of a feature: murmur3_32 of ``view:feature``, four bytes little-endian; its value is a protobuf ``Value``;
* field ``_ts:<view>``: protobuf ``Timestamp`` of the event.

Source: docs/specs/online_store_format.md of Feast and ``Value.proto``; held equal to Feast by a contract test.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import mmh3
import numpy as np

from features.ports import Vector
from features.views import FieldType, View
from schemas.errors import BugError

_STRING = 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10
# field numbers of Value.proto
_NUMBERS: dict[FieldType, int] = {
    "bytes": 1,
    "string": 2,
    "int64": 4,
    "float64": 5,
    "string_list": 12,
    "float_vector": 16,
}
_WIRE: dict[FieldType, int] = {"int64": _VARINT, "float64": _FIXED64}
_SMALL = [bytes([value]) for value in range(0x80)]
_SPECIAL = re.compile(rb"[\\\[\]*?]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def entity_key(project: str, join_key: str, entity_id: str) -> bytes:
    """Redis key of an entity."""
    name, value = join_key.encode(), entity_id.encode()
    return b"".join(
        (
            struct.pack("<III", 1, _STRING, len(name)),
            name,
            struct.pack("<II", _STRING, len(value)),
            value,
            project.encode(),
        )
    )


def entity_pattern(project: str, join_key: str) -> bytes:
    """Glob pattern of the Redis keys of every entity of one kind."""
    whole = entity_key(project, join_key, "")
    # up to the length of the id, and the project after it
    head, tail = whole[: len(whole) - len(project.encode()) - 4], project.encode()
    return _SPECIAL.sub(rb"\\\g<0>", head) + b"*" + _SPECIAL.sub(rb"\\\g<0>", tail)


def entity_id_of(key: bytes, project: str, join_key: str) -> str | None:
    """Id in a Redis key; None if it is no key of that kind and project.

    Projects are not delimited: the keys of ``my-music`` match the pattern of ``music`` too, only their length tells.
    """
    start = len(entity_key(project, join_key, "")) - len(project.encode())
    value = key[start : len(key) - len(project.encode())].decode(errors="replace")
    return value if entity_key(project, join_key, value) == key else None


def feature_field(view: str, feature: str) -> bytes:
    """Hash field of a feature."""
    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def time_field(view: str) -> bytes:
    """Hash field of a view's event time."""
    return f"_ts:{view}".encode()


def view_fields(view: View) -> list[bytes]:
    """Hash fields of a view: the features in the order declared, then the event time."""
    return [*(feature_field(view.name, name) for name in view.fields), time_field(view.name)]


def parse_time(data: bytes) -> datetime:
    """Event time, UTC, from a protobuf ``Timestamp``; to the microsecond."""
    seconds = nanos = 0
    for number, wire, value in _messages(data):
        if wire == _VARINT and number == 1:
            seconds = _signed(value)
        elif wire == _VARINT and number == 2:
            nanos = value
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)


def parse_value(data: bytes, kind: FieldType) -> Any:
    """The value in a protobuf ``Value``; None if it holds none.

    Raises:
        BugError: it is no ``Value`` of this kind.
    """
    found: Any = None
    for number, wire, value in _messages(data):
        if number != _NUMBERS[kind] or wire != _WIRE.get(kind, _BYTES):
            raise BugError(f"the online store holds field {number} of Value where {kind} is declared")
        try:
            found = _decode(value, kind)
        except UnicodeDecodeError as error:
            raise BugError("a text in the online store is no UTF-8") from error
    return found


def format_time(at: datetime) -> bytes:
    """Protobuf ``Timestamp`` of an event time with a zone."""
    seconds, micros = divmod((at - _EPOCH) // _MICROSECOND, 1_000_000)
    parts = [(1, seconds), (2, micros * 1000)]
    # proto3 leaves out what is zero
    return b"".join(_varint(number << 3 | _VARINT) + _varint(value) for number, value in parts if value)


def format_value(value: Any, kind: FieldType) -> bytes:
    """Protobuf ``Value`` of a value that `features.checks.checked_row` has let through; None: one that holds none."""
    if value is None:
        return b""
    tag = _varint(_NUMBERS[kind] << 3 | _WIRE.get(kind, _BYTES))
    match kind:
        case "int64":
            return tag + _varint(value)
        case "float64":
            return tag + struct.pack("<d", value)
        case "string":
            return tag + _sized(value.encode())
        case "bytes":
            return tag + _sized(value)
        case "string_list":
            return tag + _sized(b"".join(b"\x0a" + _sized(item.encode()) for item in value))
        case "float_vector":
            return vector_header(len(value)) + value.astype("<f4").tobytes() if len(value) else tag + _sized(b"")


def vector_header(dim: int) -> bytes:
    """What precedes the packed floats in the ``Value`` of a vector of ``dim`` floats."""
    floats = 4 * dim
    inner = b"\x0a" + _varint(floats)
    return _varint(_NUMBERS["float_vector"] << 3 | _BYTES) + _varint(len(inner) + floats) + inner


def _decode(value: Any, kind: FieldType) -> Any:
    match kind:
        case "int64":
            return _signed(value)
        case "float64":
            return struct.unpack("<d", value)[0]
        case "string":
            return value.decode()
        case "bytes":
            return bytes(value)
        case "string_list":
            return [item.decode() for _, _, item in _messages(value)]
        case "float_vector":
            return _floats(value)


def _floats(data: bytes) -> Vector:
    # proto3 packs them, yet a parser must also take them one by one
    packed = b"".join(value for _, _, value in _messages(data))
    return np.frombuffer(packed, dtype="<f4").astype(np.float32)


def _messages(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """Field number, wire type and raw value of each field of a message."""
    at = 0
    try:
        while at < len(data):
            tag, at = _read_varint(data, at)
            wire = tag & 7
            if wire == _VARINT:
                value: Any
                value, at = _read_varint(data, at)
            else:
                if wire == _BYTES:
                    size, at = _read_varint(data, at)
                else:
                    size = {_FIXED64: 8, _FIXED32: 4}[wire]
                value, at = data[at : at + size], at + size
            if at > len(data):
                raise BugError("a value in the online store ends too early")
            yield tag >> 3, wire, value
    except (IndexError, KeyError) as error:
        raise BugError("a value in the online store is no protobuf message") from error


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT):
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise BugError("a value in the online store has an endless number")


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _varint(value: int) -> bytes:
    if 0 <= value < len(_SMALL):
        return _SMALL[value]
    out = bytearray()
    if value < 0:
        value += 1 << 64
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
