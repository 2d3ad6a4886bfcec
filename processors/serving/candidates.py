"""Candidates between recall and ranking: columns, not objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Reason = Literal["taste", "popular", "fresh", "similar", "asked", "learned", "mapped"]
REASONS: tuple[str, ...] = get_args(Reason)
REASON_CODE = {reason: code for code, reason in enumerate(REASONS)}


@dataclass(frozen=True)
class Candidates:
    """Columns of equal length [n].

    Attributes:
        ids: Item ids, str.
        kind: Index into ``item_table.KINDS``.
        cold: Whether the item has few plays and was seldom shown: a column of `ItemTable`.
        similarity: Cosine to the vector asked for, -1..1; 0 where no vector was compared.
        score: Order of recall within one source; larger is better.
        reason: Index into ``REASONS``.
        published_ms: When the upload was accepted, Unix time in ms.
        plays: Plays in all.
        completions: Plays to the end.
        decayed: Decayed plays as of ``played_ms``.
        played_ms: Newest play, Unix time in ms.
    """

    ids: NDArray[np.object_]
    kind: NDArray[np.int8]
    cold: NDArray[np.bool_]
    similarity: NDArray[np.float32]
    score: NDArray[np.float32]
    reason: NDArray[np.int8]
    published_ms: NDArray[np.int64]
    plays: NDArray[np.int64]
    completions: NDArray[np.int64]
    decayed: NDArray[np.float64]
    played_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, order: NDArray[Any]) -> Candidates:
        """The rows that ``order`` (indices or a mask) names."""
        return Candidates(*(getattr(self, name)[order] for name in COLUMNS))

    @staticmethod
    def code(reason: Reason) -> int:
        """Number of a reason, as in the column."""
        return REASON_CODE[reason]

    def because(self, reason: Reason) -> Candidates:
        """The same, all with one reason."""
        return replace(self, reason=np.full(len(self), REASON_CODE[reason], np.int8))

    def scored(self, score: NDArray[np.float32]) -> Candidates:
        """The same with other scores."""
        return replace(self, score=score)


COLUMNS = tuple(column.name for column in fields(Candidates))


def joined(groups: Sequence[Candidates]) -> Candidates:
    """All groups in order; of an item that comes twice the first is kept.

    Raises:
        ValueError: there is no group.
    """
    together = Candidates(*(np.concatenate([getattr(g, name) for g in groups]) for name in COLUMNS))
    ids = together.ids.tolist()
    if len(set(ids)) == len(ids):
        return together
    first_place = {item: place for place, item in reversed(list(enumerate(ids)))}
    return together.take(np.sort(np.fromiter(first_place.values(), np.int64, len(first_place))))
