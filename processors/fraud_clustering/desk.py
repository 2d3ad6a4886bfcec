"""The faces held in memory with the rings among them, in step with what the broker has acknowledged.

They are loaded from the state when it is new to us, and anew when the last answer did not become the state: its
publication failed, its event was given up, or the work was broken off. That one way out is enough for all of these,
and loading reads the topic of rings too, which may then say anything of what was published in part.
"""

from __future__ import annotations

import heapq
import weakref
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Protocol

import structlog

from models.fraud_clustering.rings import FaceRings, Ring, Rules, vector_of
from processors.fraud_clustering.keeping import after, face_of, times, within
from processors.fraud_clustering.saying import dissolved, review, same, suspected
from processors.runtime.processor import Emit, Offload, State
from processors.runtime.ring_metrics import FACES_HELD, RINGS_STANDING
from schemas.errors import BadEventError
from schemas.fraud import FaceKept, RingSuspected
from schemas.topics import FACE_KEPT, RING_SUSPECTED
from schemas.user import FaceEmbedded

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AT_A_TIME = 4096
"""Faces of the state that are decoded at a time: their vectors are several times as large before they are packed."""
log = structlog.get_logger(__name__)


class RingLog(Protocol):
    """The topic of rings."""

    async def partition(self, number: int) -> State:
        """Newest record by ring id, read from the topic unless it was before.

        Raises:
            UnavailableError: the topic cannot be read to its end.
        """
        ...

    def forget(self) -> None:
        """Read the topic anew next time."""
        ...


class RingDesk:
    """Answers batches of events of one partition, the only one, one batch at a time."""

    def __init__(self, rules: Rules, window: timedelta, reviewed: bool, rings: RingLog) -> None:
        """
        Args:
            rules: What makes a ring.
            window: How long a face counts.
            reviewed: Whether people are asked about new rings.
            rings: What was said of rings.
        """
        self._rules = rules
        self._window = window
        self._reviewed = reviewed
        self._rings = rings
        self._held: _Held | None = None

    async def work(self, events: Sequence[FaceEmbedded], state: State, offload: Offload) -> list[Emit]:
        """What follows from events.

        Raises:
            BadEventError: one of them has no usable vector; then nothing has changed.
            UnavailableError: the topic of rings cannot be read.
        """
        for event in events:
            _require_usable(event)
        held, self._held = self._held, None
        if held is None or not held.in_step(state):
            held = _Held(self._rules, self._window, self._reviewed, state)
            self._rings.forget()
            await offload(held.load, state, await self._rings.partition(0))
            self._rings.forget()
        emits = await offload(held.work, events, state)
        self._held = held
        FACES_HELD.set(len(held.rings))
        RINGS_STANDING.set(len(held.rings.standing))
        return emits


class _Held:
    """What one loading has brought, and what came since.

    Attributes:
        rings: Faces and rings.
    """

    def __init__(self, rules: Rules, window: timedelta, reviewed: bool, state: State) -> None:
        self.rings = FaceRings(rules)
        self._window = window
        self._reviewed = reviewed
        self._state = weakref.ref(state)
        self._now = EPOCH
        self._ends: list[tuple[datetime, str]] = []
        self._told: dict[str, RingSuspected] = {}
        self._said: dict[str, Ring] = {}
        self._proof: tuple[str, FaceKept | None] | None = None
        self._sure = True

    def in_step(self, state: State) -> bool:
        """Whether the last answer has become this state: all of an answer does, or nothing."""
        if self._state() is not state or not self._sure:
            return False
        return self._proof is None or state.get(self._proof[0]) == self._proof[1]

    def load(self, state: State, told: State) -> None:
        """Take in what was kept, and what was said of rings."""
        every = iter(state.items())
        while some := list(islice(every, AT_A_TIME)):
            self._take({user: record for user, record in some if isinstance(record, FaceKept)})
        rings = (record for _, record in told.items() if isinstance(record, RingSuspected))
        self._told = {ring.ring_id: ring for ring in rings if ring.state == "suspected"}
        log.info("faces loaded", faces=len(self.rings), rings=len(self.rings.standing), told=len(self._told))

    def work(self, events: Sequence[FaceEmbedded], state: State) -> list[Emit]:
        """News of rings, questions about new ones, and then what is kept."""
        changes = self._changes(events, state)
        self._take(changes)
        news = self._news()
        asked = self._questions(news) if self._reviewed else []
        for record in news:
            if record.state == "suspected":
                self._told[record.ring_id] = record
            else:
                del self._told[record.ring_id]
        self._proof = next(iter(changes.items()), None)
        # without a change of state nothing will show whether the news came through
        self._sure = bool(changes) or not news
        said = [Emit(RING_SUSPECTED, record.ring_id, record, stage=1) for record in news]
        return [*asked, *said, *(Emit(FACE_KEPT, user, kept, stage=2) for user, kept in changes.items())]

    def _changes(self, events: Sequence[FaceEmbedded], state: State) -> dict[str, FaceKept | None]:
        """What is kept of each user of whom that changes; None: nothing."""
        before: dict[str, FaceKept | None] = {}
        kept: dict[str, FaceKept | None] = {}
        for event in events:
            user = event.user_id
            if user not in kept:
                before[user] = kept[user] = _known(state, user)
            kept[user] = after(kept[user] or FaceKept(user_id=user), event)
        self._now = max(self._now, *(event.occurred_at for event in events))
        while self._ends and self._ends[0][0] <= self._now - self._window:
            _, user = heapq.heappop(self._ends)
            if user not in kept:
                before[user] = kept[user] = _known(state, user)
        left = {user: each and within(each, self._now, self._window) for user, each in kept.items()}
        return {user: each for user, each in left.items() if each != before[user]}

    def _take(self, kept: Mapping[str, FaceKept | None]) -> None:
        """Hold what is kept of these users."""
        self.rings.update({user: face_of(each) for user, each in kept.items()})
        for user, each in kept.items():
            for at in times(each) if each is not None else ():
                heapq.heappush(self._ends, (at, user))
                self._now = max(self._now, at)

    def _news(self) -> list[RingSuspected]:
        """What is to be said so that the topic says what stands."""
        standing = self.rings.standing
        fresh = {ring_id: suspected(ring, self._now) for ring_id, ring in standing.items() if self._is_new(ring)}
        self._said = dict(standing)
        changed = [
            each for each in fresh.values() if (old := self._told.get(each.ring_id)) is None or not same(old, each)
        ]
        return changed + [dissolved(old, self._now) for old in self._told.values() if old.ring_id not in standing]

    def _is_new(self, ring: Ring) -> bool:
        return self._said.get(ring.ring_id) is not ring

    def _questions(self, news: Sequence[RingSuspected]) -> list[Emit]:
        """One for each ring none of whose accounts was in a ring before."""
        new = [each for each in news if each.state == "suspected" and each.ring_id not in self._told]
        if not new:
            return []
        known = {user for ring in self._told.values() for user in ring.members}
        return [review(self.rings.standing[each.ring_id], each) for each in new if known.isdisjoint(each.members)]


def _require_usable(event: FaceEmbedded) -> None:
    if event.erased and event.vector:
        raise BadEventError("an erasure carries a face", code="vector-impossible")
    if event.vector:
        vector_of(event)


def _known(state: State, user: str) -> FaceKept | None:
    found = state.get(user)
    return found if isinstance(found, FaceKept) else None
