"""What is known of the user of one request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import structlog

from features.last_plays import TASTE_PLAYS, unpacked
from features.ports import FeatureReader, FeatureRow, Vector
from features.views import USER_PROFILE, USER_TASTE
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.learned_space import LearnedSpace
from schemas.errors import UnavailableError

FEATURES_TIMEOUT_S = 0.25
"""Longest wait for the user's rows; without them the answer is degraded, not late."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Profile:
    """What a user has told of himself.

    Attributes:
        birth_year: None when not told.
        gender: As told; empty when not.
        occupation: Lower case; empty when not told.
    """

    birth_year: int | None = None
    gender: str = ""
    occupation: str = ""


@dataclass(frozen=True)
class UserContext:
    """One user.

    Attributes:
        user_id: Who.
        taste: Unit vector [D] in the catalogue's content space; None: unknown.
        played: Items played last, the newest first: what is followed.
        heard: Items that are not to be offered again.
        completion: Share played of each of these, 0..1; as many as ``played``.
        plays: Plays in all.
        completion_rate: Share of these that were finished, 0..1.
        profile: Demographics.
        degraded: Parts that did not answer: ``features``.
        space: The recommender that the whole request is answered with; None: none is in use.
    """

    user_id: str
    taste: Vector | None = None
    played: tuple[str, ...] = ()
    completion: tuple[float, ...] = ()
    heard: frozenset[str] = frozenset()
    plays: int = 0
    completion_rate: float = 0.0
    profile: Profile = field(default_factory=Profile)
    degraded: tuple[str, ...] = ()
    space: LearnedSpace | None = None


class UserReader:
    """Reads a user's rows, and says so when it cannot."""

    def __init__(self, features: FeatureReader, catalogue: CatalogueSnapshot) -> None:
        self._features = features
        self._catalogue = catalogue

    async def read(self, user_id: str) -> UserContext:
        """The user; an absent store gives an unknown user marked as degraded."""
        try:
            async with asyncio.timeout(FEATURES_TIMEOUT_S):
                [taste], [profile] = await asyncio.gather(
                    self._features.read(USER_TASTE.name, [user_id]), self._features.read(USER_PROFILE.name, [user_id])
                )
        except (UnavailableError, TimeoutError) as error:
            log.warning("features away", error=str(error) or "timeout")
            return UserContext(user_id, degraded=("features",), space=self._catalogue.learned)
        known = UserContext(user_id, profile=_profile(profile), space=self._catalogue.learned)
        return known if taste is None else self._with_taste(known, taste)

    def following(self, user: UserContext, seeds: tuple[str, ...]) -> UserContext:
        """The user as if he had played the seeds only, the last one last; he is offered neither these nor his own."""
        heard = user.heard.union(seeds)
        played, completion = tuple(reversed(seeds)), (1.0,) * len(seeds)
        return replace(user, taste=self._taste_of(seeds), played=played, completion=completion, heard=heard)

    def _with_taste(self, user: UserContext, row: FeatureRow) -> UserContext:
        played, completion = _played(row)
        vector = None
        if row.values.get("vector_version") == self._catalogue.vector_version:
            vector = _unit(np.asarray(row.values.get("vector", ()), np.float32))
        taste = self._taste_of(played[:TASTE_PLAYS]) if vector is None else vector
        return replace(
            user,
            taste=taste,
            played=played,
            completion=completion,
            heard=frozenset(played),
            plays=int(row.values.get("plays", 0)),
            completion_rate=float(row.values.get("completion_rate", 0.0)),
        )

    def _taste_of(self, played: Sequence[str]) -> Vector | None:
        """Mean of what was played last; for a taste that was computed before its items had vectors of this version."""
        found = [vector for item in played if (vector := self._catalogue.vector_of(item)) is not None]
        return _unit(np.sum(found, axis=0)) if found else None


def _profile(row: FeatureRow | None) -> Profile:
    if row is None:
        return Profile()
    values = row.values
    return Profile(values.get("birth_year"), values.get("gender", ""), values.get("occupation", ""))


def _played(row: FeatureRow) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Items played last, the newest first, and the share played of each.

    A row from before these were packed has fewer, and one from before completions were kept counts all alike.
    """
    packed = row.values.get("last_plays")
    if packed is not None:
        plays = unpacked(packed)
        return tuple(reversed(plays.items)), tuple(plays.completion[::-1].tolist())
    played = tuple(row.values.get("recent_items") or ())
    told = row.values.get("recent_completions")
    if told is None or len(told) != len(played):
        return played, (1.0,) * len(played)
    return played, tuple(told.tolist())


def _unit(vector: Vector) -> Vector | None:
    """``vector`` with length 1; None if it has no direction."""
    norm = float(np.linalg.norm(vector))
    return vector / norm if len(vector) and np.isfinite(norm) and norm > 0.0 else None
