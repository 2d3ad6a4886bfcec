"""What Feast is given: a user's taste and an item's plays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

import numpy as np

from features.ports import FeatureReader, FeatureRow, Vector
from features.views import ITEM_CONTENT
from processors.play_aggregation.counting import EPOCH, decay
from schemas.play import PlayAggregate, RecentPlay


def taste(plays: Sequence[RecentPlay], vectors: dict[str, Vector], half_life: timedelta) -> Vector | None:
    """Mean of the content vectors of recent plays, weighted by completion and recency.

    Args:
        plays: Last plays of one user.
        vectors: float32 [D] by item id; items without one are left out.
        half_life: Age difference to the newest play at which a play counts half.

    Returns:
        float32 [D], unit length; None if no played item has a vector.
    """
    newest = max((p.played_at for p in plays), default=EPOCH)
    heard = [(p, vectors[p.item_id]) for p in plays if p.item_id in vectors]
    if not heard:
        return None
    weights = np.array([p.completion * decay(newest - p.played_at, half_life) for p, _ in heard])
    mean = weights @ np.stack([vector for _, vector in heard])
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 0 else None


async def tastes(users: Iterable[PlayAggregate], reader: FeatureReader, half_life: timedelta) -> list[FeatureRow]:
    """Rows of `user_taste_v1`, with the items' vectors of now.

    Vectors of one version only can be added: that of the user's own items which is newest. So a row depends on nobody
    else in the batch, and comes out the same whenever it is made anew. A user who was erased and has not played since
    has none.
    """
    users = [user for user in users if user.plays or user.erased_at is None]
    wanted = sorted({play.item_id for user in users for play in user.recent_plays})
    rows = {row.entity_id: row for row in await reader.read(ITEM_CONTENT.alias, wanted) if row is not None}
    return [_taste_row(user, rows, half_life) for user in users]


def _taste_row(user: PlayAggregate, items: dict[str, FeatureRow], half_life: timedelta) -> FeatureRow:
    heard = {play.item_id: items[play.item_id].values for play in user.recent_plays if play.item_id in items}
    version = max((str(values["vector_version"]) for values in heard.values()), default="")
    vectors = {item: values["vector"] for item, values in heard.items() if values["vector_version"] == version}
    vector = taste(user.recent_plays, vectors, half_life)
    return FeatureRow(
        user.aggregate_id.removeprefix("user:"),
        user.feature_at or user.last_played_at,
        {
            "vector": vector,
            "vector_version": version if vector is not None else "",
            "plays": user.plays,
            "completion_rate": user.completions / max(user.plays, 1),
            "played_ms": user.played_ms,
            "recent_items": [play.item_id for play in reversed(user.recent_plays)],
            "recent_completions": np.array([play.completion for play in reversed(user.recent_plays)], np.float32),
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
