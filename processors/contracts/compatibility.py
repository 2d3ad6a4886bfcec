"""Old data must stay readable: BACKWARD_TRANSITIVE, checked without a registry.

``schemas/avro/released`` holds frozen copies of every released contract. The contract of today must read what any
of them wrote.
"""

from __future__ import annotations

import json
from pathlib import Path

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import Schema, parse

from schemas import contracts

RELEASED = contracts.AVRO_FOLDER / "released"


def problems(released: Path = RELEASED, folder: Path = contracts.AVRO_FOLDER) -> list[str]:
    """What is wrong, one sentence each."""
    found = [problem for name in contracts.files(folder) for problem in _hazards(name, contracts.resolve(name, folder))]
    for path in sorted(released.glob("*/*.avsc")):
        writer_text = path.read_text()
        name = contracts.full_name(json.loads(writer_text))
        if name not in contracts.files(folder):
            found.append(f"{path.name}: the released contract {name} is gone")
            continue
        found += [
            f"{name} cannot read what release {path.name} wrote: {message}"
            for message in incompatibilities(contracts.canonical_json(name, folder), writer_text)
        ]
    return found


def incompatibilities(reader: str, writer: str) -> list[str]:
    """Why ``reader`` cannot read what ``writer`` wrote; empty if it can. Both are schema texts."""
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(_parsed(reader), _parsed(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    return sorted(result.messages) or ["incompatible"]


def release(released: Path = RELEASED) -> list[Path]:
    """Freeze the contracts of today; the paths written. A release that is there is never changed."""
    written = []
    for name, path in contracts.files().items():
        frozen = json.dumps(contracts.resolve(name), indent=2, ensure_ascii=False) + "\n"
        folder = released / path.parent.name
        taken = sorted(folder.glob(f"{path.name.split('.')[0]}.r*.avsc"), key=_release_of)
        if taken and taken[-1].read_text() == frozen:
            continue
        target = folder / f"{path.name.split('.')[0]}.r{_release_of(taken[-1]) + 1 if taken else 1}.avsc"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(frozen)
        written.append(target)
    return written


def _release_of(path: Path) -> int:
    return int(path.name.split(".")[1].removeprefix("r"))


def _parsed(text: str) -> Schema:
    return parse(text)


def _hazards(name: str, node: object, known: dict[str, object] | None = None, path: str = "") -> list[str]:
    """Arrays and maps of zero-byte items: a 34-byte message of theirs hangs every Avro reader."""
    known = {} if known is None else known
    if isinstance(node, list):
        return [problem for branch in node for problem in _hazards(name, branch, known, path)]
    if not isinstance(node, dict):
        return []
    if "name" in node:
        known[contracts.full_name(node)] = node
    if node["type"] == "record":
        return [p for f in node["fields"] for p in _hazards(name, f["type"], known, f"{path}.{f['name']}")]
    items = node.get("items", node.get("values"))
    if items is None:
        return []
    inner = _hazards(name, items, known, path)
    if _is_empty(items, known):
        return [f"{name}{path}: items of zero bytes let a tiny message hang its reader", *inner]
    return inner


def _is_empty(node: object, known: dict[str, object]) -> bool:
    """Whether a value of this type takes no byte on the wire."""
    if isinstance(node, str):
        return node == "null" or (node in known and _is_empty(known[node], known))
    if not isinstance(node, dict):
        return False
    match node["type"]:
        case "record":
            return all(_is_empty(field["type"], known) for field in node["fields"])
        case "fixed":
            return bool(node["size"] == 0)
        case str(inner) if inner not in ("array", "map", "enum"):
            return _is_empty(inner, known)
        case _:
            return False
