"""What is asked of an avatar, and what may be done with its face."""

from __future__ import annotations

from dataclasses import dataclass

from models.avatar_moderation import Rules
from models.media.analysis import ANALYSER_VERSION
from models.media.limits import Limits
from processors.runtime.avatar_settings import UNKNOWN_REGION, Attribute, Avatar


@dataclass(frozen=True)
class Allowed:
    """What may be done with one user's face.

    Attributes:
        matching: Compare it with others.
        attributes: What may be estimated.
    """

    matching: bool
    attributes: frozenset[Attribute]


@dataclass(frozen=True)
class AvatarPolicy:
    """What is asked of an avatar, and what may be done with its face.

    Attributes:
        rules: Thresholds and modes.
        limits: Of the decoder.
        everywhere: What may be done where no region forbids it.
        published: Estimated attributes that may be told.
        without_matching: Regions where faces may not be compared.
        without_attributes: Regions where nothing may be estimated.
    """

    rules: Rules
    limits: Limits
    everywhere: Allowed
    published: frozenset[Attribute] = frozenset()
    without_matching: frozenset[str] = frozenset()
    without_attributes: frozenset[str] = frozenset()

    @property
    def version(self) -> str:
        """Rules, decoder and the size at which pictures are looked at, as it stands in events."""
        return f"{self.rules.version}+media/{ANALYSER_VERSION}@{self.limits.frame_long_side}"

    def allowed(self, region: str) -> Allowed:
        """What may be done with the face of a user of a region; empty: an unknown one."""
        region = region or UNKNOWN_REGION
        matching = self.everywhere.matching and region not in self.without_matching
        # no rule looks at the score of a head: where it is not told, it is not computed either
        attributes = self.everywhere.attributes - (frozenset({"heads"}) - self.published)
        return Allowed(matching, frozenset() if region in self.without_attributes else attributes)


def policy_of(wanted: Avatar) -> AvatarPolicy:
    """The policy that the settings ask for."""
    return AvatarPolicy(
        wanted.rules,
        Limits(frame_long_side=wanted.long_side, jpeg_margin=1.0),
        Allowed(wanted.face_matching, frozenset(wanted.attributes)),
        frozenset(wanted.attributes if wanted.publish_attributes else ()),
        frozenset(wanted.regions_without_matching),
        frozenset(wanted.regions_without_attributes),
    )
