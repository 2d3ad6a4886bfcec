"""Where items lie in the recommender's space: trained items where training put them, all others by their content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.ranking_features import ItemColumns

LAST_YEAR = 9999
SURE = 0.5
"""Probability from which a class counts as a tag, in training and online."""


def known_year(year: int | None) -> int:
    """A year as models are told it: 0 where it is unknown or none at all."""
    return year if year is not None and 0 < year <= LAST_YEAR else 0


@dataclass(frozen=True, slots=True)
class ItemContent:
    """What is known of some items' content.

    Attributes:
        ids: Ids.
        joint: float32 [N, 192]: joint content vectors (``models.content_vector``); zeros where there is none.
        version: Version of each joint vector; empty where there is none.
        labels: Names of the classes of each, as far as they are sure.
        year: int16 [N]: year in which the work came out, 0 unknown.
    """

    ids: Sequence[str]
    joint: NDArray[np.float32]
    version: Sequence[str]
    labels: Sequence[tuple[str, ...]]
    year: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class MappedItems:
    """Where a bundle places some items.

    Attributes:
        found: bool [N]: whether it can place the item; not without any content that it knows.
        vectors: float32 [N, D]; zeros where not found.
        trained: int32 [N]: row among the bundle's own items; -1 for one mapped from its content.
        gates: float32 [N, M]: weight of each part of the content; 0 where absent, and for trained items.
        codes: int16 [N, L]: semantic id; -1 where not found.
        tagged: bool [N, T]: which of the bundle's tags the item has.
    """

    found: NDArray[np.bool_]
    vectors: NDArray[np.float32]
    trained: NDArray[np.int32]
    gates: NDArray[np.float32]
    codes: NDArray[np.int16]
    tagged: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of a user.

    Attributes:
        age: Years; None unknown.
        gender: As told; empty, or a word that the bundle does not know: not used.
        occupation: The same.
        plays: Plays in all.
        completion_rate: Share of these that were finished, 0..1; means nothing without plays.
        heard: The last plays' items, the newest first, [k].
        completion: Share played of each, float32 [k], 0..1.
    """

    age: int | None
    gender: str
    occupation: str
    plays: int
    completion_rate: float
    heard: ItemColumns
    completion: NDArray[np.float32]


class Recommender(Protocol):
    """One version of the recommender: the space, and who and what lies where in it."""

    @property
    def version(self) -> str:
        """Version of the bundle."""
        ...

    @property
    def dim(self) -> int:
        """Length of its vectors, D."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts of the content, as in `MappedItems.gates`."""
        ...

    @property
    def occupations(self) -> tuple[str, ...]:
        """Words for an occupation that it knows."""
        ...

    def map(self, content: ItemContent) -> MappedItems:
        """Where some items belong."""
        ...

    def user(self, person: Person) -> tuple[NDArray[np.float32], float]:
        """Vector of a user, float32 [D], and his interest boundary."""
        ...

    def rank(self, person: Person, items: ItemColumns) -> NDArray[np.float32]:
        """How much a user would make of items [n]: float32 [n], larger is better."""
        ...

    def likelihood(self, score: NDArray[np.float32], boundary: float, mapped: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Calibrated probability [n] that the user plays items of these scores, trained and ``mapped`` ones alike."""
        ...
