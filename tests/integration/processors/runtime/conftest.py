from __future__ import annotations

import importlib.util
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from processors.runtime.settings import Settings

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    """A module of this folder; tests are no package."""
    spec = importlib.util.spec_from_file_location(f"runtime_{name}", HERE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def harness(streams_settings: Settings, tmp_path: Path) -> Iterator[Callable[[str], object]]:
    """Makes a harness for a capability of ``tally.py``; its workers die with the test."""
    made = []
    tally, module = load("tally"), load("harness")

    def make(name: str) -> object:
        group = f"{name}_{uuid.uuid4().hex[:8]}"
        one = module.Harness(streams_settings, tally.declared(name, group), name, tmp_path)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()
