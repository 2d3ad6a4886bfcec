"""Records of the domain ``common``.

Generated from ``schemas/avro/common/*.avsc`` by ``overture schemas generate``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from schemas.record import Record


@dataclass(frozen=True, kw_only=True)
class Reason(Record):
    """Why something was decided, for people and for programs.

    Attributes:
        code: Stable identifier of the reason, for example image-nsfw.
        text: The sentence shown to the user.
    """

    CONTRACT: ClassVar[str] = "overture.common.Reason"

    code: str
    text: str


Decision = Literal["none", "approve", "reject", "review"]
"""Verdict of moderation; none until judged."""


@dataclass(frozen=True, kw_only=True)
class ObjectRef(Record):
    """Claim check: where the bytes are and how to know them again.

    Attributes:
        key: Key in the object store; content-addressed, never chosen by a user.
        sha256: SHA-256 of the bytes, 64 lower-case hexadecimal digits.
        size_bytes: Length, bytes.
        content_type: Media type as sniffed from the content, for example video/mp4.
    """

    CONTRACT: ClassVar[str] = "overture.common.ObjectRef"

    key: str
    sha256: str
    size_bytes: int
    content_type: str


@dataclass(frozen=True, kw_only=True)
class Likeness(Record):
    """A person of the gallery of public figures whom a face resembles.

    Attributes:
        person: Name of the person in the gallery.
        likeness: Cosine of the face's vector and the nearest of the person's, -1..1.
        picture: The gallery's picture that is nearest; null when it has none.
    """

    CONTRACT: ClassVar[str] = "overture.common.Likeness"

    person: str
    likeness: float
    picture: ObjectRef | None = None


MediaKind = Literal["unknown", "video", "audio", "post", "score", "screenshot"]
"""What an upload is; unknown stands for kinds newer than the reader."""


@dataclass(frozen=True, kw_only=True)
class Appearance(Record):
    """A public figure seen in an upload.

    Attributes:
        person: Name of the person in the gallery.
        likeness: Greatest cosine over the pictures, -1..1.
        pictures: Sampled pictures in which the person was seen.
        first_ms: Place of the first of them, milliseconds from the start; 0 for a picture.
    """

    CONTRACT: ClassVar[str] = "overture.common.Appearance"

    person: str
    likeness: float
    pictures: int
    first_ms: int


@dataclass(frozen=True, kw_only=True)
class Label(Record):
    """One class with its probability.

    Attributes:
        name: Label, lower case.
        score: Probability, 0..1.
    """

    CONTRACT: ClassVar[str] = "overture.common.Label"

    name: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Exposure(Record):
    """Where and how an item was shown.

    Attributes:
        surface: Place in the app, for example daily-list or search; empty when unknown.
        position: Rank within the list shown, from 0; -1 when unknown.
        request_id: Id of the recommendation answer that showed it; empty when none.
        experiment: Experiment arm in force; empty when none.
    """

    CONTRACT: ClassVar[str] = "overture.common.Exposure"

    surface: str = ""
    position: int = -1
    request_id: str = ""
    experiment: str = ""
