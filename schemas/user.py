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
class UserErased(Record):
    """All that is known of a user up to this moment is to be forgotten; compacted, key = user id.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When it was asked for, UTC: what the user did up to then is erased, what comes later is a new
            start.
        user_id: User to forget.
        requested_by: Operator or program that asked.
    """

    CONTRACT: ClassVar[str] = "overture.user.UserErased"

    event_id: str
    occurred_at: datetime
    user_id: str
    requested_by: str


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
