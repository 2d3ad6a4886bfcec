"""Many beside each other, or one alone."""

from __future__ import annotations

import asyncio

import pytest

from processors.runtime.quarantine import Quarantine


class Room:
    """Notes who is inside with whom."""

    def __init__(self) -> None:
        self.quarantine = Quarantine()
        self.inside: set[str] = set()
        self.met: dict[str, set[str]] = {}

    async def work(self, name: str, *, alone: bool = False, turns: int = 3) -> None:
        async with self.quarantine.alone() if alone else self.quarantine.among_others():
            self.inside.add(name)
            for each in self.inside:
                self.met.setdefault(each, set()).update(self.inside - {each})
            for _ in range(turns):
                await asyncio.sleep(0)
            self.inside.remove(name)


async def test_suspects_meet_nobody_and_the_others_meet() -> None:
    room = Room()
    await asyncio.gather(
        room.work("a"), room.work("b"), room.work("x", alone=True), room.work("y", alone=True), room.work("c")
    )
    assert room.met == {"a": {"b"}, "b": {"a"}, "x": set(), "y": set(), "c": set()}


async def test_nobody_is_shut_out_by_one_who_gave_up_waiting() -> None:
    room = Room()
    worker = asyncio.create_task(room.work("a", turns=20))
    await asyncio.sleep(0)
    suspect = asyncio.create_task(room.work("x", alone=True))
    await asyncio.sleep(0)
    late = asyncio.create_task(room.work("b"))
    await asyncio.sleep(0)
    suspect.cancel()
    with pytest.raises(asyncio.CancelledError):
        await suspect
    await asyncio.wait_for(asyncio.gather(worker, late), 10)
    assert "x" not in room.met


async def test_who_fails_alone_lets_the_others_in() -> None:
    room = Room()
    with pytest.raises(ZeroDivisionError):
        async with room.quarantine.alone():
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        async with room.quarantine.among_others():
            raise ZeroDivisionError
    await asyncio.wait_for(room.work("x", alone=True), 10)
