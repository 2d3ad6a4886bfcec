"""The user of a request as a recommender is told of him."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.ports import Vector
from models.recommender import Person
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.learned_space import LearnedSpace
from processors.serving.user_reader import UserContext


@dataclass(frozen=True)
class LearnedUser:
    """A user in a recommender's space.

    Attributes:
        vector: float32 [D].
        boundary: Score that a cold item must exceed.
    """

    vector: Vector
    boundary: float


class LearnedUsers:
    """Users as recommenders know them; recall and ranking of one request share what was found.

    For one thread, as a service's process answers in.
    """

    def __init__(self, catalogue: CatalogueSnapshot) -> None:
        self._catalogue = catalogue
        self._known: tuple[UserContext, Person] | None = None
        self._placed: tuple[UserContext, LearnedUser] | None = None

    def person(self, space: LearnedSpace, user: UserContext, now: datetime) -> Person:
        """What the recommender that his request is answered with is told of a user."""
        if self._known is None or self._known[0] is not user:
            self._known = user, person(self._catalogue, space, user, now)
        return self._known[1]

    def place(self, space: LearnedSpace, user: UserContext, now: datetime) -> LearnedUser:
        """Where that recommender places him."""
        if self._placed is None or self._placed[0] is not user:
            self._placed = user, LearnedUser(*space.recommender.user(self.person(space, user, now)))
        return self._placed[1]


def person(catalogue: CatalogueSnapshot, space: LearnedSpace, user: UserContext, now: datetime) -> Person:
    """What is known of a user, his last plays as far as they are published."""
    places, heard = catalogue.columns_of(space, user.played, int(now.timestamp() * 1000))
    profile = user.profile
    return Person(
        None if profile.birth_year is None else now.year - profile.birth_year,
        profile.gender,
        profile.occupation,
        user.plays,
        user.completion_rate,
        heard,
        np.array(user.completion, np.float32)[places],
    )
