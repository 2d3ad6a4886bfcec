"""Decodes many records of one contract at once, field by field over all of them.

One after the other, fastavro's calls cost more than the rest of a capability that counts. Here the bodies lie in one
array, each with a cursor, and every field is read for all cursors together by numpy. What is not plain (another
writer's schema, arrays and maps, a broken body) is left to ``Codec.decode``, which also knows how to refuse it: the
result is the same, only sooner.

Avro's binary encoding: https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from schemas import contracts
from schemas.codec import HEADER, Codec
from schemas.record import Record

R = TypeVar("R", bound=Record)
Ints = npt.NDArray[np.int64]
FEWEST = 16
"""Records from which reading them together is cheaper than one by one."""
LONGEST_VARINT = 9
"""Bytes of a number read here; a tenth byte holds the last bit of 64, which is left to fastavro."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(milliseconds=1)
FIRST_MS = (datetime.min.replace(tzinfo=UTC) - EPOCH) // TICK
LAST_MS = (datetime.max.replace(tzinfo=UTC) - EPOCH) // TICK


class _Rows:
    """Bodies in one array, with a cursor in each.

    Attributes:
        raw: The bytes.
        text: The same, a character for each byte.
        data: The same as uint8 [bytes + padding].
        wide: int64 [bytes + 1]: how many bytes before each place are not ASCII.
        at: int64 [N], where to read next.
        end: int64 [N], where the body ends.
        odd: bool [N]: rows that are not plain; their cursors stand at their ends.
    """

    def __init__(self, raw: bytes, at: Ints, end: Ints) -> None:
        self.raw = raw
        self.text = raw.decode("latin-1")
        self.data = np.frombuffer(raw + bytes(LONGEST_VARINT + 8), dtype=np.uint8)
        self.wide = np.concatenate(([0], np.cumsum(self.data >= 0x80)))
        self.at, self.end = at, end
        self.odd = np.zeros(len(at), dtype=bool)

    def __len__(self) -> int:
        return len(self.at)

    def refuse(self, odd: npt.NDArray[np.bool_]) -> None:
        """Leave rows to the slow way."""
        self.odd |= odd
        self.at = np.where(self.odd, self.end, self.at)

    def advance(self, by: Ints | int) -> Ints:
        """Move the cursors; where they were. A negative step, or one beyond the end, is odd."""
        before = self.at
        self.refuse((by > self.end - before) | (np.asarray(by) < 0))
        self.at = np.where(self.odd, self.end, before + by)
        return np.minimum(before, self.at)

    def gather(self, size: int) -> npt.NDArray[np.uint8]:
        """The next bytes of each row: uint8 [N, size]."""
        taken: npt.NDArray[np.uint8] = self.data[self.advance(size)[:, None] + np.arange(size)]
        return taken

    def varint(self) -> Ints:
        """The next number of each row, zigzag undone."""
        at = self.at
        byte = self.data[at].astype(np.uint64)
        value = byte & np.uint64(0x7F)
        more = byte >= 0x80
        size = np.ones(len(self), dtype=np.int64)
        for place in range(1, LONGEST_VARINT):
            if not more.any():
                break
            byte = np.where(more, self.data[at + size], 0).astype(np.uint64)
            value |= (byte & np.uint64(0x7F)) << np.uint64(7 * place)
            size += more
            more = byte >= 0x80
        self.refuse(more)
        self.advance(size)
        return ((value >> np.uint64(1)) ^ (np.uint64(0) - (value & np.uint64(1)))).view(np.int64)

    def some(self, picked: Ints) -> _Rows:
        """A few of the rows, over the same bytes."""
        rows = object.__new__(_Rows)
        rows.__dict__ |= self.__dict__
        rows.at, rows.end, rows.odd = self.at[picked], self.end[picked], self.odd[picked]
        return rows

    def join(self, picked: Ints, rows: _Rows) -> None:
        """Take over how far ``some`` have come."""
        self.at[picked] = rows.at
        self.odd[picked] = rows.odd


Read = Callable[[_Rows], Sequence[Any]]


