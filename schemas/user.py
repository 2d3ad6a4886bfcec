"""Records of the domain ``user``.

Generated from ``schemas/avro/user/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from schemas.common import Decision, Likeness, ObjectRef, Reason
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
class AvatarModerated(Record):
    """An avatar was judged; key = user id.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        source_event_id: event_id of the avatar's event this was derived from.
        occurred_at: When the avatar was chosen, UTC.
        produced_at: When the capability finished, UTC.
        user_id: Whose avatar it is.
        object: The picture as it was sent.
        decision: Verdict.
        reasons: Why, unless approved.
        scores: Every score by name.
        faces: Faces found.
        age_years: Estimated age; null when not estimated or not allowed here.
        female: Estimated probability that the face reads as female, 0..1; null when not estimated or not allowed
            here.
        nearest: Public figures who resemble the face most, best first.
        crop: The main face, re-encoded, for people who review; null without a face.
        preview: The whole picture, small and re-encoded; null when it cannot be read.
        model_version: Versions of the models, the gallery and the rules that produced this.
    """

    CONTRACT: ClassVar[str] = "overture.user.AvatarModerated"

    event_id: str
    source_event_id: str
    occurred_at: datetime
    produced_at: datetime
    user_id: str
    object: ObjectRef
    decision: Decision
    reasons: tuple[Reason, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    faces: int = 0
    age_years: float | None = None
    female: float | None = None
    nearest: tuple[Likeness, ...] = ()
    crop: ObjectRef | None = None
    preview: ObjectRef | None = None
    model_version: str


AvatarState = Literal["unknown", "received", "approved", "rejected", "review", "failed", "erased"]
"""Where an avatar stands."""


DecidedBy = Literal["nobody", "machine", "person"]
"""Who decided."""


@dataclass(frozen=True, kw_only=True)
class AvatarSettled(Record):
    """State of avatar_publication and the only truth on a user's avatar; compacted, key = user id.

    Attributes:
        user_id: Whose avatar it is.
        seq: Grows with each change; a lower one than seen is late.
        changed_at: When it changed last, UTC; event time of its features.
        state: Where the newest avatar stands.
        decided_by: Who decided.
        source_event_id: event_id of the newest avatar's event.
        chosen_at: When the newest avatar was chosen, UTC.
        object: The newest avatar's picture; null when erased.
        reasons: Why, unless approved.
        scores: Every score by name.
        faces: Faces found.
        age_years: As in AvatarModerated.
        female: As in AvatarModerated.
        model_version: As in AvatarModerated.
        review_id: Review that decided, or that is asked for; empty when none.
        judged_at: When the machine judged it, UTC.
        decided_at: When a person decided, UTC.
        failed_at: When work on an avatar of the user was given up last, UTC; tells of the newest one if that was
            chosen before.
        failure: Error code of that; empty without.
        erased_at: When the user was erased last, UTC: avatars from before are not taken.
    """

    CONTRACT: ClassVar[str] = "overture.user.AvatarSettled"

    user_id: str
    seq: int
    changed_at: datetime
    state: AvatarState
    decided_by: DecidedBy = "nobody"
    source_event_id: str = ""
    chosen_at: datetime | None = None
    object: ObjectRef | None = None
    reasons: tuple[Reason, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    faces: int = 0
    age_years: float | None = None
    female: float | None = None
    model_version: str = ""
    review_id: str = ""
    judged_at: datetime | None = None
    decided_at: datetime | None = None
    failed_at: datetime | None = None
    failure: str = ""
    erased_at: datetime | None = None


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
class FaceEmbedded(Record):
    """The face of a user's newest avatar as a vector, kept only as long as the search for rings needs it.

    Attributes:
        event_id: UUIDv5 of this event; the same fact always has the same id.
        source_event_id: event_id of the avatar's event this was derived from.
        occurred_at: When the avatar was chosen, UTC; or when the user was erased.
        user_id: Whose face it is.
        vector: Unit length; empty: what is held of this user's face is to be forgotten.
        vector_version: Version of the vector's space; empty without a vector.
        picture_sha256: SHA-256 of the picture, lower-case hexadecimal; equal pictures are a shared signal.
        device: As in AvatarChanged.
        network: As in AvatarChanged.
        erased: Whether the user was erased: faces from before occurred_at that come later are not taken.
    """

    CONTRACT: ClassVar[str] = "overture.user.FaceEmbedded"

    event_id: str
    source_event_id: str
    occurred_at: datetime
    user_id: str
    vector: tuple[float, ...] = ()
    vector_version: str = ""
    picture_sha256: str = ""
    device: str = ""
    network: str = ""
    erased: bool = False


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
        device: Opaque id of the device it came from, hashed by the app; empty when unknown.
        network: Opaque id of the network it came from, hashed by the app; empty when unknown.
        region: ISO 3166-1 code of the user's region; empty when unknown.
        reach: How many people follow the user; 0 when unknown.
    """

    CONTRACT: ClassVar[str] = "overture.user.AvatarChanged"

    event_id: str
    occurred_at: datetime
    user_id: str
    object: ObjectRef
    device: str = ""
    network: str = ""
    region: str = ""
    reach: int = 0
