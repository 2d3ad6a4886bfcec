"""Records of the domain ``user``.

Generated from ``schemas/avro/user/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from schemas.common import ObjectRef
from schemas.record import Record

Gender = Literal["unknown", "female", "male", "other"]
"""Gender as told."""


@dataclass(frozen=True, kw_only=True)
class ProfileChanged(Record):
    """What a user has told of himself; compacted, key = user id, the newest replaces all before.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        occurred_at: When it was said, UTC.
        user_id: Who.
        birth_year: Year of birth; null when not told.
        gender: Gender as told; unknown when not.
        occupation: Occupation as told, lower case; empty when not.
        language: BCP 47 tag of the language the app is used in.
    """

    CONTRACT: ClassVar[str] = "overture.user.ProfileChanged"

    event_id: str
    occurred_at: datetime
    user_id: str
    birth_year: int | None = None
    gender: Gender = "unknown"
    occupation: str = ""
    language: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProfileKept(Record):
    """State of user_profile: the newest profile, and the fence of erased users; compacted.

    Attributes:
        user_id: Whose profile it is.
        profile: The newest profile; null when the user was erased and has told nothing since.
        erased_at: When the user was erased last, UTC: what was told up to then is forgotten.
    """

    CONTRACT: ClassVar[str] = "overture.user.ProfileKept"

    user_id: str
    profile: ProfileChanged | None = None
    erased_at: datetime | None = None


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
