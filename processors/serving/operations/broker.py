"""The broker's figures: how much lies in each topic, how far each consumer group is, who works.

One reading serves everybody: it is made when somebody asks and the last one is older than ``FRESH_S``, in a thread,
one at a time. Nobody looks, nothing is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import structlog
from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from processors.runtime.kafka import client_config
from processors.runtime.settings import Kafka
from schemas.errors import UnavailableError

FRESH_S = 2.0
PATIENCE_S = 1.5
"""How long a request waits for a reading before it is given the last one."""
WINDOW_S = 20.0
"""Rates are averages over at most so long."""
ANSWER_S = 4.0
"""Longest wait for each of the broker's answers."""

Place = tuple[str, int]
"""Topic and partition."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Reading:
    """What the broker said at one time.

    Attributes:
        at: When, by a monotonic clock, seconds.
        begins: Oldest offset that is still there.
        ends: Offset of the next record.
        committed: Group -> place -> committed offset; places without a commit are left out.
        members: Group -> number of members.
        steady: Groups that are not just dividing their partitions anew.
    """

    at: float
    begins: Mapping[Place, int]
    ends: Mapping[Place, int]
    committed: Mapping[str, Mapping[Place, int]]
    members: Mapping[str, int]
    steady: frozenset[str]

    def lag(self, group: str, topics: Sequence[str]) -> int:
        """Records of ``topics`` that ``group`` has not finished."""
        done = self.committed.get(group, {})
        return sum(
            max(0, end - max(done.get(place, 0), self.begins.get(place, 0)))
            for place, end in self.ends.items()
            if place[0] in topics
        )

    def finished(self, group: str) -> int:
        """Sum of the committed offsets; only differences mean something."""
        return sum(self.committed.get(group, {}).values())

    def held(self, topic: str) -> int:
        """Offsets between oldest and newest record; of a compacted topic fewer records are really there."""
        return sum(end - self.begins.get(place, end) for place, end in self.ends.items() if place[0] == topic)

    def written(self, topic: str) -> int:
        """Sum of the end offsets."""
        return sum(end for place, end in self.ends.items() if place[0] == topic)


class BrokerReader(Protocol):
    """Asks the broker; blocks."""

    def read(self) -> Reading:
        """Figures of now.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...


