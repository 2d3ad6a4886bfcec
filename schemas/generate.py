"""Writes the typed records from the contracts.

One module a domain: ``schemas/avro/upload/*.avsc`` -> ``schemas/upload.py``. The result is committed and
checked for freshness, so that readers and type checkers see plain frozen dataclasses.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from schemas.contracts import AVRO_FOLDER, PRIMITIVES, files, full_name

SCHEMAS_FOLDER = Path(__file__).parent
SCALARS = {
    "null": "None",
    "boolean": "bool",
    "int": "int",
    "long": "int",
    "float": "float",
    "double": "float",
    "bytes": "bytes",
    "string": "str",
}


def modules() -> dict[Path, str]:
    """Path of each generated module -> its source text."""
    domains: dict[str, list[dict[str, Any]]] = {}
    for path in files().values():
        domains.setdefault(path.parent.name, []).append(json.loads(path.read_text()))
    return {
        SCHEMAS_FOLDER / f"{domain}.py": _Module(domain, contracts).source() for domain, contracts in domains.items()
    }


class _Module:
    """Source text of one domain."""

    def __init__(self, domain: str, contracts: list[dict[str, Any]]) -> None:
        self._domain = domain
        self._contracts = contracts
        self._imports: dict[str, set[str]] = {}
        self._blocks: dict[str, str] = {}

    def source(self) -> str:
        for contract in self._contracts:
            self._define(contract)
        body = "\n\n".join(self._blocks.values()).lstrip("\n")
        if body.startswith("@dataclass"):
            body = "\n" + body
        std = []
        if "field(" in body:
            dataclasses = "from dataclasses import dataclass, field"
        else:
            dataclasses = "from dataclasses import dataclass"
        if "@dataclass" in body:
            std.append(dataclasses)
        if "datetime" in body:
            std.append("from datetime import datetime")
        typing = [n for n in ("ClassVar", "Literal") if f"{n}[" in body]
        if typing:
            std.append(f"from typing import {', '.join(typing)}")
        if "(Record)" in body:
            self._imports["schemas.record"] = {"Record"}
        head = [
            f'"""Records of the domain ``{self._domain}``.',
            "",
            f"Generated from ``schemas/avro/{self._domain}/*.avsc`` by ``overture schemas generate``.",
            '"""',
            "",
            "from __future__ import annotations",
            "",
            *std,
        ]
        if self._imports:
            head += [""]
            for module, names in sorted(self._imports.items()):
                head.append(f"from {module} import {', '.join(sorted(names))}")
        return "\n".join(head) + "\n\n" + body.rstrip() + "\n"

    def _define(self, node: dict[str, Any]) -> None:
        name = node["name"]
        if name in self._blocks:
            return
        if node["type"] == "enum":
            symbols = ", ".join(json.dumps(s) for s in node["symbols"])
            line = f"{name} = Literal[{symbols}]"
            if len(line) > 120:
                inner = "\n".join(f"    {json.dumps(s)}," for s in node["symbols"])
                line = f"{name} = Literal[\n{inner}\n]"
            self._blocks[name] = f'\n{line}\n"""{node["doc"]}"""'
            return
        fields = [(f, self._type(f["type"])) for f in node["fields"]]
        self._blocks[name] = self._dataclass(node, fields)

    def _dataclass(self, node: dict[str, Any], fields: list[tuple[dict[str, Any], str]]) -> str:
        lines = ["", "@dataclass(frozen=True, kw_only=True)", f"class {node['name']}(Record):"]
        lines += [f'    """{node["doc"]}', "", "    Attributes:"]
        for spec, _ in fields:
            lines += textwrap.wrap(
                f"{spec['name']}: {spec['doc']}",
                116,
                initial_indent=" " * 8,
                subsequent_indent=" " * 12,
                break_long_words=False,
                break_on_hyphens=False,
            )
        lines += ['    """', "", f'    CONTRACT: ClassVar[str] = "{full_name(node)}"', ""]
        for spec, annotation in fields:
            default = _default(spec)
            lines.append(f"    {spec['name']}: {annotation}{default}")
        return "\n".join(lines)

    def _type(self, node: Any) -> str:
        if isinstance(node, list):
            return " | ".join(sorted((self._type(b) for b in node), key=lambda t: t == "None"))
        if isinstance(node, str):
            return SCALARS[node] if node in PRIMITIVES else self._reference(node)
        if node.get("logicalType") == "timestamp-millis":
            return "datetime"
        match node["type"]:
            case "array":
                return f"tuple[{self._type(node['items'])}, ...]"
            case "map":
                return f"dict[str, {self._type(node['values'])}]"
            case "record" | "enum":
                self._define(node)
                return str(node["name"])
        raise ValueError(f"no Python type for {node!r}")

    def _reference(self, name: str) -> str:
        domain, short = name.split(".")[-2:]
        if domain == self._domain:
            contract = json.loads(files()[name].read_text())
            self._define(contract)
        else:
            self._imports.setdefault(f"schemas.{domain}", set()).add(short)
        return short


def _default(spec: dict[str, Any]) -> str:
    if "default" not in spec:
        return ""
    value = spec["default"]
    if value == []:
        return " = ()"
    if value == {}:
        return " = field(default_factory=dict)"
    return f" = {value!r}" if not isinstance(value, str) else f" = {json.dumps(value)}"


def stale() -> list[Path]:
    """Generated modules that differ from what the contracts say now."""
    return [p for p, text in modules().items() if not p.exists() or p.read_text() != text]


def write() -> list[Path]:
    """Write every stale module; returns the paths written."""
    written = []
    for path, text in modules().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            written.append(path)
    return written


__all__ = ["AVRO_FOLDER", "modules", "stale", "write"]
