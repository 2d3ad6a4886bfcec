"""What the operations routes stand on, in memory: a broker's figures, capabilities, pictures."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass, field
from datetime import timedelta

from processors.catalogue import CAPABILITIES
from processors.runtime.processor import Capability
from processors.serving.app import create_app
from processors.serving.decoding import Decoder
from processors.serving.metrics import ServiceMetrics
from processors.serving.operations.broker import BrokerWatch, Place, Reading
from processors.serving.operations.experiments import MeasuredExperiments
from processors.serving.operations.parts import Operations
from processors.serving.operations.recent import RecallTimes, RecentUploads, StoreFacts
from processors.serving.status_view import FollowedStatus
from schemas.common import ObjectRef
from schemas.errors import UnavailableError
from schemas.item import ItemChanged, ItemIndexed
from schemas.media import MediaStatus, TimelineEntry
from schemas.pipeline import DeadLettered
from schemas.recommendation import ExperimentMeasured
from schemas.record import Record
from schemas.topics import DEAD_LETTERED, ITEM_CHANGED, ITEM_INDEXED
from tests.fakes.serving import NOW, VERSION, Service, media_status, no_registry


def reading(at: float, **changes: object) -> Reading:
    """An empty broker at second ``at``, every group with one member."""
    known: dict = {
        "begins": {},
        "ends": {},
        "committed": {},
        "members": {each.group: 1 for each in CAPABILITIES},
        "steady": frozenset(each.group for each in CAPABILITIES),
    }
    return Reading(at=at, **(known | changes))


@dataclass
class MemoryBroker:
    """``BrokerReader`` with figures that a test sets.

    Attributes:
        ends: Place -> end offset.
        begins: Place -> begin offset.
        committed: Group -> place -> committed offset.
        members: Group -> members, where it is not one.
        away: Whether it refuses to answer.
        reads: How often it was asked.
        clock: Seconds; the watch's clock too.
        hold: Readings wait for it.
    """

    ends: dict[Place, int] = field(default_factory=dict)
    begins: dict[Place, int] = field(default_factory=dict)
    committed: dict[str, dict[Place, int]] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    away: bool = False
    reads: int = 0
    clock: float = 1000.0
    hold: asyncio.Event | None = None

    async def read(self) -> Reading:
        self.reads += 1
        if self.hold is not None:
            await asyncio.wait_for(self.hold.wait(), 30)
        if self.away:
            raise UnavailableError("10.1.2.3:9092 is away", code="broker-unavailable")
        return reading(
            self.clock,
            ends=dict(self.ends),
            begins=dict(self.begins),
            committed={group: dict(places) for group, places in self.committed.items()},
            members={each.group: 1 for each in CAPABILITIES} | self.members,
        )

    async def close(self) -> None:
        """There are no connections."""


@dataclass
class WatchedService(Service):
    """A service whose operations routes see ``broker`` and everything that ``tell`` is given.

    Attributes:
        broker: The figures.
        live: Whether the catalogue's follower has caught up.
    """

    broker: MemoryBroker = field(default_factory=MemoryBroker)
    live: bool = True
    capabilities: tuple[Capability, ...] = CAPABILITIES

    def __post_init__(self) -> None:
        super().__post_init__()
        decoder = Decoder(self.codec, no_registry)
        self.recent = RecentUploads()
        self.status = FollowedStatus(decoder, self.recent.take)
        self.recallable = RecallTimes(self.catalogue, lambda: self.live, lambda: self.now)
        self.facts = StoreFacts(decoder)
        self.measured = MeasuredExperiments(decoder)
        sources = {each.group: [topic.name for topic in each.consumes] for each in self.capabilities}
        watch = BrokerWatch(self.broker, sources, lambda: self.now, lambda: self.broker.clock)
        self.parts = dataclasses.replace(
            self.parts,
            status=self.status,
            metrics=ServiceMetrics(),
            operations=Operations(self.capabilities, watch, self.recent, self.recallable, self.facts, self.measured),
        )
        self.app = create_app(self.parts)

    def tell(self, record: Record) -> None:
        value = self.codec.encode(record)
        match record:
            case ItemIndexed():
                self.facts.apply(ITEM_INDEXED.name, record.item_id, value)
            case DeadLettered():
                self.facts.apply(DEAD_LETTERED.name, record.key, value)
            case ItemChanged():
                self.recallable.apply(ITEM_CHANGED.name, record.item_id, value)
            case ExperimentMeasured():
                self.measured.apply("", record.event_id, value)
            case _:
                super().tell(record)

    def forget(self, media_id: str) -> None:
        self.status.apply("", media_id, None)

    async def picture(self, data: bytes = b"RIFF....WEBP", content_type: str = "image/webp") -> ObjectRef:
        return await self.objects.put("derived/aa/thumbnail", data, content_type)


def steps(*named: tuple[str, str, float]) -> tuple[TimelineEntry, ...]:
    """Timeline of (stage, state, seconds after ``NOW``)."""
    return tuple(TimelineEntry(stage=s, state=t, at=NOW + timedelta(seconds=at)) for s, t, at in named)


PUBLISHED_WAY = steps(
    ("upload", "received", 0),
    ("media_analysis", "analysed", 2),
    ("content_moderation", "approve", 3),
    ("content_embedding", "embedded", 5),
    ("item_publication", "published", 5.5),
    ("content_classification", "classified", 6),
)


def upload(media_id: str, state: str = "published", second: float = 0, **changes: object) -> MediaStatus:
    """A status with a timeline that suits it."""
    known: dict = {
        "title": f"title of {media_id[:4]}",
        "accepted_at": NOW + timedelta(seconds=second),
        "vector": (1.0, 0.0, 0.0, 0.0),
        "vector_version": VERSION,
        "timeline": PUBLISHED_WAY if state == "published" else PUBLISHED_WAY[:2],
        "decision": "approve" if state == "published" else "none",
    }
    return media_status(media_id, state, **(known | changes))
