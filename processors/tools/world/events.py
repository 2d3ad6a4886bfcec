"""A data set as the events that the app would have sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.content_vector import DIM, PARTS
from models.dataset import GENDERS, Dataset, Items
from processors.runtime.processor import Emit
from processors.tools.world.exposures import unclicked
from processors.tools.world.names import item_id, user_id
from schemas.common import Exposure, Label
from schemas.ids import stable_id
from schemas.interaction import Action, ItemInteracted
from schemas.item import ItemChanged
from schemas.play import SongPlayed
from schemas.topics import ITEM_CHANGED, ITEM_INTERACTED, PROFILE_CHANGED, SONG_PLAYED
from schemas.user import ProfileChanged

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEFORE_MS = 3_600_000
"""How long before an item's first interaction it enters the catalogue, and before the first of all a user's profile."""
UPLOADER = "world"


@dataclass(frozen=True)
class Plan:
    """How a data set is told.

    Attributes:
        until: Moment of the newest interaction, UTC; all others keep their distance to it.
        exposures: Items shown and not clicked beside each play.
        seed: Of those.
        surface: Place in the app where all was shown.
        catalogued: Whether the items are in the catalogue under their ids already, so that none is told.
    """

    until: datetime
    exposures: int = 3
    seed: int = 1
    surface: str = field(default="daily-list")
    catalogued: bool = False

    def item_id(self, world: str, item: str) -> str:
        """Id of an item in events."""
        return item if self.catalogued else item_id(world, item)


def shift_ms(dataset: Dataset, plan: Plan) -> int:
    """What is added to every moment of the data set, ms."""
    return int((plan.until - EPOCH) / timedelta(milliseconds=1)) - int(dataset.interactions.at_ms.max())


def event_count(dataset: Dataset, plan: Plan) -> int:
    """How many events there will be at most."""
    rows = dataset.interactions
    shown = len(rows) * (1 + plan.exposures)
    return len(dataset.users) + len(dataset.items) + shown + 2 * int(rows.clicked.sum()) + int(rows.liked.sum())


def events(dataset: Dataset, plan: Plan) -> Iterator[Emit]:
    """Profiles, then items, then what users saw and did, in order of time; each with an id that is always the same.

    The same data set told twice so counts once, whatever its end; other exposures come beside those told before.
    """
    shift = shift_ms(dataset, plan)
    begin = int(dataset.interactions.at_ms.min()) - BEFORE_MS
    yield from _profiles(dataset, begin + shift, _year_of(int(dataset.interactions.at_ms.max()) + shift))
    published = _published_ms(dataset, begin)
    if not plan.catalogued:
        yield from _items(dataset, published + shift)
    yield from _interactions(dataset, plan, published, shift)


def _profiles(dataset: Dataset, at_ms: int, year: int) -> Iterator[Emit]:
    users, at = dataset.users, _moment(at_ms)
    for row, name in enumerate(users.ids):
        user, age = user_id(dataset.name, name), int(users.age[row])
        record = ProfileChanged(
            event_id=stable_id("world-profile", user),
            occurred_at=at,
            user_id=user,
            birth_year=None if age < 0 else year - age,
            # Literal of the contract: the names are the same
            gender=GENDERS[users.gender[row]] or "unknown",  # type: ignore[arg-type]
            occupation=users.occupations[users.occupation[row]],
        )
        yield Emit(PROFILE_CHANGED, user, record)


def _items(dataset: Dataset, published_ms: NDArray[np.int64]) -> Iterator[Emit]:
    items, vectors = dataset.items, joined(dataset.items)
    for row, name in enumerate(items.ids):
        item, at, year = item_id(dataset.name, name), _moment(int(published_ms[row])), int(items.year[row])
        record = ItemChanged(
            event_id=stable_id("world-item", item),
            occurred_at=at,
            changed_at=at,
            item_id=item,
            kind="audio",
            change="published",
            seq=1,
            uploader=UPLOADER,
            title=items.titles[row],
            labels=tuple(Label(name=items.tags[tag], score=1.0) for tag in np.flatnonzero(items.tagged[row])),
            vector=tuple(vectors[row].tolist()) if vectors[row].any() else (),
            vector_version=items.content_version if vectors[row].any() else "",
            release_year=year or None,
        )
        yield Emit(ITEM_CHANGED, item, record)


def _interactions(dataset: Dataset, plan: Plan, published_ms: NDArray[np.int64], shift: int) -> Iterator[Emit]:
    rows = dataset.interactions
    users = [user_id(dataset.name, each) for each in dataset.users.ids]
    items = [plan.item_id(dataset.name, each) for each in dataset.items.ids]
    lists = unclicked(dataset, published_ms, plan.exposures, plan.seed)
    position = lists.own if plan.exposures else rows.position
    # a play's length is known from its share; of one that was not begun nothing is
    duration = np.where(rows.completion > 0, rows.played_ms / np.maximum(rows.completion, 1e-6), 1).astype(np.int64)
    columns = zip(
        rows.user.tolist(),
        rows.item.tolist(),
        (rows.at_ms + shift).tolist(),
        rows.clicked.tolist(),
        rows.liked.tolist(),
        rows.completion.tolist(),
        rows.played_ms.tolist(),
        np.maximum(duration, 1).tolist(),
        position.tolist(),
        lists.items.tolist(),
        strict=True,
    )
    for number, (u, i, at_ms, clicked, liked, completion, played_ms, duration_ms, place, listed) in enumerate(columns):
        user, at, request = users[u], _moment(at_ms), stable_id("world-request", dataset.name, str(number))
        interacted = partial(_interacted, plan.surface, user, at, request)
        for other_place, other in enumerate(listed):
            if other >= 0:
                yield interacted(items[other], "exposed", other_place)
        yield interacted(items[i], "exposed", place)
        if clicked:
            yield interacted(items[i], "clicked", place)
            play = SongPlayed(
                event_id=stable_id("world", request, items[i], "played"),
                occurred_at=at,
                user_id=user,
                song_id=items[i],
                played_ms=played_ms,
                duration_ms=duration_ms,
                completion=completion,
                exposure=Exposure(surface=plan.surface, position=place, request_id=request),
            )
            yield Emit(SONG_PLAYED, user, play)
        if liked:
            yield interacted(items[i], "liked", place)


def _interacted(surface: str, user: str, at: datetime, request: str, item: str, action: Action, place: int) -> Emit:
    record = ItemInteracted(
        event_id=stable_id("world", request, item, action),
        occurred_at=at,
        user_id=user,
        item_id=item,
        action=action,
        exposure=Exposure(surface=surface, position=place, request_id=request),
    )
    return Emit(ITEM_INTERACTED, user, record)


def joined(items: Items) -> NDArray[np.float32]:
    """Joint content vectors, float32 [I, 192], norm 1; zeros for an item without sound, picture and text."""
    width = DIM // len(PARTS)
    whole = np.zeros((len(items), DIM), np.float32)
    for number, name in enumerate(PARTS):
        if name in items.parts:
            whole[:, number * width : (number + 1) * width] = items.parts[name]
    norms = np.linalg.norm(whole, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (whole / np.maximum(norms, 1e-12)).astype(np.float32)
    return unit


def _published_ms(dataset: Dataset, begin_ms: int) -> NDArray[np.int64]:
    """When each item enters the catalogue [I], before the shift: an hour before anybody meets it."""
    rows = dataset.interactions
    first = np.full(len(dataset.items), np.iinfo(np.int64).max)
    np.minimum.at(first, rows.item, rows.at_ms)
    never = first == np.iinfo(np.int64).max
    published: NDArray[np.int64] = np.where(never, begin_ms, first - BEFORE_MS)
    return published


def _moment(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def _year_of(ms: int) -> int:
    return _moment(ms).year
