"""Every capability, in the order of the flow: read this file to see what runs."""

from __future__ import annotations

from processors.content_classification import content_classification
from processors.content_embedding import content_embedding
from processors.content_moderation import content_moderation
from processors.item_indexing import item_indexing
from processors.item_publication import item_publication
from processors.media_analysis import media_analysis
from processors.play_aggregation import play_aggregation
from processors.runtime.processor import Capability

CAPABILITIES: tuple[Capability, ...] = (
    media_analysis,
    content_moderation,
    content_embedding,
    content_classification,
    item_publication,
    item_indexing,
    play_aggregation,
)
BY_NAME: dict[str, Capability] = {c.name: c for c in CAPABILITIES}
