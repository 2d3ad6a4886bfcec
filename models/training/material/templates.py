"""Sentences from templates: a grammar of slots and inline choices.

File format (UTF-8): ``# ...`` is a comment; ``@name = a | b`` defines a slot; ``## label`` begins the
templates of a label; every other line is a template, in which ``<name>`` stands for a choice of the
slot and ``{a|b|}`` for one of the choices (not nested; an empty choice is allowed).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SLOT = re.compile(r"<([a-z]+)>")


@dataclass(frozen=True, slots=True)
class Grammar:
    """Templates by label, and the slots they use.

    Attributes:
        templates: At least one template for each label.
        slots: Choices by the slot's name.
    """

    templates: Mapping[str, tuple[str, ...]]
    slots: Mapping[str, tuple[str, ...]]

    def only(self, part: int, parts: int, *, inverse: bool = False) -> Grammar:
        """Each label's templates number ``part`` of every ``parts`` (or all the others)."""
        chosen = {
            label: tuple(line for i, line in enumerate(lines) if (i % parts == part) != inverse)
            for label, lines in self.templates.items()
        }
        return Grammar(chosen, self.slots)

    def sentence(self, label: str, random: np.random.Generator) -> str:
        """One sentence of a label."""
        lines = self.templates[label]
        return self.fill(lines[int(random.integers(len(lines)))], random)

    def fill(self, template: str, random: np.random.Generator) -> str:
        """A template with all its choices made."""

        def choose(options: tuple[str, ...]) -> str:
            return options[int(random.integers(len(options)))]

        inline = _CHOICE.sub(lambda m: choose(tuple(m.group(1).split("|"))), template)
        return _SLOT.sub(lambda m: choose(self.slots[m.group(1)]), inline)


def read_grammar(path: Path) -> Grammar:
    """Reads a file of templates.

    Raises:
        ValueError: A template before the first label, an unknown slot, or an unbalanced brace.
    """
    slots: dict[str, tuple[str, ...]] = {}
    templates: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for raw in path.read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if line.startswith("## "):
            lines = templates.setdefault(line[3:], [])
        elif line.startswith("@"):
            name, _, options = line[1:].partition("=")
            slots[name.strip()] = tuple(option.strip() for option in options.split("|"))
        elif line and not line.startswith("#"):
            if lines is None:
                raise ValueError(f"{path}: a template before the first label: {line}")
            lines.append(line)
    for line in (line for lines in templates.values() for line in lines):
        unknown = [name for name in _SLOT.findall(line) if name not in slots]
        if unknown or re.search(r"[{}]", _CHOICE.sub("", line)):
            raise ValueError(f"{path}: unknown slots {unknown} or an open brace in: {line}")
    return Grammar({label: tuple(lines) for label, lines in templates.items()}, slots)
