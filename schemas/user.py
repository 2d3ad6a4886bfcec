"""Records of the domain ``user``.

Generated from ``schemas/avro/user/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from schemas.common import ObjectRef
from schemas.record import Record


@dataclass(frozen=True, kw_only=True)
class AvatarChanged(Record):
    """A user chose a new avatar.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When the fact happened, UTC.
        user_id: User whose avatar changed.
        object: The picture.
    """

    CONTRACT: ClassVar[str] = "overture.user.AvatarChanged"

    event_id: str
    occurred_at: datetime
    user_id: str
    object: ObjectRef
