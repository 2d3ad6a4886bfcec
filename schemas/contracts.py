"""The Avro contracts, read from disk.

``schemas/avro/<domain>/<record>.v<N>.avsc`` is the contract; a file may name a type that another file
defines. ``resolve`` inlines such names so that a schema stands on its own in a registry.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

AVRO_FOLDER = Path(__file__).parent / "avro"
PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@cache
def files(folder: Path = AVRO_FOLDER) -> dict[str, Path]:
    """Full name of every top-level type in ``folder`` -> the newest file that defines it."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*/*.avsc"), key=lambda p: (p.parent.name, version_of(p))):
        found[full_name(json.loads(path.read_text()))] = path
    return found


def version_of(path: Path) -> int:
    """``N`` of ``<record>.v<N>.avsc``."""
    return int(path.name.split(".")[1].removeprefix("v"))


def full_name(schema: dict[str, Any]) -> str:
    return f"{schema['namespace']}.{schema['name']}"


def raw(name: str, folder: Path = AVRO_FOLDER) -> dict[str, Any]:
    """The contract as written, references unresolved.

    Raises:
        KeyError: no contract has that full name.
    """
    loaded: dict[str, Any] = json.loads(files(folder)[name].read_text())
    return loaded


@cache
def resolve(name: str, folder: Path = AVRO_FOLDER) -> Any:
    """The contract with every named type inlined at its first use."""
    return _inline(raw(name, folder), set(), folder)


def canonical_json(name: str, folder: Path = AVRO_FOLDER) -> str:
    """Resolved contract as the text that is registered and compared."""
    return json.dumps(resolve(name, folder), separators=(",", ":"), ensure_ascii=False)


def _inline(node: Any, seen: set[str], folder: Path) -> Any:
    if isinstance(node, str):
        if node in PRIMITIVES or node in seen:
            return node
        return _inline(raw(node, folder), seen, folder)
    if isinstance(node, list):
        return [_inline(branch, seen, folder) for branch in node]
    match node["type"]:
        case "record":
            seen.add(full_name(node))
            fields = [f | {"type": _inline(f["type"], seen, folder)} for f in node["fields"]]
            return node | {"fields": fields}
        case "enum":
            seen.add(full_name(node))
            return node
        case "array":
            return node | {"items": _inline(node["items"], seen, folder)}
        case "map":
            return node | {"values": _inline(node["values"], seen, folder)}
        case _:
            return node
