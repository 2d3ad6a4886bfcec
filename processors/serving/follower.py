"""Follows compacted topics from their beginning, in a thread, without a consumer group's commits.

Every process reads everything: the result is a materialised view, so there is nothing to commit and nothing
to share. Decoding errors are counted and skipped, since a view must not stop at one broken record; an absent
broker or registry is waited for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from processors.runtime.kafka import reader_config
from processors.runtime.settings import Kafka
from processors.serving.metrics import ServiceMetrics
from schemas.errors import BadEventError, UnavailableError

Apply = Callable[[str, str, bytes | None], None]
"""Topic, key, value (None: tombstone); called in the follower's thread, in order within a partition."""

BATCH = 500
POLL_S = 0.2
METADATA_S = 5.0
BACKOFF_S = (0.2, 0.5, 1.0, 2.0)
STOP_S = 5.0

log = structlog.get_logger(__name__)


class LogConsumer(Protocol):
    """The part of confluent-kafka's ``Consumer`` that is used."""

    def list_topics(self, topic: str, timeout: float) -> Any: ...

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float = ..., cached: bool = ...
    ) -> tuple[int, int] | None: ...

    def assign(self, partitions: list[TopicPartition]) -> None: ...

    def assignment(self) -> list[TopicPartition]: ...

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]: ...

    def consume(self, num_messages: int, timeout: float) -> list[Any]: ...

    def close(self) -> None: ...


class Follower:
    """One thread that applies every record of some topics to a view.

    Args:
        name: Label in metrics and logs, for example ``catalogue``.
        topics: Topics to follow.
        apply: Takes each record. ``BadEventError``: skipped; ``UnavailableError``: tried again until it works.
        metrics: Where lag and skipped records are counted.
        consumer: Makes the consumer; see ``kafka_consumer``.
    """

    def __init__(
        self,
        name: str,
        topics: Sequence[str],
        apply: Apply,
        metrics: ServiceMetrics,
        consumer: Callable[[], LogConsumer],
    ) -> None:
        self.name = name
        self._topics = tuple(topics)
        self._apply = apply
        self._metrics = metrics
        self._make_consumer = consumer
        self._stop = threading.Event()
        self._caught_up = threading.Event()
        self._behind: dict[tuple[str, int], int] = {}
        self._trouble = "not started"
        self._thread = threading.Thread(target=self._run, name=f"follower-{name}", daemon=True)
        metrics.follower_caught_up.labels(name).set(0)

    @property
    def caught_up(self) -> bool:
        """Whether everything that lay in the topics at the start has been applied."""
        return self._caught_up.is_set()

    async def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    async def stop(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, STOP_S)

    async def probe(self) -> None:
        """Readiness.

        Raises:
            UnavailableError: the view is not complete, or its thread has ended.
        """
        if not self._thread.is_alive():
            raise UnavailableError(f"follower {self.name} does not run: {self._trouble}", code="follower-stopped")
        if not self.caught_up:
            raise UnavailableError(f"follower {self.name} is catching up: {self._trouble}", code="follower-behind")

    def _run(self) -> None:
        tries = 0
        while not self._stop.is_set():
            consumer = self._make_consumer()
            try:
                self._follow(consumer)
            except (KafkaException, UnavailableError) as error:
                self._trouble = str(error)
                log.warning("follower waits", follower=self.name, error=str(error))
            finally:
                consumer.close()
            self._stop.wait(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
            tries += 1

    def _follow(self, consumer: LogConsumer) -> None:
        self._assign(consumer)
        self._settle_progress(consumer)
        while not self._stop.is_set():
            # asked for more than one at once, it would wait all that time for the batch to fill
            first = consumer.consume(1, POLL_S)
            rest = consumer.consume(BATCH, 0.0) if first else []
            for message in (*first, *rest):
                if self._stop.is_set():
                    return
                self._take(message)
            self._settle_progress(consumer)

    def _assign(self, consumer: LogConsumer) -> None:
        """Find the partitions and what lies in them now; read all of it again, views ignore what they know."""
        partitions: list[TopicPartition] = []
        behind: dict[tuple[str, int], int] = {}
        for topic in self._topics:
            found = consumer.list_topics(topic, timeout=METADATA_S).topics[topic]
            if found.error is not None or not found.partitions:
                raise UnavailableError(f"topic {topic}: {found.error or 'no partitions'}", code="topic-missing")
            for number in found.partitions:
                offsets = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=METADATA_S)
                if offsets is None:
                    raise UnavailableError(f"{topic}/{number}: the broker does not answer", code="broker-unavailable")
                partitions.append(TopicPartition(topic, number, OFFSET_BEGINNING))
                if offsets[1] > offsets[0]:
                    behind[topic, number] = offsets[1]
        self._behind = behind
        consumer.assign(partitions)
        self._trouble = f"{len(behind)} partitions to read"

    def _take(self, message: Any) -> None:
        error = message.error()
        if error is not None:
            self._take_error(message, error)
            return
        key = message.key()
        try:
            self._apply_patiently(message.topic(), key.decode() if key else "", message.value())
        except (BadEventError, UnicodeDecodeError) as bad:
            self._skip(message, bad, bad.code if isinstance(bad, BadEventError) else "key-undecodable")
        except UnavailableError:
            raise  # only when the service stops: the record was not applied
        # The border of this thread: a bug in one record's handling must not end the view for all others.
        except Exception as bug:  # noqa: BLE001
            self._skip(message, bug, "bug")
        self._metrics.follower_records.labels(self.name).inc()
        self._reached(message, message.offset() + 1)

    def _take_error(self, message: Any, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self._reached(message, message.offset())
        elif error.fatal() or error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):
            raise KafkaException(error)
        else:
            log.warning("broker trouble", follower=self.name, error=str(error))

    def _apply_patiently(self, topic: str, key: str, value: bytes | None) -> None:
        tries = 0
        while True:
            try:
                self._apply(topic, key, value)
            except UnavailableError as error:
                self._trouble = str(error)
                if self._stop.wait(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]):
                    raise
                tries += 1
            else:
                return

    def _skip(self, message: Any, error: Exception, code: str) -> None:
        self._metrics.follower_skipped.labels(self.name, code).inc()
        log.error(
            "record skipped",
            follower=self.name,
            code=code,
            topic=message.topic(),
            partition=message.partition(),
            offset=message.offset(),
            error=str(error),
            exc_info=error if code == "bug" else None,
        )

    def _reached(self, message: Any, position: int) -> None:
        place = message.topic(), message.partition()
        if position >= self._behind.get(place, position + 1):
            del self._behind[place]

    def _settle_progress(self, consumer: LogConsumer) -> None:
        self._metrics.follower_lag.labels(self.name).set(self._lag(consumer))
        if not self._behind and not self.caught_up:
            self._trouble = ""
            self._metrics.follower_caught_up.labels(self.name).set(1)
            self._caught_up.set()
            log.info("follower caught up", follower=self.name)

    def _lag(self, consumer: LogConsumer) -> int:
        lag = 0
        for place in consumer.position(consumer.assignment()):
            offsets = consumer.get_watermark_offsets(place, cached=True)
            if offsets is not None and place.offset >= 0 and offsets[1] >= 0:
                lag += max(0, offsets[1] - place.offset)
        return lag


def kafka_consumer(kafka: Kafka, name: str) -> Callable[[], LogConsumer]:
    """Maker of real consumers for ``Follower``; the group's name is required by the client and never used."""
    config = reader_config(kafka, f"overture-follower-{name}") | {"enable.partition.eof": True}
    return lambda: Consumer(config)
