"""The version of the recommender in use: followed on its topic, loaded beside the work, swapped as a whole.

A thread reads ``model.version.published.v1`` from its beginning, outside any consumer group: nothing is committed, so
no event is lost, and a process that starts later reads the same last event. What is behind a version (bundle, index,
whatever `build` makes of it) takes the place of the old one in one assignment. While a version cannot be loaded the
one before stays, and the load is tried again: reads go on with it, and whoever writes for others waits by `pending`.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from features.model_store import VersionCache
from models.recommender_bundle import Bundle, open_bundle
from models.recommender_files import FILES
from models.recommender_manifest import NAME, BundleError
from processors.runtime.settings import Kafka, Models
from processors.runtime.topic_scan import new_reader, partitions_of
from schemas.codec import Codec, UnknownSchemaError
from schemas.errors import AppError, BadEventError, UnavailableError
from schemas.model import ModelPublished
from schemas.topics import MODEL_PUBLISHED

T = TypeVar("T")
TOPIC = MODEL_PUBLISHED.name
POLL_S = 0.2
BATCH = 100
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds from a failure to the next try, the last for all further ones."""
STOP_S = 10.0

log = structlog.get_logger(__name__)


class ModelMetrics:
    """Metrics of the version in use; one a registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.in_use = Gauge(
            "overture_model_in_use",
            "1 for the version in use, 0 for those used before it.",
            ("model", "version"),
            registry=registry,
        )
        self.loads = Counter(
            "overture_model_loads_total", "Versions loaded and put in use.", ("model",), registry=registry
        )
        self.failures = Counter(
            "overture_model_load_failures_total",
            "Tries to load a published version that failed, by error code; the version before stays in use.",
            ("model", "code"),
            registry=registry,
        )


@dataclass(frozen=True, slots=True)
class InUse(Generic[T]):
    """What is in use.

    Attributes:
        published: The event that put it there.
        bundle: Its files.
        value: What was built of them.
    """

    published: ModelPublished
    bundle: Bundle
    value: T


class ActiveModel(Generic[T]):
    """Follows the versions of the recommender in a thread of its own.

    Args:
        kafka: The broker.
        codec: Decodes events.
        fetch_schema: Asks the registry for a schema; blocks.
        cache: Where files of versions come from.
        models: Threads and providers of networks.
        build: Makes of a bundle what the process works with; runs in the thread, before the swap, and may raise
            ``AppError``.
        metrics: Where loads are counted.
    """

    def __init__(
        self,
        kafka: Kafka,
        codec: Codec,
        fetch_schema: Callable[[int], str],
        cache: VersionCache,
        models: Models,
        build: Callable[[Bundle], T],
        metrics: ModelMetrics,
    ) -> None:
        self._kafka = kafka
        self._codec = codec
        self._fetch_schema = fetch_schema
        self._cache = cache
        self._models = models
        self._build = build
        self._metrics = metrics
        self._current: InUse[T] | None = None
        self._wanted: ModelPublished | None = None
        self._trouble = "not started"
        self._failures, self._next_try = 0, 0.0
        self._broken_off = 0
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="active-model", daemon=True)

    @property
    def current(self) -> InUse[T] | None:
        """What is in use; None as long as nothing was published. Take it once for each piece of work."""
        return self._current

    @property
    def pending(self) -> str:
        """Why what is in use is not what was published last, as far as is known; empty where it is.

        Whoever writes what others read waits for this to be empty, else he would mix two versions. If the version
        published last never loads he waits for ever, loudly: each try counts in
        ``overture_model_load_failures_total`` and logs an ERROR, until it is mended or rolled back.
        """
        if not self._settled.is_set():
            return self._trouble or "not read yet"
        wanted, current = self._wanted, self._current
        if wanted is None or (current is not None and current.published.version == wanted.version):
            return ""
        return self._trouble or f"{wanted.version} is not loaded yet"

    def begin(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def end(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    async def start(self) -> None:
        """`begin`, as a part of a service."""
        self.begin()

    async def stop(self) -> None:
        """`end`, as a part of a service."""
        await asyncio.to_thread(self.end)

    async def probe(self) -> None:
        """Readiness: the topic was read to its end, and the version that it names, if any, was tried.

        Raises:
            UnavailableError: not yet, or the thread has ended.
        """
        if not self._thread.is_alive():
            raise UnavailableError(f"versions of the model are not followed: {self._trouble}", code="follower-stopped")
        if not self._settled.is_set():
            raise UnavailableError(f"versions of the model are being read: {self._trouble}", code="follower-behind")

    def _run(self) -> None:
        while not self._stop.is_set():
            reader = new_reader(self._kafka, f"state-model-{uuid.uuid4()}")
            try:
                self._follow(reader)
            except (KafkaException, UnavailableError) as error:
                self._trouble = str(error)
                log.warning("versions of the model wait", error=str(error))
            finally:
                reader.close()
            self._stop.wait(_delay(self._broken_off))
            self._broken_off += 1

    def _follow(self, reader: Consumer) -> None:
        """Take events as they come; load only what is the last at the end of the topic."""
        waiting = set(partitions_of(reader, TOPIC))
        reader.assign([TopicPartition(TOPIC, number, OFFSET_BEGINNING) for number in waiting])
        while not self._stop.is_set():
            for message in reader.consume(BATCH, POLL_S):
                error = message.error()
                if error is None:
                    self._take(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    waiting.discard(message.partition() or 0)
                elif error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise KafkaException(error)
                else:
                    log.warning("broker trouble", error=str(error))
            if not waiting:
                self._broken_off = 0
                self._load_wanted()

    def _take(self, message: Message) -> None:
        value = message.value()
        if message.key() != NAME.encode():
            return
        if value is None:
            self._wanted = None
            return
        try:
            try:
                published = self._codec.decode(value, ModelPublished)
            except UnknownSchemaError as unknown:
                self._codec.learn(unknown.schema_id, self._fetch_schema(unknown.schema_id))
                published = self._codec.decode(value, ModelPublished)
        except BadEventError as error:
            self._note_failure(f"event at offset {message.offset()}", error.code, error)
            return
        if self._wanted is not None and published.occurred_at < self._wanted.occurred_at:
            # sent late, or read anew from the beginning
            return
        self._wanted = published
        self._failures, self._next_try = 0, 0.0

    def _load_wanted(self) -> None:
        wanted = self._wanted
        if wanted is None or (self._current is not None and self._current.published.version == wanted.version):
            self._settled.set()
            return
        if time.monotonic() < self._next_try:
            return
        try:
            bundle = asyncio.run(self._opened(wanted.version))
            found = InUse(wanted, bundle, self._build(bundle))
        except AppError as error:
            self._try_later(wanted, error.code, error)
        # the border of this thread: whatever a version's files make the code do, the version before goes on
        except Exception as error:  # noqa: BLE001
            self._try_later(wanted, "bug", error)
        else:
            self._swap(found)
        self._settled.set()

    async def _opened(self, version: str) -> Bundle:
        folder = await self._cache.fetch(NAME, version, FILES)
        try:
            bundle = open_bundle(folder, threads=self._models.threads, providers=self._models.providers)
            _require_version(bundle, version)
        except BundleError:
            # the copy may be what is damaged
            await self._cache.forget(NAME, version)
            raise
        return bundle

    def _swap(self, found: InUse[T]) -> None:
        before, self._current = self._current, found
        self._failures, self._trouble = 0, ""
        if before is not None:
            self._metrics.in_use.labels(NAME, before.bundle.version).set(0)
        self._metrics.in_use.labels(NAME, found.bundle.version).set(1)
        self._metrics.loads.labels(NAME).inc()
        log.info("model in use", model=NAME, version=found.bundle.version, reason=found.published.reason)

    def _try_later(self, wanted: ModelPublished, code: str, error: Exception) -> None:
        self._note_failure(wanted.version, code, error)
        self._next_try = time.monotonic() + _delay(self._failures)
        self._failures += 1

    def _note_failure(self, what: str, code: str, error: Exception) -> None:
        self._trouble = f"{what}: {error}"
        self._metrics.failures.labels(NAME, code).inc()
        log.error(
            "published version cannot be used; the one before stays",
            version=what,
            in_use=self._current.bundle.version if self._current else None,
            code=code,
            error=str(error),
            exc_info=error if code == "bug" else None,
        )


def _require_version(bundle: Bundle, version: str) -> None:
    if bundle.version != version:
        raise BundleError(f"{version}: the files there are those of {bundle.version}")


def _delay(failures: int) -> float:
    return RETRY_S[min(failures, len(RETRY_S) - 1)]
