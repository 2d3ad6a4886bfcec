"""Made-up listeners with known habits: the lists they get and what they do with them, as events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from processors.runtime.experiment_settings import Experiments
from processors.serving.experiments.split import TrafficSplit
from schemas.common import Exposure
from schemas.ids import stable_id
from schemas.interaction import ItemInteracted
from schemas.play import SongPlayed
from schemas.recommendation import ListedItem, ListServed
from schemas.record import Record
from tests.fakes.serving import NOW

PLACES = 8


def halves(name: str = "cold-places", layer: str = "mechanism", **parameters: Any) -> Experiments:
    """One experiment, half of the users each."""
    arms = ({"name": "control", "buckets": [(0, 500)]}, {"name": "new", "buckets": [(500, 1000)]})
    arms[1]["parameters"] = parameters
    return Experiments.model_validate({"defined": [{"name": name, "layer": layer, "arms": arms, "control": "control"}]})


@dataclass
class Listeners:
    """Users whose inclination to click differs much, which is what makes clicks of one user dependent.

    Attributes:
        settings: The experiments.
        users: How many.
        effect: Added to the probability of a click in arm ``new``.
        cold_share: Cold places by arm.
        begin: When the first list is answered; the last is answered ``hours`` later.
        prefix: Of user ids and request ids, so that worlds can share topics.
        warm, cold: Numbers of items.
    """

    settings: Experiments
    users: int = 400
    effect: float = 0.0
    cold_share: dict[str, float] = field(default_factory=dict)
    begin: datetime = NOW
    hours: float = 1.0
    seed: int = 0
    prefix: str = "w"
    warm: int = 60
    cold: int = 30

    def events(self) -> Iterator[Record]:
        """Lists, clicks, likes and plays of all users."""
        rng = np.random.default_rng(self.seed)
        split = TrafficSplit(self.settings, lambda: self.begin)
        for number in range(self.users):
            user = f"{self.prefix}-user-{number}"
            inclined = rng.beta(2.0, 6.0)
            assignment = split.assign(user)
            arm = next((each.arm for each in assignment.arms if each.experiment), "")
            for turn in range(1 + rng.poisson(2.0)):
                served = self._list(rng, user, turn, arm, assignment.arms)
                yield served
                yield from self._reactions(rng, served, inclined + self.effect * (arm == "new"))

    def _list(self, rng: np.random.Generator, user: str, turn: int, arm: str, arms: Any) -> ListServed:
        cold = round(PLACES * self.cold_share.get(arm, 0.25))
        warm = rng.choice(self.warm, PLACES - cold, replace=False)
        new = rng.choice(self.cold, cold, replace=False)
        names = [f"warm-{each}" for each in warm] + [f"cold-{each}" for each in new]
        request = f"{user}-list-{turn}"
        return ListServed(
            event_id=stable_id("served", request),
            occurred_at=self.begin
            + timedelta(hours=float(rng.uniform(0, self.hours)))
            // timedelta(milliseconds=1)
            * timedelta(milliseconds=1),
            request_id=request,
            user_id=user,
            surface="daily-list",
            model_version="",
            arms=arms,
            items=tuple(ListedItem(item_id=n, score=0.5, cold=n.startswith("cold"), reason="taste") for n in names),
        )

    def _reactions(self, rng: np.random.Generator, served: ListServed, inclined: float) -> Iterator[Record]:
        for position, item in enumerate(served.items):
            if rng.random() >= inclined:
                continue
            shared: dict[str, Any] = {
                "occurred_at": served.occurred_at + timedelta(seconds=30),
                "user_id": served.user_id,
                "exposure": Exposure(surface="daily-list", position=position, request_id=served.request_id),
            }
            yield ItemInteracted(
                event_id=stable_id("click", served.request_id, item.item_id),
                item_id=item.item_id,
                action="clicked",
                **shared,
            )
            completion = 1.0 if rng.random() < 0.4 else float(rng.uniform(0, 0.8))
            yield SongPlayed(
                event_id=stable_id("play", served.request_id, item.item_id),
                song_id=item.item_id,
                played_ms=int(180_000 * completion),
                duration_ms=180_000,
                completion=completion,
                **shared,
            )
            if rng.random() < 0.2:
                yield ItemInteracted(
                    event_id=stable_id("like", served.request_id, item.item_id),
                    item_id=item.item_id,
                    action="liked",
                    **shared,
                )