class BatchDecoder:
    """`Codec.decode` for many values."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._readers: dict[type[Record], Read | None] = {}

    def decode(self, values: Sequence[bytes | None], expected: type[R]) -> list[R | None]:
        """Records of class ``expected``; None where only ``Codec.decode`` can tell, good or bad."""
        nothing: list[R | None] = [None] * len(values)
        if len(values) < FEWEST:
            return nothing
        header = next((value[: HEADER.size] for value in values if value), b"")
        if not self._codec.reads_as_written(header, expected):
            return nothing
        if expected not in self._readers:
            self._readers[expected] = _reader(contracts.resolve(expected.CONTRACT), {})
        read = self._readers[expected]
        if read is None:
            return nothing
        plain = [value if value and value.startswith(header) else header for value in values]
        end = np.cumsum(np.fromiter(map(len, plain), dtype=np.int64, count=len(plain)))
        at = np.concatenate((np.zeros(1, dtype=np.int64), end[:-1])) + len(header)
        rows = _Rows(b"".join(plain), at, end)
        found = read(rows)
        rows.refuse(rows.at != rows.end)
        if not rows.odd.any():
            return list(found)
        return [None if odd else record for odd, record in zip(rows.odd.tolist(), found, strict=True)]


def _reader(schema: Any, known: dict[str, Read]) -> Read | None:
    """Reads a column of ``schema``; None if it has something that is not read here."""
    if isinstance(schema, list):
        return _optional(schema, known)
    kind = schema if isinstance(schema, str) else schema["type"]
    logical = None if isinstance(schema, str) else schema.get("logicalType")
    if logical is not None:
        return _times if (kind, logical) == ("long", "timestamp-millis") else None
    match kind:
        case "record":
            return _records(schema, known)
        case "enum":
            known[contracts.full_name(schema)] = _enum(schema["symbols"])
            return known[contracts.full_name(schema)]
        case _:
            return PLAIN.get(kind) or known.get(kind)


def _records(schema: Any, known: dict[str, Read]) -> Read | None:
    columns: list[Read] = []
    for each in schema["fields"]:
        read = _reader(each["type"], known)
        if read is None:
            return None
        columns.append(read)
    names = tuple(each["name"] for each in schema["fields"])
    cls = Record.by_contract(contracts.full_name(schema))

    def read_records(rows: _Rows) -> list[Any]:
        return _made(cls, names, [read(rows) for read in columns])

    known[contracts.full_name(schema)] = read_records
    return read_records


def _made(cls: type[Record], names: tuple[str, ...], columns: list[Sequence[Any]]) -> list[Record]:
    """Records as the codec makes them, without their constructor; loops in C, which halves the time."""
    made = list(map(cls.__new__, repeat(cls, len(columns[0]))))
    plain = map(dict, map(zip, repeat(names), zip(*columns, strict=True)))
    deque(map(object.__setattr__, made, repeat("__dict__"), plain), maxlen=0)
    return made


def _optional(branches: list[Any], known: dict[str, Read]) -> Read | None:
    """A union of null and one other type."""
    if len(branches) != 2 or "null" not in branches:
        return None
    null = branches.index("null")
    read = _reader(branches[1 - null], known)
    if read is None:
        return None

    def read_optional(rows: _Rows) -> Sequence[Any]:
        branch = rows.varint()
        rows.refuse((branch != 0) & (branch != 1))
        picked = np.flatnonzero(branch != null)
        if len(picked) == len(rows):
            return read(rows)
        some = rows.some(picked)
        values: list[Any] = [None] * len(rows)
        for place, value in zip(picked.tolist(), read(some), strict=True):
            values[place] = value
        rows.join(picked, some)
        return values

    return read_optional


def _spans(rows: _Rows) -> tuple[list[int], list[int], bool]:
    """Start and stop of each row's next bytes, and whether all of them are ASCII."""
    at = rows.advance(rows.varint())
    stop = np.where(rows.odd, at, rows.at)
    return at.tolist(), stop.tolist(), bool((rows.wide[stop] == rows.wide[at]).all())


def _texts(rows: _Rows) -> list[str]:
    starts, stops, ascii_only = _spans(rows)
    if ascii_only:
        text = rows.text
        return [text[start:stop] for start, stop in zip(starts, stops, strict=True)]
    found, broken = [], np.zeros(len(rows), dtype=bool)
    for index, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        try:
            found.append(rows.raw[start:stop].decode())
        except UnicodeDecodeError:
            found.append("")
            broken[index] = True
    rows.refuse(broken)
    return found


def _bytes(rows: _Rows) -> list[bytes]:
    starts, stops, _ = _spans(rows)
    return [rows.raw[start:stop] for start, stop in zip(starts, stops, strict=True)]


def _longs(rows: _Rows) -> list[int]:
    found: list[int] = rows.varint().tolist()
    return found


def _ints(rows: _Rows) -> list[int]:
    values = rows.varint()
    rows.refuse((values < -(2**31)) | (values >= 2**31))
    return cast(list[int], values.tolist())


def _floats(rows: _Rows) -> list[float]:
    return cast(list[float], rows.gather(4).view("<f4").ravel().tolist())


def _doubles(rows: _Rows) -> list[float]:
    return cast(list[float], rows.gather(8).view("<f8").ravel().tolist())


def _booleans(rows: _Rows) -> list[bool]:
    values = rows.gather(1).ravel()
    rows.refuse(values > 1)
    return cast(list[bool], (values == 1).tolist())


def _times(rows: _Rows) -> list[datetime]:
    values = rows.varint()
    rows.refuse((values < FIRST_MS) | (values > LAST_MS))
    ages = (np.where(rows.odd, 0, values) * 1000).astype("m8[us]")
    return [EPOCH + age for age in ages.tolist()]


def _enum(symbols: list[str]) -> Read:
    def read_symbols(rows: _Rows) -> list[str]:
        values = rows.varint()
        rows.refuse((values < 0) | (values >= len(symbols)))
        return [symbols[value] for value in np.where(rows.odd, 0, values).tolist()]

    return read_symbols


PLAIN: dict[str, Read] = {
    "string": _texts,
    "bytes": _bytes,
    "long": _longs,
    "int": _ints,
    "float": _floats,
    "double": _doubles,
    "boolean": _booleans,
}
