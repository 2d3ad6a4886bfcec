"""Every capability, in the order of the flow: read this file to see what runs."""

from __future__ import annotations

from processors.avatar_moderation import avatar_moderation
from processors.avatar_publication import avatar_publication
from processors.content_classification import content_classification
from processors.content_embedding import content_embedding
from processors.content_moderation import content_moderation
from processors.exposure_counting import exposure_counting
from processors.fraud_clustering import fraud_clustering
from processors.item_indexing import item_indexing
from processors.item_mapping import item_mapping
from processors.item_publication import item_publication
from processors.media_analysis import media_analysis
from processors.media_erasure import media_erasure
from processors.play_aggregation import play_aggregation
from processors.review_settlement import review_settlement
from processors.runtime.processor import Capability
from processors.user_erasure import user_erasure
from processors.user_profile import user_profile

CAPABILITIES: tuple[Capability, ...] = (
    media_analysis,
    content_moderation,
    content_embedding,
    content_classification,
    item_publication,
    item_indexing,
    item_mapping,
    avatar_moderation,
    avatar_publication,
    fraud_clustering,
    review_settlement,
    play_aggregation,
    exposure_counting,
    user_profile,
    user_erasure,
    media_erasure,
)
BY_NAME: dict[str, Capability] = {c.name: c for c in CAPABILITIES}
VERSIONS: dict[str, dict[int, Capability]] = {c.name: {c.version: c} for c in CAPABILITIES}
"""Every version by capability: a new one stands here beside the old one until readers were switched to it."""


def find(text: str) -> Capability | None:
    """The capability that ``name`` or ``name@version`` means; None if there is none. Without a version, the first."""
    name, _, version = text.partition("@")
    versions = VERSIONS.get(name, {})
    if not version:
        return versions.get(min(versions, default=0))
    return versions.get(int(version)) if version.isdecimal() else None
