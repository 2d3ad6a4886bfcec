"""Leases of review cases in memory; kept to the contract by ``tests/contract/features/test_review_leases.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from features.review_leases import Lease, Place


class MemoryLeases:
    """``Leases`` by a clock that the test sets."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._leases: dict[Place, tuple[Lease, datetime]] = {}
        self._skips: dict[tuple[str, str], datetime] = {}

    async def take(self, place: Place, lease: Lease, seconds: int) -> Lease:
        held = self._held(place)
        if held is None:
            self._leases[place] = lease, self._now() + timedelta(seconds=seconds)
        return held or lease

    async def swap(self, place: Place, held: Lease, lease: Lease, seconds: int) -> bool:
        if self._held(place) != held:
            return False
        self._leases[place] = lease, self._now() + timedelta(seconds=seconds)
        return True

    async def read(self, places: Sequence[Place]) -> list[Lease | None]:
        return [self._held(place) for place in places]

    async def release(self, place: Place, moderator: str, skip_s: int) -> None:
        held = self._held(place)
        if held is not None and held.moderator == moderator and not held.event_id:
            del self._leases[place]
        self._skips[place.review_id, moderator] = self._now() + timedelta(seconds=skip_s)

    async def lent(self, moderator: str) -> int:
        held = [self._held(place) for place in self._leases]
        return sum(lease is not None and lease.moderator == moderator and not lease.event_id for lease in held)

    async def skipped(self, review_id: str, moderator: str) -> bool:
        until = self._skips.get((review_id, moderator))
        return until is not None and self._now() < until

    def _held(self, place: Place) -> Lease | None:
        lease, until = self._leases.get(place, (None, self._now()))
        return lease if self._now() < until else None
