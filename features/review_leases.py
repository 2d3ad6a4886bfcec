"""Who holds which case of the review queue, in Redis: two moderators never get the same one.

A lease is of one state of a case (its ``seq``): as soon as the case changes, the old lease binds nobody. What a
holder has done stays with the lease until then, so that a repeat of the request is known and nobody is given the case
while it is being settled.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from features.redis_client import RedisClient, redis_errors


@dataclass(frozen=True)
class Lease:
    """A case lent to somebody.

    Attributes:
        moderator: To whom.
        until_ms: Until when, milliseconds since the epoch.
        event_id: The holder's action that is being settled; empty: none.
        digest: What that action was, so that a repeat can be told from another.
        acted_ms: When it was done, milliseconds since the epoch.
    """

    moderator: str
    until_ms: int
    event_id: str = ""
    digest: str = ""
    acted_ms: int = 0


@dataclass(frozen=True)
class Place:
    """One state of a case.

    Attributes:
        review_id: The case.
        seq: Its ``ReviewCase.seq``.
    """

    review_id: str
    seq: int


class Leases(Protocol):
    """Every method raises ``UnavailableError`` when the store does not answer."""

    async def take(self, place: Place, lease: Lease, seconds: int) -> Lease:
        """Lend the case unless it is lent; the lease that holds now, the caller's or another's."""
        ...

    async def put(self, place: Place, lease: Lease, seconds: int) -> None:
        """Put the holder's own lease in place of the one before."""
        ...

    async def read(self, places: Sequence[Place]) -> list[Lease | None]:
        """The leases of some cases, in the same order."""
        ...

    async def release(self, place: Place, moderator: str, skip_s: int) -> None:
        """Give a case back and do not offer it to the moderator again for ``skip_s`` seconds."""
        ...

    async def skipped(self, review_id: str, moderator: str) -> bool:
        """Whether the moderator gave the case back a short while ago."""
        ...


class RedisLeases:
    """``Leases`` in Redis or Redis Cluster; each command concerns one key.

    Args:
        client: Stays the caller's.
        address: Named in messages.
    """

    def __init__(self, client: RedisClient, *, address: str = "") -> None:
        self._client = client
        self._address = address

    async def take(self, place: Place, lease: Lease, seconds: int) -> Lease:
        key = _lease_key(place)
        with redis_errors(self._address):
            while not await self._client.set(key, _packed(lease), nx=True, ex=seconds):
                # SET NX and GET apart: in between the lease may have run out
                held = await self._client.get(key)
                if held is not None:
                    return _unpacked(held)
        return lease

    async def put(self, place: Place, lease: Lease, seconds: int) -> None:
        with redis_errors(self._address):
            await self._client.set(_lease_key(place), _packed(lease), ex=seconds)

    async def read(self, places: Sequence[Place]) -> list[Lease | None]:
        with redis_errors(self._address):
            pipe: Any = self._client.pipeline(transaction=False)
            for place in places:
                pipe.get(_lease_key(place))
            found = await pipe.execute() if places else []
        return [None if value is None else _unpacked(value) for value in found]

    async def release(self, place: Place, moderator: str, skip_s: int) -> None:
        with redis_errors(self._address):
            held = await self._client.get(_lease_key(place))
            # an action in settlement keeps its lease: nobody should be given the case meanwhile
            if held is not None and (lease := _unpacked(held)).moderator == moderator and not lease.event_id:
                await self._client.delete(_lease_key(place))
            if skip_s:
                await self._client.set(_skip_key(place.review_id, moderator), b"1", ex=skip_s)

    async def skipped(self, review_id: str, moderator: str) -> bool:
        with redis_errors(self._address):
            return bool(await cast(Awaitable[int], self._client.exists(_skip_key(review_id, moderator))))


def _lease_key(place: Place) -> str:
    return f"review:lease:{place.review_id}:{place.seq}"


def _skip_key(review_id: str, moderator: str) -> str:
    return f"review:skip:{review_id}:{moderator}"


def _packed(lease: Lease) -> bytes:
    return json.dumps(dataclasses.asdict(lease)).encode()


def _unpacked(value: Any) -> Lease:
    return Lease(**json.loads(value))
