"""Leases of review cases: the same on Redis and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from features.redis_client import RedisConfig, connect
from features.review_leases import Lease, Leases, Place, RedisLeases
from schemas.errors import UnavailableError
from tests.fakes.leases import MemoryLeases

ADA, BOB = Lease("key:ada", 1), Lease("key:bob", 2)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.real)])
async def leases(request: pytest.FixtureRequest) -> AsyncIterator[Leases]:
    if request.param == "fake":
        yield MemoryLeases(lambda: datetime.now(UTC))
        return
    client = connect(RedisConfig(request.getfixturevalue("redis_server").url))
    yield RedisLeases(client)
    await client.aclose()


async def test_one_of_many_who_ask_at_once_gets_the_case(leases: Leases, fresh: str) -> None:
    place = Place(fresh, 1)
    asked = [Lease(f"key:{number}", number) for number in range(20)]
    held = await asyncio.gather(*[leases.take(place, lease, 60) for lease in asked])
    assert len(set(held)) == 1
    assert await leases.read([place, Place(fresh, 2)]) == [held[0], None]


async def test_a_lease_is_of_one_state_of_a_case(leases: Leases, fresh: str) -> None:
    assert await leases.take(Place(fresh, 1), ADA, 60) == ADA
    assert await leases.take(Place(fresh, 1), BOB, 60) == ADA
    assert await leases.take(Place(fresh, 2), BOB, 60) == BOB


async def test_a_lease_ends(leases: Leases, fresh: str) -> None:
    await leases.take(Place(fresh, 1), ADA, 1)
    await asyncio.sleep(1.1)
    assert await leases.take(Place(fresh, 1), BOB, 60) == BOB


async def test_only_the_holder_gives_it_back_and_is_not_offered_it_again(leases: Leases, fresh: str) -> None:
    place = Place(fresh, 1)
    await leases.take(place, ADA, 60)
    await leases.release(place, BOB.moderator, 60)
    assert await leases.read([place]) == [ADA]
    await leases.release(place, ADA.moderator, 60)
    assert await leases.read([place]) == [None]
    assert await leases.skipped(fresh, ADA.moderator)
    assert not await leases.skipped(fresh, "key:carol")


async def test_what_was_done_stays_until_the_case_changes(leases: Leases, fresh: str) -> None:
    place, acted = Place(fresh, 1), Lease("key:ada", 1, "event", "digest", 7)
    await leases.take(place, ADA, 60)
    await leases.put(place, acted, 60)
    await leases.release(place, "key:ada", 60)
    assert await leases.read([place]) == [acted]


@pytest.mark.real
async def test_an_absent_redis_is_said() -> None:
    client = connect(RedisConfig("redis://127.0.0.1:9", timeout_s=0.2))
    with pytest.raises(UnavailableError, match="Redis at there"):
        await RedisLeases(client, address="there").take(Place("a", 1), ADA, 5)
    await client.aclose()
