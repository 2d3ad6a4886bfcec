"""Single events of a window that begins at ``NOW``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from schemas.common import Exposure
from schemas.interaction import ItemInteracted
from schemas.play import SongPlayed
from schemas.recommendation import LayerArm, ListedItem, ListServed
from tests.fakes.serving import NOW


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def served(request: str, user: str, arm: str = "new", minute: float = 1.0, **changes: Any) -> ListServed:
    arms = (LayerArm(layer="mechanism", experiment="cold-places", arm=arm, bucket=1),) if arm else ()
    items = tuple(ListedItem(item_id=n, score=1.0, cold=n == "c", reason="taste") for n in ("a", "b", "c"))
    known = {"occurred_at": at(minute), "surface": "", "model_version": "", "arms": arms, "items": items}
    return ListServed(event_id=f"e-{request}", request_id=request, user_id=user, **(known | changes))


def did(action: str, request: str, user: str, item: str, minute: float = 2.0, event: str = "") -> ItemInteracted:
    return ItemInteracted(
        event_id=event or f"{action}-{request}-{user}-{item}-{minute}",
        occurred_at=at(minute),
        user_id=user,
        item_id=item,
        action=action,
        exposure=Exposure(request_id=request) if request else None,
    )


def played(request: str, user: str, item: str, minute: float = 2.0, completion: float = 1.0) -> SongPlayed:
    return SongPlayed(
        event_id=f"play-{request}-{user}-{item}-{minute}",
        occurred_at=at(minute),
        user_id=user,
        song_id=item,
        played_ms=60_000,
        duration_ms=60_000,
        completion=completion,
        exposure=Exposure(request_id=request) if request else None,
    )
