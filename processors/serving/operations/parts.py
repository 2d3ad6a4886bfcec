"""What the operations routes read; bundled for ``ServiceParts``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from processors.runtime.processor import Capability
from processors.serving.operations.broker import BrokerWatch
from processors.serving.operations.experiments import MeasuredExperiments
from processors.serving.operations.recent import RecentUploads
from schemas.item import ItemIndexed
from schemas.pipeline import DeadLettered


class SeenAt(Protocol):
    """When items came into the snapshot."""

    def get(self, item_id: str) -> datetime | None:
        """None: not in it, or since before this process watched."""
        ...


class Facts(Protocol):
    """What indexing and dead letters say of items."""

    def indexed(self, item_id: str) -> ItemIndexed | None: ...

    def letters(self, key: str) -> tuple[DeadLettered, ...]: ...


@dataclass(frozen=True)
class Operations:
    """Each part may be missing; what it would tell is then left out of the answers.

    Attributes:
        capabilities: What is declared, in the order of the flow.
        broker: The broker's figures.
        recent: The newest uploads.
        recallable: When items came into the snapshot.
        facts: Word of the indexing, and dead letters.
        measured: What was measured of the experiments.
    """

    capabilities: tuple[Capability, ...] = ()
    broker: BrokerWatch | None = None
    recent: RecentUploads = field(default_factory=RecentUploads)
    recallable: SeenAt | None = None
    facts: Facts | None = None
    measured: MeasuredExperiments | None = None
