"""The HTTP service's parts, and granian around it."""

from __future__ import annotations

import atexit

from fastapi import FastAPI
from granian import Granian
from granian.constants import Interfaces

from features.redis_client import redis_errors
from processors.runtime import logs
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.serving.app import create_app
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.decoding import Decoder
from processors.serving.follower import Follower, kafka_consumer
from processors.serving.metrics import ServiceMetrics
from processors.serving.parts import ServiceParts
from processors.serving.status_view import FollowedStatus
from schemas.topics import ITEM_CHANGED, MEDIA_STATUS, PLAY_AGGREGATED, SONG_COUNTED


def build_app(wiring: Wiring) -> FastAPI:
    """The service on real parts."""
    settings = wiring.settings
    metrics = ServiceMetrics()
    decoder = Decoder(wiring.codec, wiring.registry.fetch)
    catalogue = CatalogueSnapshot(
        decoder, cold_plays=settings.recommend.cold_plays, half_life_h=settings.recommend.taste_half_life_h
    )
    status = FollowedStatus(decoder)
    followers = (
        Follower(
            "catalogue",
            # totals outlive the parts: a fresh process knows what was popular last week
            (ITEM_CHANGED.name, SONG_COUNTED.name, PLAY_AGGREGATED.name),
            catalogue.apply,
            metrics,
            kafka_consumer(settings.kafka, "catalogue"),
        ),
        Follower("status", (MEDIA_STATUS.name,), status.apply, metrics, kafka_consumer(settings.kafka, "status")),
    )

    async def redis_probe() -> None:
        with redis_errors(wiring.redis_config.address):
            await wiring.redis.execute_command("PING")

    return create_app(
        ServiceParts(
            settings=settings,
            publisher=wiring.publisher,
            objects=wiring.objects,
            features=wiring.feature_reader,
            vectors=wiring.vector_index,
            status=status,
            catalogue=catalogue,
            metrics=metrics,
            probes={"redis": redis_probe} | {f.name: f.probe for f in followers},
            background=followers,
        )
    )


def create() -> FastAPI:
    """ASGI factory that granian calls in each of its processes; settings come from the environment."""
    settings = Settings()
    logs.configure(settings.worker)
    wiring = Wiring(settings)
    atexit.register(wiring.close)
    return build_app(wiring)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    Granian(
        "processors.runtime.service:create",
        factory=True,
        address=settings.http.host,
        port=settings.http.port,
        interface=Interfaces.ASGI,
        workers=settings.http.processes,
        workers_kill_timeout=10,
        respawn_failed_workers=True,
        log_access=False,
    ).serve()
