"""The HTTP service's parts, and granian around it."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from fastapi import FastAPI
from granian import Granian
from granian.constants import Interfaces

from features.redis_client import redis_errors
from features.review_leases import RedisLeases
from features.views import CONTENT_JOINT
from processors.catalogue import CAPABILITIES
from processors.runtime import endpoint, logs, tracing
from processors.runtime.kafka import client_config
from processors.runtime.recommender_in_use import RecommenderInUse
from processors.runtime.settings import Kafka, Recommend, Settings
from processors.runtime.wiring import Wiring
from processors.serving.app import create_app
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.dead_letters import WaitingLetters
from processors.serving.decoding import Decoder
from processors.serving.experiments.served_log import ServedLog, ServedMetrics
from processors.serving.follower import Apply, Follower, kafka_consumer
from processors.serving.gate import Gate
from processors.serving.key_file import KeyFile, KeyFileError
from processors.serving.keys import KeyRing
from processors.serving.learned_keeper import LearnedKeeper
from processors.serving.measured import PROBE_LIMIT_S, Dependencies, MeasuredFeatures
from processors.serving.metrics import ServiceMetrics
from processors.serving.operations.broker import BrokerWatch
from processors.serving.operations.experiments import MeasuredExperiments
from processors.serving.operations.kafka_reader import KafkaReader
from processors.serving.operations.parts import Operations
from processors.serving.operations.recent import RecallTimes, RecentUploads, StoreFacts
from processors.serving.parts import Probe, ServiceParts, utc_now
from processors.serving.review.oidc import TokenVerifier
from processors.serving.review.parts import ReviewParts, weights_of
from processors.serving.review.view import CaseView
from processors.serving.status_view import FollowedStatus
from schemas.errors import UnavailableError
from schemas.topics import (
    ALL,
    DEAD_LETTERED,
    EXPOSURES_COUNTED,
    ITEM_CHANGED,
    MEDIA_STATUS,
    PLAY_AGGREGATED,
    SONG_COUNTED,
)

log = structlog.get_logger(__name__)


class Shown(Protocol):
    """What a follower feeds for the page and the metrics alone: the service is ready without."""

    @property
    def TOPICS(self) -> Sequence[str]: ...  # noqa: N802 - a constant of each class

    def apply(self, topic: str, key: str, value: bytes | None, /) -> None: ...


def build_app(wiring: Wiring) -> FastAPI:
    """The service on real parts."""
    settings = wiring.settings
    metrics = ServiceMetrics()
    decoder = Decoder(wiring.codec, wiring.registry.fetch)
    catalogue = _catalogue(settings.recommend, decoder, metrics)
    recent = RecentUploads()
    status = FollowedStatus(decoder, recent.take)
    recallable = RecallTimes(catalogue, lambda: followers[0].caught_up, utc_now)
    facts = StoreFacts(decoder)
    measured = MeasuredExperiments(decoder)
    letters = WaitingLetters(decoder, [each.name for each in CAPABILITIES], utc_now)
    cases = CaseView(decoder, weights_of(settings.review), utc_now)
    for counted in (letters, cases):
        metrics.registry.register(counted)

    follower = partial(_follower, settings.kafka, metrics)

    # totals outlive the parts: a fresh process knows what was popular last week
    of_catalogue = (ITEM_CHANGED.name, SONG_COUNTED.name, PLAY_AGGREGATED.name, EXPOSURES_COUNTED.name)
    followers = (
        follower("catalogue", of_catalogue, recallable.apply),
        follower("status", (MEDIA_STATUS.name,), status.apply),
    )
    shown: dict[str, Shown] = {"facts": facts, "experiments": measured, "dead-letters": letters, "reviews": cases}
    beside = [follower(name, each.TOPICS, each.apply) for name, each in shown.items()]
    redis_probe = _redis_probe(wiring)
    model = wiring.active_model(metrics.registry)
    keeper = LearnedKeeper(catalogue, lambda: RecommenderInUse(model).now, lambda: followers[0].caught_up)
    served = ServedLog(wiring.publisher, ServedMetrics(metrics.registry), settings.experiments.log_queue)
    _show(metrics, settings)
    gate = gate_of(settings)
    broker_watch = _broker_watch(settings)
    return create_app(
        ServiceParts(
            settings=settings,
            gate=gate,
            publisher=wiring.publisher,
            objects=wiring.objects,
            features=MeasuredFeatures(wiring.feature_reader, metrics, utc_now),
            vectors=wiring.vector_index,
            status=status,
            catalogue=catalogue,
            metrics=metrics,
            review=ReviewParts(cases, RedisLeases(wiring.redis, address=wiring.redis_config.address)),
            served=served.note,
            probes={"keys": gate.probe, "redis": redis_probe, "model": model.probe, "recommender": keeper.probe}
            | {f.name: f.probe for f in followers},
            background=(
                *followers,
                model,
                keeper,
                served,
                *beside,
                broker_watch,
                Dependencies({"redis": redis_probe, **_dependency_probes(wiring)}, metrics),
            ),
            operations=Operations(CAPABILITIES, broker_watch, recent, recallable, facts, measured),
        )
    )


def _follower(kafka: Kafka, metrics: ServiceMetrics, name: str, topics: Sequence[str], apply: Apply) -> Follower:
    return Follower(name, topics, apply, metrics, kafka_consumer(kafka, name))


def _catalogue(settings: Recommend, decoder: Decoder, metrics: ServiceMetrics) -> CatalogueSnapshot:
    return CatalogueSnapshot(
        decoder,
        cold_plays=settings.cold_plays,
        cold_exposures=settings.cold_exposures,
        half_life_h=settings.taste_half_life_h,
        refused=metrics.fallbacks.labels("vector-unusable").inc,
    )


def _redis_probe(wiring: Wiring) -> Probe:
    async def redis() -> None:
        with redis_errors(wiring.redis_config.address):
            await wiring.redis.execute_command("PING")

    return redis


def _show(metrics: ServiceMetrics, settings: Settings) -> None:
    """Metrics for whoever asks, if there is a port for them."""
    if settings.http.metrics_port:
        ports = range(settings.http.metrics_port, settings.http.metrics_port + settings.http.processes)
        endpoint.serve(settings.worker.metrics_host, ports, metrics.registry)


def _dependency_probes(wiring: Wiring) -> dict[str, Probe]:
    """Besides Redis. The service answers without each of them, for a while or in part."""
    admin = AdminClient(client_config(wiring.settings.kafka))

    async def broker() -> None:
        try:
            await asyncio.to_thread(admin.list_topics, DEAD_LETTERED.name, PROBE_LIMIT_S)
        except KafkaException as error:
            raise UnavailableError(f"the broker does not answer: {error}", code="broker-unavailable") from error

    async def registry() -> None:
        await asyncio.to_thread(wiring.registry.lookup, DEAD_LETTERED)

    async def milvus() -> None:
        await wiring.vector_index.fetch(CONTENT_JOINT.alias, ["no such item"])

    async def objects() -> None:
        with suppress(KeyError):
            await wiring.objects.size("no such object")

    return {"broker": broker, "registry": registry, "milvus": milvus, "objects": objects}


def _broker_watch(settings: Settings) -> BrokerWatch:
    topics = {topic.name for topic in ALL}
    for each in CAPABILITIES:
        topics |= {each.dead_letter_topic, *(name for name, _ in each.retry_topics)}
    sources = {each.group: [topic.name for topic in each.consumes] for each in CAPABILITIES}
    return BrokerWatch(KafkaReader(settings.kafka, sorted(topics), list(sources)), sources, utc_now)


def gate_of(settings: Settings) -> Gate:
    """The gate that the settings ask for.

    Raises:
        KeyFileError: keys are asked for and there is no usable file of them.
    """
    if settings.auth.off_for_development:
        return Gate(None)
    file = KeyFile(settings.keys_path)
    if not file.path.exists():
        raise KeyFileError(
            f"there are no API keys yet: {file.path} does not exist. Make the first with `overture keys create "
            "--name app --scope ingest --scope read`, or, where nobody but you can reach the service, set "
            "OVERTURE_AUTH__OFF_FOR_DEVELOPMENT=true",
            code="keys-missing",
        )
    ring = KeyRing(file, utc_now)
    ring.refresh()
    oidc = settings.review.oidc
    return Gate(ring, TokenVerifier(oidc) if oidc.issuer else None)


def create() -> FastAPI:
    """ASGI factory that granian calls in each of its processes; settings come from the environment."""
    settings = Settings()
    logs.configure(settings.worker)
    tracing.configure(settings.tracing, "overture-http")
    wiring = Wiring(settings)
    atexit.register(wiring.close)
    return build_app(wiring)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        KeyFileError: see ``gate_of``; said here once, where granian would start its processes again and again.
    """
    gate_of(settings)
    if settings.auth.off_for_development:
        logs.configure(settings.worker)
        log.warning("API keys are off: whoever reaches this service may do everything", host=settings.http.host)
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
