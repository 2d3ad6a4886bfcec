"""Training code, which lives in an environment of its own: torch is imported there only."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from schemas.errors import AppError


class TrainingMissingError(AppError):
    """This Python has no torch."""

    code = "training-missing"


def training(module: str) -> Any:
    """A module of ``models.training``; named, not imported, so that nothing here depends on torch.

    Raises:
        TrainingMissingError: torch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise TrainingMissingError(
            "training needs torch: `make train-env`, then `.overture/train/bin/overture` instead of `overture`"
        )
    return importlib.import_module(f"models.training.{module}")
