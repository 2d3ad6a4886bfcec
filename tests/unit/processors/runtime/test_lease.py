"""Who may write state."""

from __future__ import annotations

import asyncio
import time

import pytest

from processors.runtime.lease import Lease


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_lasts_a_session_from_the_question_not_from_the_answer() -> None:
    clock = Clock()
    lease = Lease(10.0, clock)
    assert not lease.held
    lease.renew(98.0)
    clock.now = 107.9
    assert lease.held
    clock.now = 108.0
    assert not lease.held


async def test_a_writer_waits_until_the_group_knows_it_again() -> None:
    lease = Lease(10.0)
    waiting = asyncio.ensure_future(lease.wait())
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    lease.renew(time.monotonic())
    await asyncio.wait_for(waiting, 30)


async def test_who_is_cancelled_meanwhile_writes_nothing() -> None:
    waiting = asyncio.ensure_future(Lease(10.0).wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
