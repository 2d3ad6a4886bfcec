"""What is generated is committed fresh; run ``overture schemas generate`` when these fail."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from schemas import generate

ROOT = Path(__file__).parents[2]


def test_record_modules_are_fresh() -> None:
    assert generate.stale() == []


def test_documents_are_fresh() -> None:
    from processors.contracts import generated

    assert generated.stale() == []


@pytest.mark.parametrize("package", ["schemas", "models", "features", "processors"])
def test_package_names_resolve_inside_this_repository(package: str) -> None:
    """The names are common words: another distribution must not stand in their place."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin) == ROOT / package / "__init__.py"
