"""The value of a dead letter, by the schema it was written with."""

from __future__ import annotations

import json
from typing import Any

from processors.runtime.registry import SchemaRegistry
from schemas import contracts
from schemas.codec import HEADER, Codec
from schemas.errors import BadEventError
from schemas.record import Record

HEX_BYTES = 48


class Decoder:
    """Decodes whatever record a value says it is; asks the registry once for each schema."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._codec = Codec()
        self._kinds: dict[int, type[Record]] = {}

    def record(self, value: bytes | None) -> Record:
        """The record of a value.

        Raises:
            BadEventError: no value, no schema id, a schema that the registry or this version does not know, or a
                body that does not fit it.
            UnavailableError: the registry does not answer.
        """
        if value is None or len(value) < HEADER.size or value[0] != 0:
            # says which of the three it is
            return self._codec.decode(value, Record)
        return self._codec.decode(value, self._kind(HEADER.unpack_from(value)[1]))

    def plain(self, record: Record) -> dict[str, Any]:
        """The record as nested dicts and lists."""
        return self._codec.to_plain(record)

    def _kind(self, schema_id: int) -> type[Record]:
        known = self._kinds.get(schema_id)
        if known is not None:
            return known
        text = self._registry.fetch(schema_id)
        self._codec.learn(schema_id, text)
        try:
            name = contracts.full_name(json.loads(text))
            kind = self._kinds[schema_id] = Record.by_contract(name)
        except (KeyError, TypeError) as error:
            raise BadEventError(f"schema id {schema_id} is no record of this version", code="schema-foreign") from error
        return kind


def head(value: bytes | None) -> str:
    """The first bytes in hexadecimal, for a value that does not decode."""
    if value is None:
        return "(no value)"
    more = f" ... ({len(value)} bytes)" if len(value) > HEX_BYTES else ""
    return value[:HEX_BYTES].hex(" ") + more
