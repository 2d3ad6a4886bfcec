"""Records of the domain ``interaction``.

Generated from ``schemas/avro/interaction/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from schemas.common import Exposure
from schemas.record import Record

Action = Literal["unknown", "exposed", "clicked", "liked", "shared", "followed"]
"""What happened."""


@dataclass(frozen=True, kw_only=True)
class ItemInteracted(Record):
    """A user saw or did something with an item.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When the fact happened, UTC.
        user_id: Who.
        item_id: Item concerned.
        action: What happened.
        exposure: Where it was shown.
    """

    CONTRACT: ClassVar[str] = "overture.interaction.ItemInteracted"

    event_id: str
    occurred_at: datetime
    user_id: str
    item_id: str
    action: Action
    exposure: Exposure | None = None


@dataclass(frozen=True, kw_only=True)
class ExposuresCounted(Record):
    """How often an item was shown, as seen in one partition of the interactions so far; a replaceable value.

    Attributes:
        item_id: Item counted.
        source_partition: Partition of user.item.interacted.v1 that this count covers.
        exposures: Exposures so far.
        applied_offset: Offset of the last exposure counted, within source_partition.
    """

    CONTRACT: ClassVar[str] = "overture.interaction.ExposuresCounted"

    item_id: str
    source_partition: int
    exposures: int
    applied_offset: int
