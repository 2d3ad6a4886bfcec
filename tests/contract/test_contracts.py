"""The contracts as they lie on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import avro.schema
import fastavro
import pytest

from schemas import contracts, topics

NAMES = sorted(contracts.files())
every_contract = pytest.mark.parametrize("name", NAMES)


def named(node: Any) -> Iterator[str]:
    """Full names of the types defined in a schema, once for each definition."""
    if isinstance(node, list):
        for branch in node:
            yield from named(branch)
    elif isinstance(node, dict):
        if node["type"] in ("record", "enum", "fixed"):
            yield contracts.full_name(node)
        for child in (*(f["type"] for f in node.get("fields", ())), node.get("items"), node.get("values")):
            yield from named(child)


def fields(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, list):
        for branch in node:
            yield from fields(branch, path)
    elif isinstance(node, dict):
        for field in node.get("fields", ()):
            yield f"{path}.{field['name']}", field
            yield from fields(field["type"], f"{path}.{field['name']}")
        yield from fields(node.get("items"), path)
        yield from fields(node.get("values"), path)


@every_contract
def test_every_named_type_is_defined_once(name: str) -> None:
    defined = list(named(contracts.resolve(name)))
    assert len(defined) == len(set(defined))


@every_contract
def test_it_stands_on_its_own_for_both_libraries(name: str) -> None:
    text = contracts.canonical_json(name)
    fastavro.parse_schema(json.loads(text), named_schemas={})
    assert avro.schema.parse(text).fullname == name


@every_contract
def test_everything_is_documented(name: str) -> None:
    schema = contracts.resolve(name)
    assert schema["doc"].endswith(".")
    lacking = [path for path, field in fields(schema) if not field.get("doc", "").endswith(".")]
    assert lacking == []


@every_contract
def test_instants_are_timestamps_and_durations_are_not(name: str) -> None:
    timestamp = {"type": "long", "logicalType": "timestamp-millis"}
    for path, field in fields(contracts.resolve(name)):
        plain = field["type"] if not isinstance(field["type"], list) else next(b for b in field["type"] if b != "null")
        is_instant = path.endswith("_at") or path.rsplit(".", 1)[-1] == "at"
        assert (plain == timestamp) == is_instant, path
        if path.endswith("_ms"):
            assert plain == "long", path


@every_contract
def test_an_enumeration_has_a_default_for_symbols_of_the_future(name: str) -> None:
    def enums(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, list):
            for branch in node:
                yield from enums(branch)
        elif isinstance(node, dict):
            if node["type"] == "enum":
                yield node
            for child in (*(f["type"] for f in node.get("fields", ())), node.get("items"), node.get("values")):
                yield from enums(child)

    for enum in enums(contracts.resolve(name)):
        assert enum["default"] in enum["symbols"], enum["name"]


@every_contract
def test_a_union_is_an_optional_value_that_defaults_to_null(name: str) -> None:
    for path, field in fields(contracts.resolve(name)):
        if isinstance(field["type"], list):
            assert field["type"][0] == "null", path
            assert len(field["type"]) == 2, path
            assert field.get("default", "") is None, path


@every_contract
def test_the_file_is_named_after_domain_and_record(name: str) -> None:
    path = contracts.files()[name]
    _, domain, record = name.split(".")
    assert path.parent.name == domain
    assert path.name.split(".")[0].replace("_", "") == record.lower()


def test_every_contract_is_used() -> None:
    used = {n for t in topics.ALL for n in named(contracts.resolve(t.record.CONTRACT))}
    assert set(NAMES) - used == set()
