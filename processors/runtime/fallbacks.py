"""What the recommender had to do without, counted; apart from other metrics, as capabilities import it."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter


def fallback_counter(registry: CollectorRegistry) -> Counter:
    """Counts what the recommender had to do without; one a registry."""
    return Counter(
        "overture_recommend_fallbacks_total",
        "What the recommender had to do without, by reason: history-empty, profile-empty and profile-word-unknown "
        "(an occupation that the version in use was not trained with) count requests, item-unknown items that a "
        "request named, item-without-content items that no content places, vector-unusable items whose content vector "
        "cannot be searched.",
        ("reason",),
        registry=registry,
    )


FALLBACKS = fallback_counter(REGISTRY)
