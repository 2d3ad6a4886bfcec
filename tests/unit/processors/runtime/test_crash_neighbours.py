"""Who only stood beside an event that kills its process is not given up with it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from processors.runtime.processor import Emit, capability
from processors.runtime.runner import Runner
from schemas.common import Reason
from schemas.media import MediaRejected, MediaWithdrawn
from schemas.topics import MEDIA_REJECTED, MEDIA_WITHDRAWN
from tests.fakes.runtime import NOW, KafkaRecord, MemoryAttempts, MemorySender, codec

pytestmark = pytest.mark.expects_errors
MOST_LIVES = 8


class Died(BaseException):
    """The process is dead."""


@capability(consumes=(MEDIA_WITHDRAWN,), produces=(MEDIA_REJECTED,), concurrency=4)
async def deadly(event: MediaWithdrawn, *, dead: asyncio.Event) -> list[Emit]:
    """Kills the process when told to, after the others have begun."""
    for _ in range(20):
        await asyncio.sleep(0)
        if dead.is_set():
            raise Died
    if event.requested_by == "killer":
        dead.set()
        raise Died
    record = MediaRejected(
        event_id=event.event_id,
        source_event_id=event.event_id,
        occurred_at=NOW,
        produced_at=NOW,
        media_id=event.media_id,
        stage="deadly",
        reasons=(Reason(code="x", text="x"),),
    )
    return [Emit(MEDIA_REJECTED, event.media_id, record)]


class Starts:
    """Starts as a process counts them that may be dead: then it counts no more."""

    def __init__(self, kept: MemoryAttempts, dead: asyncio.Event) -> None:
        self._kept, self._dead = kept, dead

    def __getattr__(self, name: str) -> Any:
        if self._dead.is_set():
            raise Died
        return getattr(self._kept, name)


async def test_only_the_killer_becomes_a_dead_letter() -> None:
    sender, attempts, made = MemorySender(), MemoryAttempts(), codec()
    event = MediaWithdrawn(event_id="0", occurred_at=NOW, media_id="0", requested_by="killer")
    orders = ["innocent", "killer", "innocent", "killer"]
    events = [replace(event, event_id=str(n), media_id=str(n), requested_by=o) for n, o in enumerate(orders)]
    waiting = {
        n: KafkaRecord(MEDIA_WITHDRAWN.name, made.encode(e), e.media_id.encode(), offset=n)
        for n, e in enumerate(events)
    }
    deaths = 0
    while waiting and deaths < MOST_LIVES:
        dead = asyncio.Event()
        needs: dict[str, Any] = {"dead": dead}
        runner = Runner(
            deadly, sender=sender, codec=made, fetch_schema=lambda _id: "", attempts=Starts(attempts, dead), needs=needs
        )
        results = await asyncio.gather(*[runner.handle(r) for r in waiting.values()], return_exceptions=True)
        ended = [n for n, result in zip(list(waiting), results, strict=True) if result is None]
        for n in ended:
            del waiting[n]
        deaths += dead.is_set()
    lives: dict[bytes | None, int] = defaultdict(int)
    for letter in sender.to(deadly.dead_letter_topic):
        lives[letter.key] += 1
    assert lives == {b"1": 1, b"3": 1}
    assert sorted(r.key or b"" for r in sender.to(MEDIA_REJECTED.name)) == [b"0", b"2"]
