"""Plays and exposures of items, summed over the partitions they were counted in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from models.taste import COMPLETION_UNITS
from schemas.errors import BadEventError
from schemas.interaction import ExposuresCounted
from schemas.play import SongCounted

HOUR_MS = 3_600_000.0
MOST = 2**48
"""No item has more plays, or exposures: sums over partitions stay within 64 bits, and within what a float tells."""

Counted = SongCounted | ExposuresCounted
N = TypeVar("N")


@dataclass(frozen=True)
class Plays:
    """Plays of one song.

    Attributes:
        plays: Plays in all.
        completions: Plays to the end.
        measured: Plays that ``completion_sum`` covers.
        completion_sum: Sum of their completions, in `models.taste.COMPLETION_UNITS`.
        decayed: Decayed plays as of ``last_ms``.
        last_ms: Newest play, Unix time in ms; 0 if never played.
    """

    plays: int = 0
    completions: int = 0
    measured: int = 0
    completion_sum: int = 0
    decayed: float = 0.0
    last_ms: int = 0


def item_of(counted: Counted) -> str:
    """Id of the item counted."""
    return counted.song_id if isinstance(counted, SongCounted) else counted.item_id


def require_possible(counted: Counted) -> None:
    """Refuse counts that would spoil every later sum of the item.

    Raises:
        BadEventError: a number below zero, above ``MOST`` or not finite, or a mean completion above 1.
    """
    numbers: tuple[float, ...]
    if isinstance(counted, SongCounted):
        plays, total = counted.measured_plays, counted.completion_sum
        numbers = (counted.plays, counted.completions, counted.decayed_plays, plays, total)
        sane = total <= plays * COMPLETION_UNITS
    else:
        numbers, sane = (counted.exposures,), True
    if not (sane and all(math.isfinite(number) and 0 <= number <= MOST for number in numbers)):
        raise BadEventError(f"impossible counts {numbers}", code="value-impossible")


class _Parts(Generic[N]):
    """Newest number of every item and source partition."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, tuple[int, N]]] = {}

    def take(self, counted: Counted, number: N) -> bool:
        """Take a number unless a newer one of the same partition is known; whether it was taken."""
        parts = self._known.setdefault(item_of(counted), {})
        known = parts.get(counted.source_partition)
        if known is not None and counted.applied_offset < known[0]:
            return False
        parts[counted.source_partition] = counted.applied_offset, number
        return True

    def of(self, item_id: str) -> list[N]:
        """Of each partition that has counted the item, the newest."""
        return [number for _, number in self._known.get(item_id, {}).values()]

    def forget(self, item_id: str) -> None:
        """Keep nothing of an item."""
        self._known.pop(item_id, None)


class ItemCounts:
    """Newest counts of every item and source partition; values replace, so nothing is counted twice.

    Args:
        half_life_h: Hours after which a play counts half.
        often: Exposures from which an item counts as shown often.
    """

    def __init__(self, half_life_h: float, often: int) -> None:
        self._half_life_ms = half_life_h * HOUR_MS
        self._plays: _Parts[Plays] = _Parts()
        self._exposures: _Parts[int] = _Parts()
        self._often = often
        self._shown_often: set[str] = set()

    def apply(self, counted: Counted) -> bool:
        """Take a count unless it can change nothing: a newer one of its partition is known; whether it was taken."""
        if isinstance(counted, ExposuresCounted):
            return self._apply_exposures(counted)
        plays = Plays(
            counted.plays,
            counted.completions,
            counted.measured_plays,
            counted.completion_sum,
            counted.decayed_plays,
            int(counted.last_played_at.timestamp() * 1000),
        )
        return self._plays.take(counted, plays)

    def _apply_exposures(self, counted: ExposuresCounted) -> bool:
        """Exposures only grow: of an item that was shown often no part is kept."""
        item = counted.item_id
        if item in self._shown_often or not self._exposures.take(counted, counted.exposures):
            return False
        if self.shown_often(item):
            self._shown_often.add(item)
            self._exposures.forget(item)
        return True

    def shown_often(self, item_id: str) -> bool:
        """Whether the item has as many exposures as that takes."""
        return item_id in self._shown_often or sum(self._exposures.of(item_id)) >= self._often

    def plays(self, item_id: str) -> Plays:
        """Sum over the partitions, decay brought to the newest play; zeros for an unknown item."""
        return self._sum(self._plays.of(item_id))

    def _sum(self, parts: Sequence[Plays]) -> Plays:
        last_ms = max((p.last_ms for p in parts), default=0)
        return Plays(
            sum(p.plays for p in parts),
            sum(p.completions for p in parts),
            sum(p.measured for p in parts),
            sum(p.completion_sum for p in parts),
            sum(p.decayed * 2.0 ** (-(last_ms - p.last_ms) / self._half_life_ms) for p in parts),
            last_ms,
        )
