"""How contracts are found and put together, on small folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas import contracts

PAIR = {"type": "record", "name": "Pair", "namespace": "o.common", "doc": "", "fields": [{"name": "n", "type": "int"}]}


def write(folder: Path, domain: str, file: str, schema: dict[str, Any]) -> None:
    (folder / domain).mkdir(exist_ok=True)
    (folder / domain / file).write_text(json.dumps(schema))


def holder(*types: Any, name: str = "Holder") -> dict[str, Any]:
    fields = [{"name": f"f{i}", "type": t} for i, t in enumerate(types)]
    return {"type": "record", "name": name, "namespace": "o.item", "fields": fields}


def types_of(schema: dict[str, Any]) -> list[Any]:
    return [f["type"] for f in schema["fields"]]


def test_a_named_type_is_inlined_at_its_first_use_only(tmp_path: Path) -> None:
    write(tmp_path, "common", "pair.v1.avsc", PAIR)
    array = {"type": "array", "items": "o.common.Pair"}
    write(tmp_path, "item", "holder.v1.avsc", holder(["null", "o.common.Pair"], array, "o.common.Pair"))
    assert types_of(contracts.resolve("o.item.Holder", tmp_path)) == [["null", PAIR], array, "o.common.Pair"]


@pytest.mark.parametrize(
    ("written", "inlined"),
    [
        ({"type": "array", "items": "o.common.Pair"}, {"type": "array", "items": PAIR}),
        ({"type": "map", "values": "o.common.Pair"}, {"type": "map", "values": PAIR}),
        (["null", "o.common.Pair"], ["null", PAIR]),
        ({"type": "long", "logicalType": "timestamp-millis"}, {"type": "long", "logicalType": "timestamp-millis"}),
    ],
)
def test_where_a_name_may_stand(tmp_path: Path, written: Any, inlined: Any) -> None:
    write(tmp_path, "common", "pair.v1.avsc", PAIR)
    write(tmp_path, "item", "holder.v1.avsc", holder(written))
    assert types_of(contracts.resolve("o.item.Holder", tmp_path)) == [inlined]


def test_a_name_within_an_inlined_type_is_inlined_too(tmp_path: Path) -> None:
    write(tmp_path, "common", "pair.v1.avsc", PAIR)
    write(tmp_path, "item", "inner.v1.avsc", holder("o.common.Pair", name="Inner"))
    write(tmp_path, "item", "holder.v1.avsc", holder("o.item.Inner", "o.common.Pair"))
    inner = holder(PAIR, name="Inner")
    assert types_of(contracts.resolve("o.item.Holder", tmp_path)) == [inner, "o.common.Pair"]


def test_the_newest_version_counts_and_ten_is_newer_than_nine(tmp_path: Path) -> None:
    for version in (9, 10, 2):
        write(tmp_path, "common", f"pair.v{version}.avsc", PAIR | {"doc": str(version)})
    assert contracts.raw("o.common.Pair", tmp_path)["doc"] == "10"


def test_frozen_releases_are_no_contracts(tmp_path: Path) -> None:
    write(tmp_path, "common", "pair.v1.avsc", PAIR)
    (tmp_path / "released").mkdir()
    write(tmp_path / "released", "common", "pair.r1.avsc", PAIR | {"name": "Old"})
    assert set(contracts.files(tmp_path)) == {"o.common.Pair"}


def test_an_unknown_name_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "item", "holder.v1.avsc", holder("o.common.Pair"))
    with pytest.raises(KeyError):
        contracts.resolve("o.item.Holder", tmp_path)


def test_canonical_json_is_compact_and_keeps_characters(tmp_path: Path) -> None:
    write(tmp_path, "common", "pair.v1.avsc", PAIR | {"doc": "音"})
    text = contracts.canonical_json("o.common.Pair", tmp_path)
    assert "音" in text
    assert ": " not in text
    assert json.loads(text) == PAIR | {"doc": "音"}
