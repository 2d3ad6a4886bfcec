"""Our worker as it runs in production, with a clock on it.

``python -m tests.bench.plays.ours NAME EVENTS [GROUP GATE]``, settings in the environment. NAME is ``tally`` (a
capability without state: decode and count) or ``play_aggregation``; with 0 EVENTS it runs until it is stopped. With a
GATE it waits before its first batch until that file is there, and keeps the number of its records in ``GATE.<pid>``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from processors.play_aggregation import play_aggregation
from processors.runtime import logs, worker
from processors.runtime.processor import Capability, Emit, Received, RetryPolicy, capability
from processors.runtime.runner import Runner
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from schemas.play import SongPlayed
from schemas.topics import SONG_COUNTED, SONG_PLAYED
from tests.bench.plays.clock import Clock
from tests.bench.plays.tally import Tally

tally = Tally()


@capability(consumes=(SONG_PLAYED,), produces=(), batch=True, retry=RetryPolicy(()))
async def count(events: Sequence[Received[SongPlayed]]) -> list[Emit]:
    """Counts plays and forgets them."""
    for event in events:
        tally.count(vars(event.record))
    return []


class Parts:
    """Counts of songs on their way through their topic.

    Attributes:
        open: Sent and not added up yet.
    """

    open = 0


def telling(whole: Capability, parts: Parts) -> Capability:
    """The capability, with the counts that it sends counted."""
    work = whole.handler

    @functools.wraps(work)
    async def handler(*args: Any, **needs: Any) -> list[Emit]:
        emits = await work(*args, **needs)
        parts.open += sum(emit.topic == SONG_COUNTED for emit in emits)
        return list(emits)

    return replace(whole, handler=handler)


def timed(runner: Runner, clock: Clock, parts: Parts) -> None:
    """Let ``clock`` see the plays come and go, and end the worker when the last is in every count."""
    work = runner.handle_batch

    async def handle(records: Sequence[Any]) -> None:
        plays = len(records) if records[0].topic == SONG_PLAYED.name else 0
        if plays:
            clock.delivered()
        await work(records)
        clock.finish(plays)
        if records[0].topic == SONG_COUNTED.name:
            parts.open -= len(records)
        if clock.all_seen and not parts.open:
            clock.stop()
            os.kill(os.getpid(), signal.SIGTERM)

    runner.handle_batch = handle  # type: ignore[method-assign]


def wait_for(gate: Path) -> None:
    while not gate.exists():
        time.sleep(0.02)


def gated(runner: Runner, gate: Path) -> None:
    """Hold the work until ``gate`` is there, and write down how much is done."""
    work = runner.handle_batch
    count = gate.with_name(f"{gate.name}.{os.getpid()}")
    done = 0

    async def handle(records: Sequence[Any]) -> None:
        nonlocal done
        await asyncio.to_thread(wait_for, gate)
        await work(records)
        done += len(records)
        count.write_text(str(done))

    runner.handle_batch = handle  # type: ignore[method-assign]


def main() -> None:
    name, events, *together = sys.argv[1:]
    settings = Settings()
    logs.configure(settings.worker)
    wiring = Wiring(settings)
    group = together[0] if together else f"bench-{uuid.uuid4()}"
    parts = Parts()
    runner = wiring.runner(replace(count, name=group) if name == "tally" else telling(play_aggregation, parts))
    if together:
        gated(runner, Path(together[1]))
    elif int(events):
        timed(runner, Clock(int(events)), parts)
    with contextlib.closing(wiring):
        asyncio.run(worker.run([runner], settings))


if __name__ == "__main__":
    main()
