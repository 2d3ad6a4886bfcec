from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from processors.runtime.settings import Settings
from tests.loading import load

HERE = Path(__file__).parent


@pytest.fixture
def harness(streams_settings: Settings, tmp_path: Path) -> Iterator[Callable[[str], object]]:
    """Makes a harness for a capability of ``tally.py``; its workers die with the test."""
    made = []
    tally, module = load(HERE / "tally.py"), load(HERE / "harness.py")

    def make(name: str) -> object:
        group = f"{name}_{uuid.uuid4().hex[:8]}"
        one = module.Harness(streams_settings, tally.declared(name, group), name, tmp_path)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()
