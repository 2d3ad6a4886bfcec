"""Waiting for an erasure, and proving it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from processors.runtime.wiring import Wiring
from processors.tools.erase.logs import FileTrace, TopicTrace, dataset_traces, file_traces, topic_traces
from processors.tools.erase.needles import Needle, text_needle, user_needle
from processors.tools.erase.saga import remains
from processors.tools.erase.traces import StoreScan, scan_stores
from schemas.errors import UnavailableError
from schemas.user import UserErased

PAUSE_S = 1.0


@dataclass(frozen=True)
class Proof:
    """What is left after an erasure.

    Attributes:
        stores: Of stores and service: it should be nothing.
        topics: Records in topics, and until when.
        files: Files of this machine, and until when.
    """

    stores: StoreScan
    topics: tuple[TopicTrace, ...]
    files: tuple[FileTrace, ...]

    @property
    def clean(self) -> bool:
        """Whether stores and service hold nothing, and no topic keeps for ever what is no fence."""
        return not self.stores.traces and not any(topic.kept for topic in self.topics)


async def wait_done(
    wiring: Wiring, event: UserErased, media: frozenset[str], limit_s: float, say: Callable[[str], None]
) -> list[str]:
    """Watch the workers until nothing remains; what still does after ``limit_s`` seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            left = await remains(wiring, event, media)
        except UnavailableError as error:
            left = [str(error)]
        if not left or time.monotonic() > deadline:
            return left
        say(f"{len(left)} to do: {left[0]}")
        await asyncio.sleep(PAUSE_S)


async def prove(wiring: Wiring, user: str, texts: tuple[str, ...], media: frozenset[str]) -> Proof:
    """Look for the user and the texts in every store and log.

    Raises:
        UnavailableError: a store or the broker does not answer.
    """
    needles: list[Needle] = [user_needle(user), *map(text_needle, texts)]
    stores = await scan_stores(wiring, needles, user, media)
    topics = await asyncio.to_thread(topic_traces, wiring.settings.kafka, needles, user)
    files = await asyncio.to_thread(file_traces, wiring.settings, needles)
    files += await asyncio.to_thread(dataset_traces, wiring.settings, user)
    return Proof(stores, tuple(topics), tuple(files))
