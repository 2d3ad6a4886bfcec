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

SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""
LENT_S = 86_400
"""How long the set of what is lent to somebody outlives their last case, seconds; longer than any lease in hand."""
DROP = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


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

    async def swap(self, place: Place, held: Lease, lease: Lease, seconds: int) -> bool:
        """Put ``lease`` in place of ``held``; False if that does not hold any more, and nothing was done."""
        ...

    async def read(self, places: Sequence[Place]) -> list[Lease | None]:
        """The leases of some cases, in the same order."""
        ...

    async def release(self, place: Place, moderator: str, skip_s: int) -> None:
        """Give a case back and do not offer it to the moderator again for ``skip_s`` seconds."""
        ...

    async def lent(self, moderator: str) -> int:
        """How many cases the moderator holds and has not acted on; never fewer than were taken one after another."""
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
            await self._note(place, lease)
        return lease

    async def swap(self, place: Place, held: Lease, lease: Lease, seconds: int) -> bool:
        said = self._client.eval(SWAP, 1, _lease_key(place), _packed(held), _packed(lease), str(seconds))
        with redis_errors(self._address):
            swapped = bool(await cast(Awaitable[int], said))
            if swapped:
                await self._note(place, lease)
        return swapped

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
                await cast(Awaitable[int], self._client.eval(DROP, 1, _lease_key(place), held))
                await cast(Awaitable[int], self._client.srem(_lent_key(moderator), _member(place)))
            if skip_s:
                await self._client.set(_skip_key(place.review_id, moderator), b"1", ex=skip_s)

    async def lent(self, moderator: str) -> int:
        key = _lent_key(moderator)
        with redis_errors(self._address):
            members = [member.decode() for member in await cast(Awaitable[set[bytes]], self._client.smembers(key))]
        leases = await self.read([_place(member) for member in members])
        # a lease that has run out leaves its name in the set
        gone = [
            member
            for member, lease in zip(members, leases, strict=True)
            if lease is None or lease.moderator != moderator or lease.event_id
        ]
        if gone:
            with redis_errors(self._address):
                await cast(Awaitable[int], self._client.srem(key, *gone))
        return len(members) - len(gone)

    async def skipped(self, review_id: str, moderator: str) -> bool:
        with redis_errors(self._address):
            return bool(await cast(Awaitable[int], self._client.exists(_skip_key(review_id, moderator))))

    async def _note(self, place: Place, lease: Lease) -> None:
        """Keep the set of what is lent to the moderator; what was acted on is not work in hand."""
        key = _lent_key(lease.moderator)
        pipe: Any = self._client.pipeline(transaction=False)
        if lease.event_id:
            pipe.srem(key, _member(place))
        else:
            pipe.sadd(key, _member(place))
            pipe.expire(key, LENT_S)
        await pipe.execute()


def _lease_key(place: Place) -> str:
    return f"review:lease:{place.review_id}:{place.seq}"


def _skip_key(review_id: str, moderator: str) -> str:
    return f"review:skip:{review_id}:{moderator}"


def _lent_key(moderator: str) -> str:
    return f"review:lent:{moderator}"


def _member(place: Place) -> str:
    return f"{place.review_id}:{place.seq}"


def _place(member: str) -> Place:
    review_id, _, seq = member.rpartition(":")
    return Place(review_id, int(seq))


def _packed(lease: Lease) -> bytes:
    return json.dumps(dataclasses.asdict(lease)).encode()


def _unpacked(value: Any) -> Lease:
    return Lease(**json.loads(value))
