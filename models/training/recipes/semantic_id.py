"""Semantic ids of the version's trained items."""

from __future__ import annotations

import numpy as np

from models.training.recipes.base import RecipeError
from models.training.recipes.making import Making
from models.training.semantic_id import Config, fit_semantic_ids


def step(making: Making) -> None:
    """Codebooks learnt from the trained items, and codes of all items.

    Raises:
        RecipeError: no step before has made vectors.
    """
    if making.vectors is None:
        raise RecipeError("semantic ids need item vectors: their step comes first")
    config = Config(seed=making.seed)
    ids = fit_semantic_ids(making.vectors[making.trained], config)
    making.codebooks = ids.codebooks
    making.codes = ids.encode(np.ascontiguousarray(making.vectors))
    making.configs["semantic_id"] = config