class KafkaReader:
    """``BrokerReader`` by confluent-kafka's admin client.

    Args:
        kafka: Where the broker is.
        topics: Topics of interest; those that do not exist are left out.
        groups: Consumer groups of interest.
    """

    def __init__(self, kafka: Kafka, topics: Sequence[str], groups: Sequence[str]) -> None:
        self._config = client_config(kafka)
        self._topics = frozenset(topics)
        self._groups = tuple(groups)
        self._admin: AdminClient | None = None

    def read(self) -> Reading:
        """See ``BrokerReader``. One thread at a time."""
        if self._admin is None:
            self._admin = AdminClient(self._config)
        try:
            return self._read(self._admin)
        except KafkaException as error:
            # a client that saw a leader die may be refused for ever: the next reading has a new one
            if error.args[0].code() == KafkaError.FENCED_LEADER_EPOCH:
                self._admin = None
            raise UnavailableError(f"the broker does not answer: {error}", code="broker-unavailable") from error

    def _read(self, admin: AdminClient) -> Reading:
        listed = admin.list_topics(timeout=ANSWER_S).topics
        places = [
            TopicPartition(name, number)
            for name in sorted(self._topics & listed.keys())
            for number in listed[name].partitions
        ]
        # asked together, answered together
        begins = _offsets(admin, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        ends = _offsets(admin, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        commits = {
            group: admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=ANSWER_S)[
                group
            ]
            for group in self._groups
        }
        described = admin.describe_consumer_groups(list(self._groups), request_timeout=ANSWER_S) if self._groups else {}
        states = {group: future.result() for group, future in described.items()}
        return Reading(
            at=time.monotonic(),
            begins=_resolved(begins),
            ends=_resolved(ends),
            committed={group: _committed(future.result().topic_partitions) for group, future in commits.items()},
            members={group: len(state.members) for group, state in states.items()},
            steady=frozenset(group for group, state in states.items() if "REBALANC" not in state.state.name),
        )


def _offsets(admin: AdminClient, places: Sequence[TopicPartition], spec: OffsetSpec) -> Mapping[TopicPartition, Any]:
    if not places:
        return {}
    asked = dict.fromkeys(places, spec)
    found: Mapping[TopicPartition, Any] = admin.list_offsets(
        asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=ANSWER_S
    )
    return found


def _resolved(futures: Mapping[TopicPartition, Any]) -> dict[Place, int]:
    return {(place.topic, place.partition): future.result().offset for place, future in futures.items()}


def _committed(places: Sequence[TopicPartition]) -> dict[Place, int]:
    return {(place.topic, place.partition): place.offset for place in places if place.offset >= 0}


@dataclass(frozen=True)
class Figures:
    """The last reading with what earlier ones add.

    Attributes:
        reading: The last one that succeeded.
        read_at: When that was, UTC.
        before: An earlier reading, at most ``WINDOW_S`` older; None if there is none.
        standing_s: Group -> seconds for which it has had lag and finished nothing.
    """

    reading: Reading
    read_at: datetime
    before: Reading | None = None
    standing_s: Mapping[str, float] = field(default_factory=dict)

    def written_per_s(self, topic: str) -> float | None:
        """Records written to ``topic`` each second."""
        return self._rate(lambda reading: reading.written(topic))

    def finished_per_s(self, group: str) -> float | None:
        """Records that ``group`` finished each second."""
        return self._rate(lambda reading: reading.finished(group))

    def _rate(self, total: Callable[[Reading], int]) -> float | None:
        if self.before is None:
            return None
        seconds = self.reading.at - self.before.at
        return max(0.0, (total(self.reading) - total(self.before)) / seconds) if seconds > 0 else None


class BrokerWatch:
    """Readings on demand, at most one at a time and at most one each ``FRESH_S``.

    Args:
        reader: Asks the broker.
        groups: Source topics by consumer group, to see which stands still.
        now: Clock, UTC.
        clock: Monotonic clock, seconds; the one of ``Reading.at``.
    """

    def __init__(
        self,
        reader: BrokerReader,
        groups: Mapping[str, Sequence[str]],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._groups = groups
        self._now = now
        self._clock = clock
        self._readings: deque[Reading] = deque()
        self._figures: Figures | None = None
        self._tried_at = float("-inf")
        self._error = ""
        self._standing: dict[str, tuple[int, float]] = {}
        self._running: asyncio.Task[None] | None = None

    @property
    def error(self) -> str:
        """Code of what the last reading failed with; empty if it did not."""
        return self._error

    async def figures(self) -> Figures | None:
        """The newest figures that are to be had within ``PATIENCE_S``; None before the first reading."""
        if self._running is None and self._clock() - self._tried_at >= FRESH_S:
            self._tried_at = self._clock()
            self._running = asyncio.create_task(self._read())
        if self._running is not None:
            await asyncio.wait([self._running], timeout=PATIENCE_S)
        return self._figures

    async def _read(self) -> None:
        try:
            reading = await asyncio.to_thread(self._reader.read)
        except UnavailableError as error:
            if not self._error:
                log.warning("no figures of the broker", error=str(error))
            self._error = error.code
        else:
            self._error = ""
            self._take(reading)
        finally:
            self._running = None

    def _take(self, reading: Reading) -> None:
        self._readings.append(reading)
        while reading.at - self._readings[0].at > WINDOW_S:
            self._readings.popleft()
        for group, topics in self._groups.items():
            finished = reading.finished(group)
            known = self._standing.get(group)
            if reading.lag(group, topics) == 0:
                self._standing.pop(group, None)
            elif known is None or known[0] != finished:
                self._standing[group] = finished, reading.at
        self._figures = Figures(
            reading,
            self._now(),
            before=self._readings[0] if len(self._readings) > 1 else None,
            standing_s={group: reading.at - since for group, (_, since) in self._standing.items()},
        )
