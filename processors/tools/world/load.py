"""Publishes a data set's events."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from models.dataset import Dataset, check
from processors.runtime.processor import Publisher
from processors.tools.world.events import Plan, event_count, events

BATCH = 20_000
"""Events that are acknowledged together."""


@dataclass(frozen=True)
class Loaded:
    """What was published.

    Attributes:
        events: Events by topic.
        seconds: How long it took.
    """

    events: dict[str, int]
    seconds: float


async def load(dataset: Dataset, plan: Plan, publisher: Publisher, tell: Callable[[str, int, int], None]) -> Loaded:
    """Publish all events; each is acknowledged when this returns.

    Args:
        dataset: What is told.
        plan: How.
        publisher: Takes the events.
        tell: Hears what is done, how many events are, and how many there will be at most.

    Raises:
        DatasetError: the data set is not consistent.
        UnavailableError: the broker did not acknowledge; doing it again counts nothing twice.
    """
    check(dataset)
    begun, counts, total = time.perf_counter(), Counter[str](), event_count(dataset, plan)
    source = events(dataset, plan)
    while batch := list(itertools.islice(source, BATCH)):
        await publisher.publish(batch)
        counts.update(emit.topic.name for emit in batch)
        tell("publishing", counts.total(), total)
    return Loaded(dict(counts), time.perf_counter() - begun)
