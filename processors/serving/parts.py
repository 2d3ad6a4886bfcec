"""What the service is made of, given by ``processors/runtime/wiring.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from features.ports import FeatureReader, ObjectStore, VectorIndex
from processors.runtime.processor import Publisher
from processors.runtime.settings import Settings
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.gate import Gate
from processors.serving.metrics import ServiceMetrics
from processors.serving.operations.parts import Operations
from processors.serving.review.parts import ReviewParts
from schemas.media import MediaStatus
from schemas.recommendation import ListServed

Probe = Callable[[], Awaitable[None]]
"""Returns when a part is usable; raises an ``AppError`` that says why it is not."""


class StatusView(Protocol):
    """What is known of uploads' progress."""

    async def get(self, media_id: str) -> MediaStatus | None:
        """Newest status; None if there is none yet."""
        ...

    def watch(self, media_id: str) -> AsyncIterator[MediaStatus]:
        """The status now, if there is one, and then each newer one; ends only when the service stops."""
        ...

    def close(self) -> None:
        """End every watch."""
        ...


class Background(Protocol):
    """Something that runs beside the requests, for example a ``Follower`` or a publisher's thread."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def utc_now() -> datetime:
    """The clock, to the millisecond that Avro keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(frozen=True)
class ServiceParts:
    """Everything a request may need.

    Attributes:
        settings: All settings.
        gate: Who may call what.
        publisher: To the broker; waits for acks.
        objects: Uploaded files and receipts.
        features: Online features, read side.
        vectors: The durable vector index; asked only for what the snapshot lacks.
        status: Progress of uploads.
        catalogue: Published items.
        metrics: Counters, and the registry they are in.
        review: The queue of reviews.
        probes: Name -> readiness probe.
        background: Started with the service, stopped in reverse order.
        served: Takes note of each list that was answered; never waits.
        operations: What the page at ``/`` shows.
        now: Clock, UTC, whole milliseconds.
    """

    settings: Settings
    gate: Gate
    publisher: Publisher
    objects: ObjectStore
    features: FeatureReader
    vectors: VectorIndex
    status: StatusView
    catalogue: CatalogueSnapshot
    metrics: ServiceMetrics
    review: ReviewParts
    served: Callable[[ListServed], None]
    probes: Mapping[str, Probe] = field(default_factory=dict)
    background: tuple[Background, ...] = ()
    operations: Operations = field(default_factory=Operations)
    now: Callable[[], datetime] = utc_now
