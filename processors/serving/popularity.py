"""Plays of songs, summed over the partitions they were counted in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.errors import BadEventError
from schemas.play import SongCounted

HOUR_MS = 3_600_000.0
MOST = 2**48
"""No song has more plays: sums over partitions stay within 64 bits, and within what a float tells apart."""


@dataclass(frozen=True)
class Plays:
    """Plays of one song.

    Attributes:
        plays: Plays in all.
        completions: Plays to the end.
        decayed: Decayed plays as of ``last_ms``.
        last_ms: Newest play, Unix time in ms; 0 if never played.
    """

    plays: int = 0
    completions: int = 0
    decayed: float = 0.0
    last_ms: int = 0


@dataclass(frozen=True)
class _Part:
    offset: int
    plays: Plays


def require_possible(counted: SongCounted) -> None:
    """Refuse counts that would spoil every later sum of the song.

    Raises:
        BadEventError: a number below zero, above ``MOST`` or not finite.
    """
    numbers = (counted.plays, counted.completions, counted.decayed_plays)
    if not all(math.isfinite(number) and 0 <= number <= MOST for number in numbers):
        raise BadEventError(f"impossible counts {numbers}", code="value-impossible")


class PlayCounts:
    """Newest counts of every song and source partition; values replace, so nothing is counted twice.

    Args:
        half_life_h: Hours after which a play counts half.
    """

    def __init__(self, half_life_h: float) -> None:
        self._half_life_ms = half_life_h * HOUR_MS
        self._parts: dict[str, dict[int, _Part]] = {}

    def apply(self, counted: SongCounted) -> bool:
        """Take a count unless a newer one of the same partition is known; whether it was taken."""
        parts = self._parts.setdefault(counted.song_id, {})
        known = parts.get(counted.source_partition)
        if known is not None and counted.applied_offset < known.offset:
            return False
        plays = Plays(
            counted.plays,
            counted.completions,
            counted.decayed_plays,
            int(counted.last_played_at.timestamp() * 1000),
        )
        parts[counted.source_partition] = _Part(counted.applied_offset, plays)
        return True

    def total(self, song_id: str) -> Plays:
        """Sum over the partitions, decay brought to the newest play; zeros for an unknown song."""
        return self._sum([part.plays for part in self._parts.get(song_id, {}).values()])

    def _sum(self, parts: Iterable[Plays]) -> Plays:
        parts = list(parts)
        last_ms = max((p.last_ms for p in parts), default=0)
        return Plays(
            sum(p.plays for p in parts),
            sum(p.completions for p in parts),
            sum(p.decayed * 2.0 ** (-(last_ms - p.last_ms) / self._half_life_ms) for p in parts),
            last_ms,
        )
