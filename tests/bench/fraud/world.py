"""Accounts whose avatars were drawn: strangers, people who look alike, and planted rings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from schemas.user import FaceEmbedded
from tests.fakes.faces import Space, embedded

SMALLEST, LARGEST = 3, 50
IN_RINGS = 0.065
"""Share of the faces that are in rings; their sizes are drawn evenly on a logarithmic scale."""
IN_FAMILIES = 0.2
"""Share of the people who come in threes that resemble each other."""
FAMILY = 40.0
GOOD, POOR, POOR_SHARE = 195.0, 75.0, 0.25
"""Concentration of a person's faces in good and in poor pictures, and how many are poor."""
START = datetime(2026, 11, 1, tzinfo=UTC)
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """N accounts.

    Attributes:
        vectors: Unit rows, float32 [N, 128].
        person: Who is on the avatar, int64 [N].
    """

    vectors: npt.NDArray[np.float32]
    person: Ints

    def faces(self) -> dict[str, FaceEmbedded]:
        """Events by user; users are numbered as the rows are."""
        return {
            f"u{row}": embedded(f"u{row}", START + timedelta(seconds=row), vector, vector_version="bench")
            for row, vector in enumerate(self.vectors)
        }


def drawn(count: int, seed: int = 0) -> World:
    """A world of so many accounts."""
    rng = np.random.default_rng(seed)
    sizes: list[int] = []
    while sum(sizes) < count * IN_RINGS:
        sizes.append(int(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST + 1)))))
    number = len(sizes) + count - sum(sizes)
    space = Space(rng)
    people = space.people(number)
    family = rng.permutation(number)[: int(IN_FAMILIES * number)]
    people[family] = space.alike(space.people(len(family) // 3 + 1)[np.arange(len(family)) // 3], FAMILY)
    person = rng.permutation(np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.arange(len(sizes), number)]))
    quality = np.where(rng.random(count) < POOR_SHARE, POOR, GOOD)
    return World(space.faces(people[person], quality), person)


@dataclass(frozen=True)
class Score:
    """How well pairs of accounts were put together.

    Attributes:
        precision: Share of the pairs found that show one person.
        recall: Share of the pairs that show one person that were found.
    """

    precision: float
    recall: float

    @property
    def f(self) -> float:
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-12)


def pairs(labels: Iterable[object]) -> int:
    """Pairs with the same label."""
    return sum(count * (count - 1) // 2 for count in Counter(labels).values())


def score(person: Ints, cluster: Ints) -> Score:
    """Pairwise precision and recall; cluster -1: none."""
    found = cluster >= 0
    both = pairs(zip(person[found].tolist(), cluster[found].tolist(), strict=True))
    return Score(both / max(pairs(cluster[found].tolist()), 1), both / pairs(person.tolist()))
