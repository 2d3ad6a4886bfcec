"""Leases of review cases: the same on Redis and in memory."""

from __future__ import annotations

import asyncio
import dataclasses
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
    assert await leases.swap(place, ADA, acted, 60)
    assert not await leases.swap(place, ADA, BOB, 60)
    await leases.release(place, "key:ada", 60)
    assert await leases.read([place]) == [acted]


async def test_what_somebody_holds_is_counted_until_it_is_given_back_acted_on_or_run_out(
    leases: Leases, fresh: str
) -> None:
    ada, bob = Lease(f"key:ada-{fresh}", 1), Lease(f"key:bob-{fresh}", 1)
    places = [Place(f"{fresh}-{number}", number) for number in range(4)]
    for place in places[:3]:
        await leases.take(place, ada, 60)
    await leases.take(places[0], bob, 60)
    await leases.take(places[3], ada, 1)
    assert (await leases.lent(ada.moderator), await leases.lent(bob.moderator)) == (4, 0)
    await asyncio.sleep(1.1)
    assert await leases.lent(ada.moderator) == 3
    await leases.release(places[0], ada.moderator, 0)
    assert await leases.lent(ada.moderator) == 2
    acted = dataclasses.replace(ada, event_id="event")
    assert await leases.swap(places[1], ada, acted, 60)
    assert await leases.lent(ada.moderator) == 1
    # kept for longer, it is still one
    assert await leases.swap(places[2], ada, dataclasses.replace(ada, until_ms=2), 60)
    assert await leases.lent(ada.moderator) == 1


@pytest.mark.real
async def test_an_absent_redis_is_said() -> None:
    client = connect(RedisConfig("redis://127.0.0.1:9", timeout_s=0.2))
    with pytest.raises(UnavailableError, match="Redis at there"):
        await RedisLeases(client, address="there").take(Place("a", 1), ADA, 5)
    await client.aclose()
