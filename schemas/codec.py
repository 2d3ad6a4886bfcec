"""Record <-> bytes in the Confluent wire format.

Byte 0 is the magic byte 0, bytes 1-4 the schema id (big endian), the rest the Avro body.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any, TypeVar, cast

import fastavro

from schemas import contracts
from schemas.errors import BadEventError
from schemas.record import Record

R = TypeVar("R", bound=Record)
HEADER = struct.Struct(">bI")
Plain = dict[str, Any]
Unpack = Callable[[Plain], Record]


class UnknownSchemaError(BadEventError):
    """The body was written with a schema that this process has not learned yet.

    Attributes:
        schema_id: Id found in the header; ask the registry, then ``Codec.learn`` it.
    """

    code = "schema-unknown"

    def __init__(self, schema_id: int) -> None:
        super().__init__(f"schema id {schema_id} is not known to the registry")
        self.schema_id = schema_id


class Codec:
    """Encodes with our newest contract, decodes with the writer's schema into ours."""

    def __init__(self) -> None:
        self._writers: dict[int, Any] = {}
        self._ids: dict[str, int] = {}
        self._readers: dict[str, Any] = {}
        self._unpack: dict[str, Unpack] = {}
        self._plans: dict[tuple[bytes, type[Record]], tuple[Any, Any, Unpack]] = {}
        self._pack: dict[str, Callable[[Any], Plain]] = {}

    def assign(self, contract: str, schema_id: int) -> None:
        """Use ``schema_id`` when encoding records of ``contract``."""
        self._ids[contract] = schema_id
        self.learn(schema_id, contracts.canonical_json(contract))

    def learn(self, schema_id: int, schema: str) -> None:
        """Remember a writer's schema.

        Raises:
            BadEventError: ``schema`` is not an Avro schema.
        """
        try:
            parsed = fastavro.parse_schema(json.loads(schema), named_schemas={})
        # the text comes from outside and fastavro trips over odd ones with any exception
        except Exception as error:
            raise BadEventError(
                f"schema id {schema_id} is no Avro schema: {type(error).__name__}: {error}", code="schema-invalid"
            ) from error
        self._writers[schema_id] = parsed
        self._plans.clear()

    def encode(self, record: Record) -> bytes:
        """Bytes of ``record``.

        Raises:
            KeyError: ``assign`` was not called for the record's contract.
            ValueError, TypeError: a field does not fit the contract.
        """
        out = BytesIO()
        out.write(HEADER.pack(0, self._ids[record.CONTRACT]))
        fastavro.schemaless_writer(out, self._reader(record.CONTRACT), self.to_plain(record))
        return out.getvalue()

    def decode(self, data: bytes | None, expected: type[R]) -> R:
        """Record of class ``expected``.

        Raises:
            UnknownSchemaError: the id must be learned first.
            BadEventError: no value, wrong magic byte, truncated or trailing bytes, another record.
        """
        if data is None:
            raise BadEventError("the record has no value", code="value-missing")
        plan = self._plans.get((data[: HEADER.size], expected)) or self._plan(data, expected)
        writer, reader, unpack = plan
        body = BytesIO(data)
        body.seek(HEADER.size)
        try:
            plain = fastavro.schemaless_reader(body, writer, reader)
        # fastavro reports broken bodies with whatever its C code ran into (measured: IndexError, EOFError,
        # UnicodeDecodeError, ValueError, OverflowError, MemoryError ...), so this border takes all of them.
        except Exception as error:
            raise BadEventError(
                f"body does not decode as {expected.CONTRACT}: {type(error).__name__}: {error}",
                code="value-undecodable",
            ) from error
        if body.tell() != len(data):
            raise BadEventError(f"{len(data) - body.tell()} bytes follow the record", code="value-trailing")
        return cast(R, unpack(cast(Plain, plain)))

    def reads_as_written(self, header: bytes, expected: type[Record]) -> bool:
        """Whether bodies behind this header were written with the very contract of ``expected``."""
        if len(header) < HEADER.size:
            return False
        magic, schema_id = HEADER.unpack_from(header)
        return bool(magic == 0 and self._writers.get(schema_id) == self._reader(expected.CONTRACT))

    def _plan(self, data: bytes, expected: type[Record]) -> tuple[Any, Any, Unpack]:
        """What all records with this header have in common: writer's schema, ours unless it is the same, unpacker."""
        if len(data) < HEADER.size:
            raise BadEventError(f"{len(data)} bytes are too few for a record", code="value-truncated")
        magic, schema_id = HEADER.unpack_from(data)
        if magic != 0:
            raise BadEventError(f"magic byte is {magic}, not 0", code="value-magic")
        writer = self._writers.get(schema_id)
        if writer is None:
            raise UnknownSchemaError(schema_id)
        name = writer.get("name") if isinstance(writer, dict) else writer
        if name != expected.CONTRACT:
            raise BadEventError(f"record is {name}, expected {expected.CONTRACT}", code="value-type")
        reader = self._reader(expected.CONTRACT)
        # two equal schemas would be compared by fastavro again for each record
        plan = (writer, None if writer == reader else reader, self._unpacking(expected))
        self._plans[data[: HEADER.size], expected] = plan
        return plan

    def to_plain(self, record: Record) -> Plain:
        """The record as nested dicts and lists, as fastavro takes it."""
        pack = self._pack.get(record.CONTRACT)
        if pack is None:
            pack = self._pack[record.CONTRACT] = _packer(contracts.resolve(record.CONTRACT))
        return pack(record)

    def _unpacking(self, expected: type[Record]) -> Unpack:
        unpack = self._unpack.get(expected.CONTRACT)
        if unpack is None:
            unpack = self._unpack[expected.CONTRACT] = _unpacker(contracts.resolve(expected.CONTRACT), {"int": _int32})
        return unpack

    def _reader(self, contract: str) -> Any:
        parsed = self._readers.get(contract)
        if parsed is None:
            parsed = fastavro.parse_schema(contracts.resolve(contract), named_schemas={})
            self._readers[contract] = parsed
        return parsed


