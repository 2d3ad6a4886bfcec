"""The section ``avatar`` of the settings: what an avatar must be."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from models.avatar_moderation import Graded, Mode, Rules
from processors.runtime.section import Section, Share

Thresholds = tuple[float, float, Mode]
"""From where a person looks, from where it is refused; ``reject``, ``review`` (a person looks instead) or ``off``."""
UNKNOWN_REGION = "unknown"
Region = Annotated[str, Field(pattern=rf"^([A-Z]{{2}}|{UNKNOWN_REGION})$")]
Attribute = Literal["age", "gender", "heads"]
HeadName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]

_DEFAULT = Rules()


def _graded(rule: str, score: str) -> Any:
    default: Graded = getattr(_DEFAULT, rule)
    return Field((default.review, default.reject, default.mode), description=f"{score}: [review, reject, mode].")


class Avatar(Section):
    no_face: Mode = Field(_DEFAULT.no_face, description="What happens without a face: reject, review or off.")
    several_people: Mode = Field(_DEFAULT.several_people, description="What happens to a picture of several people.")
    background: Share = Field(
        _DEFAULT.background,
        description="Size of a face over the main one's, sides compared, from which it counts as another person.",
    )
    mirror: Thresholds = _graded("mirror", "Likeness of two faces of a picture, one person's from the first on")
    changing: Thresholds = _graded("changing", "Likeness of the faces in an animation's pictures, two people's below")
    public_figure: Thresholds = _graded("public_figure", "Likeness to a public figure less the gallery's threshold")
    minor: Thresholds = _graded("minor", "Probability of being under the age limit")
    age_limit: int = Field(14, ge=1, le=80, description="Age under which somebody is a minor to that rule, years.")
    nudity: Thresholds = _graded("nudity", "Nudity score, 0..1")
    face_small: Thresholds = _graded("face_small", "Side of the face, pixels, too small below")
    blurred: Thresholds = _graded("blurred", "Sharpness of the face, 0..1, too low below")
    dark: Thresholds = _graded("dark", "Brightness of the face, 0..1, too low below")
    bright: Thresholds = _graded("bright", "Brightness of the face, 0..1, too high from there")
    flat: Thresholds = _graded("flat", "Contrast of the face, 0..1, too low below")
    occluded: Thresholds = _graded("occluded", "Covered share of the face, 0..1")
    yaw: Thresholds = _graded("yaw", "Turn of the head to a side, degrees")
    pitch: Thresholds = _graded("pitch", "Nod of the head up or down, degrees")
    roll: Thresholds = _graded("roll", "Tilt of the head in the picture, degrees")
    drawing: Thresholds = _graded("drawing", "Probability of a drawing")
    statue: Thresholds = _graded("statue", "Probability of a statue or a doll")
    screenshot: Thresholds = _graded("screenshot", "Probability of a screenshot")
    code: Thresholds = _graded("code", "Probability of a machine-readable code")
    screen: Thresholds = _graded("screen", "Probability of a photo of a screen or of a print")
    aspect: Thresholds = _graded("aspect", "Long side of the picture over its short side")
    long_side: int = Field(
        1024,
        ge=416,
        le=4096,
        description="Longer side at which an avatar is looked at, pixels; larger ones are shrunk.",
    )
    face_matching: bool = Field(
        True,
        description="Whether faces are compared with public figures, those in uploads too, and with those of other "
        "accounts.",
    )
    attributes: tuple[Attribute, ...] = Field(
        ("age",), description="What may be estimated of a face; without age the rule of minors decides nothing."
    )
    publish_attributes: bool = Field(
        False, description="Whether estimated attributes are told in events and features, not only used by the rules."
    )
    heads: tuple[HeadName, ...] = Field(
        (),
        description="Cards of networks of your own that score a face's vector; sensitive. Only where attributes name "
        "heads, attributes are published and faces are compared; told as head.NAME among the scores.",
    )
    cards: Path | None = Field(None, description="Folder of those cards.")
    regions_without_matching: tuple[Region, ...] = Field(
        (), description="Regions (ISO 3166-1, or unknown) whose users' faces are not compared."
    )
    regions_without_attributes: tuple[Region, ...] = Field(
        (), description="Regions (ISO 3166-1, or unknown) whose users' attributes are not estimated."
    )

    @property
    def rules(self) -> Rules:
        """The rules as ``models.avatar_moderation.judge`` takes them."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(Rules)}
        values |= {name: Graded(*value) for name, value in values.items() if isinstance(value, tuple)}
        return Rules(**values)

    @model_validator(mode="after")
    def _heads_have_cards(self) -> Self:
        if self.heads and self.cards is None:
            raise ValueError(f"heads {', '.join(self.heads)}: cards must name the folder of their cards")
        return self

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> Self:
        _ = self.rules
        return self
