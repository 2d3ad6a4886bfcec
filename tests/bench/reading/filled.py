"""The service's parts over a made-up population: a snapshot in this process, users in a real Redis."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

from features.apply import apply_views
from features.views import USER_PROFILE, USER_TASTE
from models.recommender import Recommender
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.decoding import Decoder
from processors.serving.gate import Gate
from processors.serving.learned_keeper import LearnedKeeper
from processors.serving.measured import MeasuredFeatures
from processors.serving.metrics import ServiceMetrics
from processors.serving.parts import ServiceParts, utc_now
from processors.serving.review.parts import ReviewParts, weights_of
from processors.serving.review.view import CaseView
from processors.serving.search_space import EXACT_BELOW
from processors.serving.status_view import FollowedStatus
from schemas.topics import ITEM_CHANGED, SONG_COUNTED
from tests.bench.reading.synthetic import Population
from tests.fakes.serving import numbered_codec

BATCH = 256


def filled(
    people: Population, settings: Settings, recommender: Recommender | None = None, exact_below: int = EXACT_BELOW
) -> tuple[ServiceParts, Wiring]:
    """Parts that answer reads, and what they are wired with; whatever reads do not need is missing.

    Args:
        people: What the snapshot holds.
        settings: Names the Redis.
        recommender: In use, with all items mapped; None: none.
        exact_below: Up to so many items the space of the content has no index; see ``search_space.EXACT_BELOW``.
    """
    codec = numbered_codec()
    metrics = ServiceMetrics()
    decoder = Decoder(codec, _no_registry)
    catalogue = CatalogueSnapshot(
        decoder,
        cold_plays=settings.recommend.cold_plays,
        half_life_h=settings.recommend.taste_half_life_h,
        exact_below=exact_below,
    )
    for item in people.items():
        catalogue.apply(ITEM_CHANGED.name, item.item_id, codec.encode(item))
    for count in people.counts():
        catalogue.apply(SONG_COUNTED.name, count.song_id, codec.encode(count))
    LearnedKeeper(catalogue, lambda: recommender).step()
    while catalogue.index_stale(BATCH):
        pass
    wiring = Wiring(settings)
    missing: Any = None
    parts = ServiceParts(
        settings=settings,
        gate=Gate(None),
        publisher=missing,
        objects=missing,
        features=MeasuredFeatures(wiring.feature_reader, metrics, utc_now),
        vectors=missing,
        status=FollowedStatus(decoder),
        catalogue=catalogue,
        metrics=metrics,
        review=ReviewParts(CaseView(decoder, weights_of(settings.review), utc_now), missing),
        served=lambda _served: None,
    )
    return parts, wiring


async def store_users(settings: Settings, people: Population) -> None:
    """Have the users' rows in Redis."""
    wiring = Wiring(settings)
    await asyncio.to_thread(apply_views, wiring.feast_config)
    try:
        await wiring.feature_writer.push(USER_TASTE.name, list(people.users()))
        await wiring.feature_writer.push(USER_PROFILE.name, list(people.profiles()))
    finally:
        await wiring.redis.aclose()
        wiring.close()


def _no_registry(_schema_id: int) -> NoReturn:
    raise LookupError("every schema is known")