def _packer(schema: Any, known: dict[str, Any] | None = None) -> Callable[[Any], Any]:
    """Function that turns a value of ``schema`` into what fastavro writes."""
    known = {} if known is None else known
    convert = _converter(schema, known, _pack_record)
    return convert or (lambda value: value)


def _unpacker(schema: Any, known: dict[str, Any]) -> Callable[[Any], Any]:
    convert = _converter(schema, known, _unpack_record, sequence=tuple)
    return convert or (lambda value: value)


def _int32(value: int) -> int:
    """``value``; fastavro decodes an ``int`` of up to 64 bits, and what is decoded so cannot be written again."""
    if -(2**31) <= value < 2**31:
        return value
    raise BadEventError(f"the int {value} has more than 32 bits", code="value-undecodable")


RecordMaker = Callable[[Any, list[tuple[str, Callable[[Any], Any]]]], Callable[[Any], Any]]


def _pack_record(_schema: Any, nested: list[tuple[str, Callable[[Any], Any]]]) -> Callable[[Any], Plain]:
    def pack(record: Record) -> Plain:
        plain = dict(vars(record))
        for name, convert in nested:
            plain[name] = convert(plain[name])
        return plain

    return pack


def _unpack_record(schema: Any, nested: list[tuple[str, Callable[[Any], Any]]]) -> Callable[[Plain], Record]:
    cls = Record.by_contract(contracts.full_name(schema))
    new, fill = cls.__new__, object.__setattr__

    def unpack(plain: Plain) -> Record:
        for name, convert in nested:
            plain[name] = convert(plain[name])
        # the reader gives every field of our schema; a frozen dataclass's constructor takes a multiple of the time
        record = new(cls)
        fill(record, "__dict__", plain)
        return record

    return unpack


def _converter(
    schema: Any, known: dict[str, Any], make: RecordMaker, sequence: type[Any] | None = None
) -> Callable[[Any], Any] | None:
    """None where the value needs no change, so that flat records cost one dict."""
    if isinstance(schema, str):
        return known.get(schema)
    if isinstance(schema, list):
        branches = [_converter(b, known, make, sequence) for b in schema]
        convert = next((c for c in branches if c), None)
        if convert is None:
            return None
        return lambda value: None if value is None else convert(value)
    match schema["type"]:
        case "record":
            nested = [(f["name"], c) for f in schema["fields"] if (c := _converter(f["type"], known, make, sequence))]
            function = make(schema, nested)
            known[contracts.full_name(schema)] = function
            return function
        case "array":
            item = _converter(schema["items"], known, make, sequence)
            out = sequence or list
            if item is None:
                return out if sequence else None
            return lambda values: out(item(v) for v in values)
        case _:
            return None
