"""What the worker of one capability is doing: written on the event loop, read by threads beside it.

A thread can look at it while the loop is blocked, which is what the watchdog is for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple


class Place(NamedTuple):
    """A partition. Equal to Faust's and aiokafka's own pairs."""

    topic: str
    partition: int


@dataclass(frozen=True)
class Outlook:
    """What the worker knows of one of its partitions.

    Attributes:
        oldest_at: Since when the oldest record fetched and unfinished waits for its work (when it was written; of a
            retry, when it was due), seconds since the epoch.
        due_at: When the first record that waits here for its retry is due, seconds since the epoch.
    """

    oldest_at: float | None = None
    due_at: float | None = None

    def waits(self, now: float) -> bool:
        """Whether nothing is to be done here yet: the next record is a retry that is not due."""
        return self.due_at is not None and self.due_at > now and self.oldest_at is None


class Progress:
    """Signs of life of one capability's worker.

    Attributes:
        name: Capability.
        group: Its consumer group.
        joined: Whether the group has given it its share (which may be empty) and it was not taken back.
        outlook: What is known of each partition that is its own; replaced as a whole.
        beat_at: When the event loop came by last, seconds of ``clock``.
        sign_at: When something was begun, finished, refused or handed over last, seconds of ``clock``.
        refused_at: When a store that is away refused something last, seconds of ``clock``.
    """

    def __init__(self, name: str, group: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.group = group
        self.joined = False
        self.outlook: Mapping[Place, Outlook] = {}
        self._clock = clock
        self.beat_at = self.sign_at = clock()
        self.refused_at = -math.inf
        self._in_hand: dict[Any, float] = {}
        self._excuses = 0

    @property
    def in_hand(self) -> int:
        """Events, or batches, in work now."""
        return len(self._in_hand)

    @property
    def tasks(self) -> list[Any]:
        """The tasks in hand, oldest first."""
        return list(self._in_hand)

    @property
    def excused(self) -> bool:
        """Whether something is under way that watches over its own time."""
        return self._excuses > 0

    def beat(self, outlook: Mapping[Place, Outlook]) -> None:
        """The event loop came by."""
        self.outlook = outlook
        self.beat_at = self._clock()

    def sign(self) -> None:
        """Something went on."""
        self.sign_at = self._clock()

    def refused(self) -> None:
        """A store that is away was asked again."""
        self.sign()
        self.refused_at = self.sign_at

    def begin(self, task: Any) -> None:
        """Work on an event began."""
        self.sign()
        self._in_hand[task] = self.sign_at

    def end(self, task: Any) -> None:
        """Work on an event ended, whatever came of it."""
        self._in_hand.pop(task, None)
        self.sign()

    @contextmanager
    def excuse(self) -> Iterator[None]:
        """Something that may take long and has a limit of its own, for example reading a state topic."""
        self._excuses += 1
        try:
            yield
        finally:
            self._excuses -= 1
            self.sign()
