"""What Feast is given: a user's taste and an item's plays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import numpy as np

from features.last_plays import TASTE_PLAYS, LastPlays
from features.ports import FeatureReader, FeatureRow, Vector
from features.views import ITEM_CONTENT
from processors.play_aggregation.listener import last_plays
from schemas.play import PlayAggregate

MILLISECOND = timedelta(milliseconds=1)


def taste(plays: LastPlays, vectors: Mapping[str, Vector], half_life: timedelta) -> Vector | None:
    """Mean of the content vectors of plays, weighted by completion and recency.

    Args:
        plays: Last plays of one user.
        vectors: float32 [D] by item id; items without one are left out.
        half_life: Age difference to the newest play at which a play counts half.

    Returns:
        float32 [D], unit length; None if no played item has a vector.
    """
    places = [place for place, item in enumerate(plays.items) if item in vectors]
    if not places:
        return None
    age = (plays.at_ms.max() - plays.at_ms[places]) / (half_life / MILLISECOND)
    weights = plays.completion[places] * 0.5**age  # [n]
    mean = weights @ np.stack([vectors[plays.items[place]] for place in places])
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 0 else None


async def tastes(users: Iterable[PlayAggregate], reader: FeatureReader, half_life: timedelta) -> list[FeatureRow]:
    """Rows of `user_taste_v1`, with the items' vectors of now.

    Vectors of one version only can be added: that of the user's own items which is newest. So a row depends on nobody
    else in the batch, and comes out the same whenever it is made anew. A user who was erased and has not played since
    has none.
    """
    known = [(user, last_plays(user)) for user in users if user.plays or user.erased_at is None]
    heard = [plays.last(TASTE_PLAYS) for _, plays in known]
    wanted = sorted({item for plays in heard for item in plays.items})
    rows = {row.entity_id: row for row in await reader.read(ITEM_CONTENT.alias, wanted) if row is not None}
    return [
        _taste_row(user, plays, of_taste, rows, half_life) for (user, plays), of_taste in zip(known, heard, strict=True)
    ]


def _taste_row(
    user: PlayAggregate, plays: LastPlays, of_taste: LastPlays, items: Mapping[str, FeatureRow], half_life: timedelta
) -> FeatureRow:
    heard = {item: items[item].values for item in of_taste.items if item in items}
    version = max((str(values["vector_version"]) for values in heard.values()), default="")
    vectors = {item: values["vector"] for item, values in heard.items() if values["vector_version"] == version}
    vector = taste(of_taste, vectors, half_life)
    return FeatureRow(
        user.aggregate_id.removeprefix("user:"),
        user.feature_at or user.last_played_at,
        {
            "vector": vector,
            "vector_version": version if vector is not None else "",
            "plays": user.plays,
            "completion_rate": user.completions / max(user.plays, 1),
            "played_ms": user.played_ms,
            "last_plays": user.last_plays or plays.packed(),
        },
    )


def plays_row(total: PlayAggregate) -> FeatureRow:
    """Row of `item_plays_v1` for one total."""
    return FeatureRow(
        total.aggregate_id.removeprefix("total:"),
        total.feature_at or total.last_played_at,
        {
            "plays": total.plays,
            "completion_rate": total.completions / max(total.plays, 1),
            "played_ms": total.played_ms,
            "decayed_plays": total.decayed_plays,
        },
    )
