"""Training code is asked for by name, and its absence is said."""

from __future__ import annotations

import importlib.util

import pytest

from processors.tools.training import TrainingMissingError, training


def test_without_torch_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(TrainingMissingError, match="make train-env"):
        training("recipes.runner")
