"""A made-up catalogue and its listeners: clustered unit vectors, a fifth of the items unplayed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from features.last_plays import LastPlays
from features.ports import FeatureRow
from features.views import CONTENT_JOINT
from processors.serving.item_table import KINDS
from schemas.item import ItemChanged
from schemas.play import SongCounted

SPREAD = 0.8
"""Length of the noise beside a cluster's centre of length one."""
ITEMS_IN_CLUSTER = 250
COLD_SHARE = 0.2
RECENT = 20
VERSION = "bench-1"
PLAYS = 100
PLAY_MS = 90_000


@dataclass(frozen=True)
class Population:
    """Items and users.

    Attributes:
        vectors: Of the items, float32 [N, D], unit length.
        plays: Of each item, int64 [N]; 0 for a fifth of them, else at least 10.
        tastes: Of the users, float32 [U, D], unit length.
        recent: Items that each user played lately, int64 [U, P].
        now: Time that everything is dated by, UTC.
        version: Of the vectors.
    """

    vectors: NDArray[np.float32]
    plays: NDArray[np.int64]
    tastes: NDArray[np.float32]
    recent: NDArray[np.int64]
    now: datetime
    version: str

    @property
    def age_ms(self) -> NDArray[np.int64]:
        """Age of each item, up to thirty days, int64 [N]."""
        return np.arange(len(self.vectors)) % 43_200 * 60_000

    @property
    def idle_ms(self) -> NDArray[np.int64]:
        """Time since each item's newest play, int64 [N]."""
        return np.arange(len(self.vectors)) % 10_000 * 60_000

    @property
    def completions(self) -> NDArray[np.int64]:
        """Plays to the end, int64 [N]."""
        return self.plays * 2 // 3

    @property
    def decayed(self) -> NDArray[np.float64]:
        """Decayed plays as of the newest play, float64 [N]."""
        return self.plays / 2

    def items(self) -> Iterator[ItemChanged]:
        """The items as the catalogue's topic has them."""
        for number, (vector, age_ms) in enumerate(zip(self.vectors, self.age_ms.tolist(), strict=True)):
            at = self.now - timedelta(milliseconds=age_ms)
            yield ItemChanged(
                event_id=f"event-{number}",
                occurred_at=at,
                changed_at=at,
                item_id=item_id(number),
                kind=KINDS[1 + number % (len(KINDS) - 1)],  # type: ignore[arg-type]  # the first is "unknown"
                change="published",
                seq=1,
                uploader=f"uploader-{number % 1000}",
                title=f"Item {number}",
                vector=tuple(vector.tolist()),
                vector_version=self.version,
            )

    def counts(self) -> Iterator[SongCounted]:
        """Plays of the warm items."""
        completions, decayed, idle_ms = self.completions, self.decayed, self.idle_ms
        for number in np.flatnonzero(self.plays).tolist():
            yield SongCounted(
                song_id=item_id(number),
                source_partition=0,
                applied_offset=number,
                plays=int(self.plays[number]),
                completions=int(completions[number]),
                played_ms=int(self.plays[number]) * 60_000,
                decayed_plays=float(decayed[number]),
                last_played_at=self.now - timedelta(milliseconds=int(idle_ms[number])),
            )

    def users(self) -> Iterator[FeatureRow]:
        """Rows of `user_taste_v1`."""
        count, now_ms = self.recent.shape[1], int(self.now.timestamp() * 1000)
        at_ms = [now_ms - PLAY_MS * (count - place) for place in range(count)]
        completion = [(1.0, 0.3)[place % 2] for place in range(count)]
        for number, taste in enumerate(self.tastes):
            played = [item_id(each) for each in self.recent[number].tolist()]
            values = {
                "vector": taste,
                "vector_version": self.version,
                "plays": PLAYS,
                "completion_rate": 0.6,
                "played_ms": PLAYS * PLAY_MS,
                "last_plays": LastPlays.of(played, completion, at_ms).packed(),
            }
            yield FeatureRow(user_id(number), self.now, values)

    def profiles(self) -> Iterator[FeatureRow]:
        """Rows of `user_profile_v1`."""
        for number in range(len(self.tastes)):
            values = {"birth_year": 1960 + number % 45, "gender": ("", "female", "male")[number % 3], "occupation": ""}
            yield FeatureRow(user_id(number), self.now, values)


def population(
    items: int, users: int, now: datetime, seed: int = 4, recent: int = RECENT, version: str = VERSION
) -> Population:
    """A population; the same numbers give the same one.

    Args:
        items: N.
        users: U.
        now: Time that everything is dated by, UTC.
        seed: Of the generator.
        recent: Last plays of each user, P.
        version: Of the vectors.
    """
    random = np.random.default_rng(seed)
    centres = _unit(random.standard_normal((max(1, items // ITEMS_IN_CLUSTER), CONTENT_JOINT.dim), np.float32))
    plays = random.geometric(0.02, items) + 9
    plays[random.random(items) < COLD_SHARE] = 0
    played = random.choice(items, (users, recent))
    return Population(
        _around(centres, items, random),
        plays,
        _around(centres, users, random),
        played,
        now,
        version,
    )


def item_id(number: int) -> str:
    """Id of an item, in the form of a media id."""
    return f"0190a000-0000-7000-8000-{number:012d}"


def item_number(name: str) -> int:
    """The number in an id of `item_id`."""
    return int(name.rpartition("-")[2])


def user_id(number: int) -> str:
    """Id of a user."""
    return f"user-{number}"


def _around(centres: NDArray[np.float32], count: int, random: np.random.Generator) -> NDArray[np.float32]:
    noise = _unit(random.standard_normal((count, centres.shape[1]), np.float32)) * np.float32(SPREAD)
    return _unit(centres[random.integers(len(centres), size=count)] + noise)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
