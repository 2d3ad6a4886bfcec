"""Records of every contract with any values that Avro allows, from a random generator: fast enough for long runs."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from schemas import contracts
from schemas.record import Record

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
TEXTS = ("", "a", "s-1", "é", "\U0001f3b9", "\0", "\u202e", "x" * 70, "0b9f3f0e-3a55-5c1e-9d53-5f1f0d3e1f77")
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-38, 3e38, math.inf, -math.inf, math.nan)


def any_record(kind: type[Record], rng: Random) -> Record:
    """A record of ``kind``."""
    return _value(*_contract(kind.CONTRACT), rng)


@cache
def _contract(name: str) -> tuple[Any, dict[str, Any]]:
    """The resolved contract and the records and enums in it by name."""
    named: dict[str, Any] = {}

    def walk(schema: Any) -> None:
        for each in schema if isinstance(schema, list) else [schema]:
            if isinstance(each, dict):
                if each["type"] in ("record", "enum"):
                    named[contracts.full_name(each)] = each
                for inner in (*(f["type"] for f in each.get("fields", ())), each.get("items"), each.get("values")):
                    walk(inner)

    schema = contracts.resolve(name)
    walk(schema)
    return schema, named


def _integer(rng: Random, bits: int) -> int:
    match rng.randrange(4):
        case 0:
            return rng.randint(-2, 3)
        case 1:
            return rng.choice((-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    return rng.getrandbits(rng.randint(1, bits)) - 2 ** (bits - 1)


def _value(schema: Any, named: dict[str, Any], rng: Random) -> Any:
    if isinstance(schema, str):
        return _value(named[schema], named, rng) if schema in named else _primitive(schema, rng)
    if isinstance(schema, list):
        return _value(rng.choice(schema), named, rng)
    if schema.get("logicalType") == "timestamp-millis":
        around = 1_790_000_000_000 + rng.randint(-(10**10), 10**10)
        return EPOCH + timedelta(milliseconds=rng.choice((around, 0, EARLIEST_MS, LATEST_MS)))
    match schema["type"]:
        case "record":
            cls = Record.by_contract(contracts.full_name(schema))
            return cls(**{f["name"]: _value(f["type"], named, rng) for f in schema["fields"]})
        case "enum":
            return rng.choice(schema["symbols"])
        case "array":
            return tuple(_value(schema["items"], named, rng) for _ in range(rng.choice((0, 1, 2, 4))))
        case "map":
            return {t: _value(schema["values"], named, rng) for t in rng.sample(TEXTS, rng.randrange(3))}
    return _primitive(schema["type"], rng)


def _primitive(name: str, rng: Random) -> Any:
    match name:
        case "null":
            return None
        case "boolean":
            return rng.random() < 0.5
        case "int":
            return _integer(rng, 32)
        case "long":
            return _integer(rng, 64)
        case "float" | "double":
            return rng.choice((*FLOATS, rng.uniform(-2, 2)))
        case "bytes":
            return rng.randbytes(rng.randrange(9))
        case "string":
            return rng.choice(TEXTS)
    raise ValueError(name)
