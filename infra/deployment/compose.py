"""Checks the compose file against the Compose Specification and the catalogue."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import compose_spec
import yaml

from processors.catalogue import BY_NAME

_VARIABLE = re.compile(r"\$\{\w+:(?:-(?P<default>[^}]*)|\?[^}]*)\}")
FILE = Path(__file__).parents[1] / "compose" / "compose.yaml"


def problems(file: Path = FILE) -> list[str]:
    """What is wrong, one sentence each."""
    # as Compose fills them in before it looks at anything
    text = _VARIABLE.sub(lambda variable: variable["default"] or "given", file.read_text())
    try:
        # merge keys are YAML 1.1, which the specification's parser leaves to the loader
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(yaml.safe_load(text)))
    except ValueError as error:
        return [f"{file}: {error}"]
    document: dict[str, Any] = yaml.safe_load(text)
    run = Counter(
        name
        for service in document["services"].values()
        if (service.get("command") or [""])[0] == "run"
        for name in service["command"][1:]
    )
    found = [f"no service runs {name}" for name in BY_NAME if name not in run]
    found += [f"{name} is run by {count} services" for name, count in run.items() if count > 1]
    return found + [f"there is no capability {name}" for name in run if name not in BY_NAME]
