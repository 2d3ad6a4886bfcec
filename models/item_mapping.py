"""Where items lie in the recommender's space: trained items where training put them, all others by their content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ItemContent:
    """What is known of some items' content.

    Attributes:
        ids: Ids.
        joint: float32 [N, 192]: joint content vectors (``models.content_vector``); zeros where there is none.
        version: Version of each joint vector; empty where there is none.
        labels: Names of the classes of each.
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
        codes: int16 [N, L]: semantic id.
    """

    found: NDArray[np.bool_]
    vectors: NDArray[np.float32]
    trained: NDArray[np.int32]
    gates: NDArray[np.float32]
    codes: NDArray[np.int16]


class ItemMapper(Protocol):
    """The part of a bundle that places items."""

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

    def map(self, content: ItemContent) -> MappedItems:
        """Where some items belong."""
        ...
