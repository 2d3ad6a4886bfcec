"""Why the recommender in use would offer an item to a user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from features.ports import Vector
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.learned_space import LearnedSpace
from processors.serving.learned_user import LearnedUser
from processors.serving.where import Where

NEIGHBOURS = 5


def explain(
    catalogue: CatalogueSnapshot, space: LearnedSpace, item_id: str, user: LearnedUser, played: Sequence[str]
) -> dict[str, Any] | None:
    """In words and numbers; None if the space does not hold the item.

    Args:
        catalogue: The items.
        space: Of the recommender in use.
        item_id: The item.
        user: The user in that space.
        played: Items that he played last.
    """
    placed = catalogue.placed(space, item_id)
    if placed is None:
        return None
    others = Where(exclude=(item_id,))
    [near] = catalogue.nearest_learned(space, placed.vector, [(NEIGHBOURS, others)], compare=None)
    return {
        "model_version": space.version,
        "score": float(placed.vector @ user.vector),
        "boundary": user.boundary,
        "cold": placed.cold,
        "source": "trained" if placed.trained else "content",
        "parts": placed.parts,
        "neighbours": _likest(catalogue, space, placed.vector, near.ids.tolist()),
        "played": _likest(catalogue, space, placed.vector, [item for item in played if item != item_id]),
    }


def _likest(
    catalogue: CatalogueSnapshot, space: LearnedSpace, vector: Vector, item_ids: Sequence[str]
) -> list[dict[str, Any]]:
    """Those items by their cosine to a vector, the nearest first."""
    vectors = catalogue.vectors_of(space, item_ids)
    lengths = np.linalg.norm(vectors, axis=1) * float(np.linalg.norm(vector))
    cosine = np.divide(vectors @ vector, lengths, out=np.zeros(len(vectors), np.float32), where=lengths > 0)
    best = np.argsort(-cosine, kind="stable")[:NEIGHBOURS]
    return [{"item_id": item_ids[place], "likeness": float(cosine[place])} for place in best if lengths[place] > 0]
