"""What the generator writes for each shape of a contract."""

from __future__ import annotations

import ast
import dataclasses
import typing
from typing import Any

import pytest

from schemas import contracts, generate, topics
from schemas.generate import _Module
from schemas.record import Record

TIME = {"type": "long", "logicalType": "timestamp-millis"}


def source(*fields: dict[str, Any]) -> str:
    record = {
        "type": "record",
        "name": "Thing",
        "namespace": "overture.test",
        "doc": "A thing.",
        "fields": list(fields),
    }
    return _Module("test", [record]).source()


def field(kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": "x", "type": kind, "doc": "Doc."} | more


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        (field("string"), "x: str"),
        (field("string", default='a"b'), 'x: str = "a\\"b"'),
        (field("long", default=-1), "x: int = -1"),
        (field("boolean", default=False), "x: bool = False"),
        (field("double", default=0.5), "x: float = 0.5"),
        (field(TIME), "x: datetime"),
        (field(["null", "string"], default=None), "x: str | None = None"),
        (field(["null", TIME], default=None), "x: datetime | None = None"),
        (field({"type": "array", "items": "float"}, default=[]), "x: tuple[float, ...] = ()"),
        (field({"type": "map", "values": "string"}, default={}), "x: dict[str, str] = field(default_factory=dict)"),
        (field("overture.common.Label"), "x: Label"),
        (field({"type": "array", "items": "overture.common.Label"}), "x: tuple[Label, ...]"),
    ],
)
def test_a_field(spec: dict[str, Any], line: str) -> None:
    text = source(spec)
    ast.parse(text)
    assert f"    {line}\n" in text


def test_imports_are_those_used() -> None:
    text = source(field("overture.common.Label"))
    assert "from schemas.common import Label\n" in text
    assert "datetime" not in text
    assert "Literal" not in text


def test_an_inner_record_comes_first() -> None:
    inner = {"type": "record", "name": "Inner", "namespace": "overture.test", "doc": "In.", "fields": [field("int")]}
    text = source(field(inner))
    assert text.index("class Inner(Record)") < text.index("class Thing(Record)")


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="no Python type"):
        source(field({"type": "fixed", "name": "F", "size": 4}))


@pytest.mark.parametrize("record", sorted({t.record for t in topics.ALL}, key=lambda r: r.CONTRACT))
def test_classes_have_the_fields_of_their_contracts(record: type[Record]) -> None:
    schema = contracts.resolve(record.CONTRACT)
    assert [f.name for f in dataclasses.fields(record)] == [f["name"] for f in schema["fields"]]
    optional = {f["name"] for f in schema["fields"] if "default" in f}
    missing = dataclasses.MISSING
    found = {f.name for f in dataclasses.fields(record) if f.default is not missing or f.default_factory is not missing}
    assert found == optional


def test_records_are_frozen_and_found_by_contract() -> None:
    label = Record.by_contract("overture.common.Label")(name="a", score=1.0)  # type: ignore[call-arg]
    with pytest.raises(dataclasses.FrozenInstanceError):
        label.name = "b"  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        Record.by_contract("overture.common.Nothing")


def test_enumerations_are_literals_with_the_symbols() -> None:
    from schemas.common import MediaKind

    assert list(typing.get_args(MediaKind)) == contracts.raw("overture.common.MediaKind")["symbols"]


def test_modules_are_of_the_schemas_folder() -> None:
    assert {p.name for p in generate.modules()} >= {"common.py", "media.py", "play.py"}
