"""Builds the heavy things: the only file that turns settings into models and stores.

A capability names what it needs by parameter; the property of the same name here makes it, once a process and
only when asked for. Imports are inside, so that a worker pays only for what it uses.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import REGISTRY, CollectorRegistry

from processors.runtime.announcing import announced
from processors.runtime.processor import Capability
from processors.runtime.publisher import KafkaPublisher
from processors.runtime.quarantine import Quarantine
from processors.runtime.registry import SchemaRegistry
from processors.runtime.runner import Runner
from processors.runtime.settings import Settings
from processors.runtime.state import CompactedState
from schemas import topics
from schemas.codec import Codec

if TYPE_CHECKING:
    from features.aliases import ViewAliases
    from features.feast_store import FeastConfig, FeastWriter
    from features.feature_reader import RedisFeatureReader
    from features.milvus_index import MilvusConfig, MilvusIndex
    from features.ports import AttemptLog, ObjectStore
    from features.redis_client import RedisClient, RedisConfig
    from models.bundled_recommender import BundledRecommender
    from models.content_classification import ContentClassifier
    from models.content_moderation import Rules
    from models.face_detection import FaceDetector
    from models.face_embedding import FaceEmbedder
    from models.face_gallery import FaceGallery
    from models.media.analysis import MediaAnalyser
    from models.nsfw import NsfwScorer
    from models.song_prompt import PromptEmbedder
    from models.text_embedding import TextEncoder
    from models.text_moderation import TextModerator
    from processors.avatar_moderation.evidence import AvatarSkills
    from processors.avatar_moderation.policy import AvatarPolicy
    from processors.content_embedding import Encoders
    from processors.content_moderation import Judges
    from processors.fraud_clustering.desk import RingDesk
    from processors.runtime.active_model import ActiveModel
    from processors.runtime.recommender_in_use import RecommenderInUse
    from processors.runtime.upload_log import KafkaUploadLog


log = structlog.get_logger(__name__)
GIVEN_BY_THE_WORKER = frozenset({"state", "received", "offload"})


class Wiring:
    """Everything that capabilities and the service may need, built from one ``Settings``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._closers: list[Callable[[], None]] = []

    def runner(self, capability: Capability) -> Runner:
        """The capability with all it needs; waits for the registry as long as it is away.

        Raises:
            TypeError: it names something that nobody here can give.
        """
        from processors.runtime.offload import offload_for

        parameters = list(inspect.signature(capability.handler).parameters)[1:]
        wanted = [name for name in parameters if name not in GIVEN_BY_THE_WORKER]
        for name in wanted:
            if name.startswith("_") or not isinstance(getattr(type(self), name, None), cached_property):
                raise TypeError(f"{capability.name} needs {name!r}, which wiring.py does not make")
        # ending here instead would cost the seconds of a new start, and a longer delay before each
        self.registry.wait()
        needs: dict[str, Any] = {name: getattr(self, name) for name in wanted}
        if "offload" in parameters:
            needs["offload"] = offload_for(capability.weight, capability.concurrency)
            self._closers.append(needs["offload"].close)
        state: CompactedState[Any] | None = None
        if capability.state is not None:
            state = CompactedState(self.settings.kafka, capability.state, self.codec, self.registry.fetch)
        return Runner(
            capability,
            sender=self.publisher,
            codec=self.codec,
            fetch_schema=self.registry.fetch,
            attempts=self.attempts,
            needs=needs,
            state=state,
            max_deliveries=self.settings.worker.max_deliveries,
            quarantine=self.quarantine,
        )

    def close(self) -> None:
        """Close what was built, newest first."""
        while self._closers:
            self._closers.pop()()

    @cached_property
    def quarantine(self) -> Quarantine:
        return Quarantine()

    # streams

    @cached_property
    def registry(self) -> SchemaRegistry:
        registry = SchemaRegistry(self.settings.registry.url)
        self._closers.append(registry.close)
        return registry

    @cached_property
    def codec(self) -> Codec:
        return self.registry.codec(topics.ALL)

    @cached_property
    def publisher(self) -> KafkaPublisher:
        publisher = KafkaPublisher(self.settings.kafka, self.codec)
        self._closers.append(publisher.close)
        return publisher

    @cached_property
    def upload_log(self) -> KafkaUploadLog:
        from processors.runtime.upload_log import KafkaUploadLog

        return KafkaUploadLog(self.settings.kafka, self.codec, self.registry.fetch)

    # stores

    @cached_property
    def redis_config(self) -> RedisConfig:
        from features.redis_client import RedisConfig

        return RedisConfig(self.settings.redis.url.get_secret_value(), cluster=self.settings.redis.cluster)

    @cached_property
    def redis(self) -> RedisClient:
        from features.redis_client import connect

        return connect(self.redis_config)

    @cached_property
    def attempts(self) -> AttemptLog:
        from features.attempts import RedisAttemptLog

        return RedisAttemptLog(self.redis, address=self.redis_config.address)

    @cached_property
    def objects(self) -> ObjectStore:
        from features.objects import open_objects

        return open_objects(self.settings.objects_url)

    @cached_property
    def feast_config(self) -> FeastConfig:
        from features.feast_store import FeastConfig

        feast = self.settings.feast
        return FeastConfig(self.redis_config, self.settings.feast_folder.resolve(), feast.registry, feast.project)

    @cached_property
    def feature_writer(self) -> FeastWriter:
        from features.feast_store import FeastWriter

        writer = FeastWriter(self.feast_config, self.redis)
        self._closers.append(writer.close)
        return writer

    @cached_property
    def feature_reader(self) -> RedisFeatureReader:
        from features.feature_reader import RedisFeatureReader

        return RedisFeatureReader(
            self.redis,
            self.settings.feast.project,
            address=self.redis_config.address,
            aliases=self.view_aliases,
        )

    @cached_property
    def view_aliases(self) -> ViewAliases:
        from features.aliases import ViewAliases

        return ViewAliases(self.objects)

    @cached_property
    def milvus_config(self) -> MilvusConfig:
        from features.milvus_index import MilvusConfig

        token = self.settings.milvus.token
        return MilvusConfig(self.settings.milvus.uri, "" if token is None else token.get_secret_value())

    @cached_property
    def vector_index(self) -> MilvusIndex:
        from features.milvus_index import MilvusIndex

        index = MilvusIndex(self.milvus_config)
        self._closers.append(index.close)
        return index

    # models

    @cached_property
    def _session(self) -> dict[str, Any]:
        models = self.settings.models
        return {"providers": models.providers, "threads": models.threads, "folder": self.settings.models_folder}

    @cached_property
    def analyser(self) -> MediaAnalyser:
        from models.media.analysis import MediaAnalyser

        analyser = MediaAnalyser()
        report = analyser.sandbox_report
        say = log.info if report.complete else log.warning
        say("media sandbox", network_namespace=report.network_namespace, missing=report.missing, holes=report.holes)
        self._closers.append(analyser.close)
        return analyser

    @cached_property
    def nsfw(self) -> NsfwScorer:
        from models.nsfw import NsfwScorer

        return announced(NsfwScorer(**self._session))

    @cached_property
    def face_detector(self) -> FaceDetector:
        from models.face_detection import FaceDetector

        return announced(FaceDetector(**self._session))

    @cached_property
    def face_embedder(self) -> FaceEmbedder:
        from models.face_embedding import DlibFaceEmbedder

        return announced(DlibFaceEmbedder(**self._session))

    @cached_property
    def gallery(self) -> FaceGallery:
        from features.gallery_follower import GalleryFollower
        from models.face_gallery import EMPTY, GallerySnapshot, NoGallery

        if not self.settings.avatar.face_matching:
            return NoGallery()
        refresh_s, embedder = self.settings.gallery.refresh_s, self.face_embedder.version
        return GalleryFollower(self.milvus_config, GallerySnapshot, EMPTY, embedder=embedder, refresh_s=refresh_s)

    @cached_property
    def text_encoder(self) -> TextEncoder:
        from models.text_embedding import TextEncoder

        # an engine of its own, CPU only: the providers of ONNX Runtime do not concern it
        return announced(TextEncoder(self.settings.models.threads, self.settings.models_folder))

    @cached_property
    def text_moderator(self) -> TextModerator:
        from models.text_moderation import TextModerator

        return announced(TextModerator(**self._session))

    @cached_property
    def moderation_rules(self) -> Rules:
        from models.content_moderation import Rules

        return Rules(**self.settings.moderation.model_dump())

    @cached_property
    def judges(self) -> Judges:
        from processors.content_moderation import Judges

        return Judges(self.nsfw, self.face_detector, self.face_embedder, self.text_encoder, self.text_moderator)

    @cached_property
    def avatar_skills(self) -> AvatarSkills:
        from models.face_attributes import AttributeReader, Head
        from models.picture_kind import PictureKindReader
        from models.weights import CARDS
        from processors.avatar_moderation.evidence import AvatarSkills

        wanted = self.settings.avatar
        skills = AvatarSkills(
            detector=self.face_detector,
            embedder=self.face_embedder,
            attributes=announced(AttributeReader(**self._session, minor_under=wanted.age_limit)),
            kinds=announced(PictureKindReader(**self._session)),
            nsfw=self.nsfw,
            heads={name: announced(Head(name, wanted.cards or CARDS, **self._session)) for name in wanted.heads},
        )
        self._closers.append(skills.parallel.close)
        return skills

    @cached_property
    def avatar_policy(self) -> AvatarPolicy:
        from processors.avatar_moderation.policy import policy_of

        return policy_of(self.settings.avatar)

    @cached_property
    def encoders(self) -> Encoders:
        from models.audio_embedding import AudioEncoder
        from models.content_vector import ContentVectoriser
        from models.image_embedding import ImageEncoder
        from models.packaged_embedding import PackagedEmbedder
        from models.text_space import MeasuredSpace
        from processors.content_embedding import Encoders

        other = self._other_embedder
        return Encoders(
            audio=announced(AudioEncoder(**self._session)),
            image=announced(ImageEncoder(**self._session)),
            text=self.text_encoder,
            joint=ContentVectoriser(self.settings.models_folder, None if other is None else MeasuredSpace(other)),
            prompts=other or PackagedEmbedder(self.text_encoder),
        )

    @cached_property
    def _other_embedder(self) -> PromptEmbedder | None:
        """What embeds prompts in place of the packaged encoder; None: nothing does."""
        wanted = self.settings.embedding
        if wanted.weights:
            from models.local_embedding import LocalEmbedder
            from models.weights import CARDS

            return LocalEmbedder(wanted.weights, cards=wanted.cards or CARDS, **self._session)
        if not wanted.url:
            return None
        from models.remote_embedding import Endpoint, RemoteEmbedder

        remote = RemoteEmbedder(Endpoint(**wanted.model_dump(exclude={"weights", "cards"})))
        log.info("prompts are embedded elsewhere", url=wanted.url, model=wanted.model, pictures=wanted.pictures)
        self._closers.append(remote.close)
        return remote

    def active_model(self, registry: CollectorRegistry) -> ActiveModel[BundledRecommender]:
        """Follows the versions of the recommender; not begun.

        Args:
            registry: Where its metrics are.
        """
        from features.model_store import ModelStore, VersionCache
        from models.bundled_recommender import BundledRecommender
        from models.ranker import RankingWeights
        from processors.runtime.active_model import ActiveModel, ModelMetrics

        worth = RankingWeights(**self.settings.recommend.worth.model_dump())
        return ActiveModel(
            self.settings.kafka,
            self.codec,
            self.registry.fetch,
            VersionCache(ModelStore(self.objects), self.settings.bundles_folder),
            self.settings.models,
            lambda bundle: BundledRecommender(bundle, worth),
            ModelMetrics(registry),
        )

    @cached_property
    def active(self) -> RecommenderInUse:
        from processors.runtime.recommender_in_use import RecommenderInUse

        model = self.active_model(REGISTRY)
        model.begin()
        self._closers.append(model.end)
        return RecommenderInUse(model)

    @cached_property
    def classifier(self) -> ContentClassifier:
        from models.content_classification import ContentClassifier

        return announced(ContentClassifier(**self._session))

    @cached_property
    def ring_desk(self) -> RingDesk:
        from processors.fraud_clustering.desk import RingDesk

        fraud = self.settings.fraud
        rings: CompactedState[Any] = CompactedState(
            self.settings.kafka, topics.RING_SUSPECTED, self.codec, self.registry.fetch
        )
        return RingDesk(fraud.rules, timedelta(days=fraud.window_days), fraud.review, rings)

    # values

    @cached_property
    def erasure_settle(self) -> timedelta:
        return timedelta(seconds=self.settings.erasure.settle_s)

    @cached_property
    def review_kept(self) -> timedelta:
        return timedelta(days=self.settings.review.kept_days)

    @cached_property
    def taste_half_life(self) -> timedelta:
        return timedelta(hours=self.settings.recommend.taste_half_life_h)
