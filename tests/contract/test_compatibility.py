"""Old data stays readable, and the check notices when it does not."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from processors.contracts import compatibility
from schemas import contracts

INNER = {"type": "record", "name": "Inner", "namespace": "o.x", "doc": "", "fields": [{"name": "n", "type": "int"}]}
THING: dict[str, Any] = {
    "type": "record",
    "name": "Thing",
    "namespace": "o.x",
    "doc": "",
    "fields": [
        {"name": "a", "type": "string"},
        {"name": "b", "type": "int", "default": 0},
        {
            "name": "k",
            "type": {
                "type": "enum",
                "name": "K",
                "namespace": "o.x",
                "symbols": ["unknown", "p"],
                "default": "unknown",
            },
        },
        {"name": "many", "type": {"type": "array", "items": INNER}},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x").mkdir()
    return tmp_path


def problems(folder: Path, now: dict[str, Any], *before: dict[str, Any]) -> list[str]:
    (folder / "x" / "thing.v1.avsc").write_text(json.dumps(now))
    (folder / "released" / "x").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(before, start=1):
        (folder / "released" / "x" / f"thing.r{number}.avsc").write_text(json.dumps(text))
    contracts.files.cache_clear()
    contracts.resolve.cache_clear()
    return compatibility.problems(folder / "released", folder)


def changed(**fields: dict[str, Any] | None) -> dict[str, Any]:
    """THING with fields replaced, added, or removed where None."""
    thing = copy.deepcopy(THING)
    thing["fields"] = [f for f in thing["fields"] if f["name"] not in fields] + [
        {"name": name} | spec for name, spec in fields.items() if spec is not None
    ]
    return thing


def test_the_contracts_of_today_read_every_release() -> None:
    assert compatibility.problems() == []


@pytest.mark.parametrize(
    "now",
    [
        THING,
        changed(c={"type": "string", "default": ""}),
        changed(c={"type": ["null", "string"], "default": None}),
        changed(b=None),
        changed(a=None),
        changed(b={"type": "long", "default": 0}),
    ],
    ids=["same", "added-with-default", "added-optional", "removed", "removed-required", "widened"],
)
def test_what_may_change(folder: Path, now: dict[str, Any]) -> None:
    assert problems(folder, now, THING) == []


@pytest.mark.parametrize(
    "now",
    [
        changed(c={"type": "string"}),
        changed(a={"type": "int"}),
        changed(a={"type": "boolean"}),
        changed(many={"type": {"type": "array", "items": "string"}}),
        changed(
            many={
                "type": {
                    "type": "array",
                    "items": INNER | {"fields": [*INNER["fields"], {"name": "m", "type": "int"}]},  # type: ignore[misc]
                }
            }
        ),
        changed(k={"type": {"type": "enum", "name": "K", "namespace": "o.x", "symbols": ["unknown"]}}),
    ],
    ids=["added-required", "string-to-int", "string-to-boolean", "items", "inner-added-required", "symbol-gone"],
)
def test_what_may_not(folder: Path, now: dict[str, Any]) -> None:
    found = problems(folder, now, THING)
    assert found
    assert all(f.startswith("o.x.Thing cannot read what release thing.r1.avsc wrote") for f in found)


def test_every_release_counts_not_only_the_last(folder: Path) -> None:
    second = changed(c={"type": "string", "default": ""})
    third = changed(c={"type": "string"})
    assert problems(folder, third, second) == []
    found = problems(folder, third, THING, second)
    assert ["r1" in f for f in found] == [True]


def test_a_contract_that_is_gone_is_a_problem(folder: Path) -> None:
    found = problems(folder, THING | {"name": "Other"}, THING)
    assert found == ["thing.r1.avsc: the released contract o.x.Thing is gone"]


EMPTY = {"type": "record", "name": "Empty", "namespace": "o.x", "doc": "", "fields": []}
HOLLOW = EMPTY | {"name": "Hollow", "fields": [{"name": "n", "type": "null"}]}


@pytest.mark.parametrize(
    "hazard",
    [
        {"type": "array", "items": "null"},
        {"type": "map", "values": "null"},
        {"type": "array", "items": {"type": "null"}},
        {"type": "array", "items": EMPTY},
        {"type": "array", "items": HOLLOW},
        {"type": "array", "items": {"type": "fixed", "name": "F", "namespace": "o.x", "size": 0}},
        ["null", {"type": "array", "items": "null"}],
        {"type": "array", "items": {"type": "array", "items": "null"}},
    ],
    ids=["array", "map", "dict-form", "empty-record", "record-of-nulls", "fixed-0", "in-union", "nested"],
)
def test_items_of_zero_bytes_are_reported(folder: Path, hazard: Any) -> None:
    found = problems(folder, changed(z={"type": hazard, "default": None}))
    assert len(found) == 1
    assert "o.x.Thing.z" in found[0]


def test_items_of_zero_bytes_are_reported_when_only_named(folder: Path) -> None:
    """The second use of a named type is a bare name after resolving."""
    found = problems(folder, changed(one={"type": EMPTY}, z={"type": {"type": "array", "items": "o.x.Empty"}}))
    assert len(found) == 1
    assert "o.x.Thing.z" in found[0]


def test_a_release_is_frozen_once_and_changes_get_a_new_number(tmp_path: Path) -> None:
    written = compatibility.release(tmp_path)
    assert {p.parent.name for p in written} == {p.parent.name for p in contracts.files().values()}
    assert all(p.name.endswith(".r1.avsc") for p in written)
    assert compatibility.release(tmp_path) == []
    assert compatibility.problems(tmp_path) == []
    target = tmp_path / "play" / "song_played.r1.avsc"
    target.write_text("{}")
    assert [p.name for p in compatibility.release(tmp_path)] == ["song_played.r2.avsc"]
    assert target.read_text() == "{}"
