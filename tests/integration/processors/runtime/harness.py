"""Feeds a worker process through a real broker and counts what comes out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import stamina
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from redis import Redis

from processors.runtime import topics_admin
from processors.runtime.kafka import client_config, producer_config, reader_config
from processors.runtime.processor import Capability
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from schemas import topics
from schemas.codec import Codec
from schemas.media import MediaRejected, MediaStatus, MediaWithdrawn

HERE = Path(__file__).parent
WAIT_S = 60.0


def environment(settings: Settings) -> dict[str, str]:
    """What a child process needs to have the same settings."""
    kafka = {name: value for name, value in settings.kafka if value not in (None, "")}
    login = kafka.pop("password", None)
    return (
        os.environ
        | {f"OVERTURE_KAFKA__{name.upper()}": str(value) for name, value in kafka.items()}
        | ({"OVERTURE_KAFKA__PASSWORD": login.get_secret_value()} if login else {})
        | {
            "OVERTURE_DATA_DIR": str(settings.data_dir),
            "OVERTURE_REGISTRY__URL": settings.registry.url,
            "OVERTURE_REDIS__URL": settings.redis.url.get_secret_value(),
        }
    )


class TopicLog:
    """Reads a topic on from where it stopped, so that asking often costs little."""

    def __init__(self, settings: Settings, topic: str, partitions: int) -> None:
        self._reader = Consumer(reader_config(settings.kafka, f"test-{uuid.uuid4()}"))
        self._places = [TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)]
        self._next: dict[int, int] = {}
        self._found: list[Message] = []
        self._reader.assign(self._places)

    def read(self) -> list[Message]:
        deadline = time.monotonic() + 10
        ends = {}
        for place in self._places:
            low, high = self._watermarks(place)
            ends[place.partition] = high
            self._next[place.partition] = max(low, self._next.get(place.partition, 0))
        while any(self._next[p] < end for p, end in ends.items()) and time.monotonic() < deadline:
            for message in self._reader.consume(1000, timeout=0.1):
                if message.error() is None:
                    self._found.append(message)
                    self._next[message.partition()] = message.offset() + 1
        return self._found

    def close(self) -> None:
        self._reader.close()

    @stamina.retry(on=KafkaException, timeout=20)
    def _watermarks(self, place: TopicPartition) -> tuple[int, int]:
        """Patient with a broker that was just started."""
        low, high = self._reader.get_watermark_offsets(place, timeout=10)
        return low, high


@dataclass
class Harness:
    """One capability of ``tally.py`` under a group of its own.

    Attributes:
        settings: Where the real parts are.
        name: Capability of ``tally.py``.
        group: Its name in this test.
        log: Folder of the workers' logs.
        worker_settings: What the workers get, if it differs from the test's own settings.
    """

    settings: Settings
    capability: Capability
    name: str
    log: Path
    worker_settings: Settings | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    logs: dict[str, TopicLog] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.registry = SchemaRegistry(self.settings.registry.url)
        self.codec: Codec = self.registry.codec(topics.ALL)
        self.producer = Producer(producer_config(self.settings.kafka))
        self.admin = AdminClient(client_config(self.settings.kafka))
        topics_admin.apply(self.settings.kafka, self.registry, [self.capability])
        self.empty(topics.MEDIA_WITHDRAWN.name)
        self.empty(topics.MEDIA_REJECTED.name)

    def empty(self, topic: str) -> None:
        """Drop the records that other tests left."""
        ends = {p: self._watermarks(topic, p)[1] for p in range(self.partitions(topic))}
        places = [TopicPartition(topic, p, end) for p, end in ends.items() if end]
        for future in self.admin.delete_records(places).values() if places else ():
            future.result()

    def partitions(self, topic: str) -> int:
        return len(self.admin.list_topics(topic, timeout=10).topics[topic].partitions)

    def start_worker(self) -> subprocess.Popen[bytes]:
        with (self.log / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, str(HERE / "tally.py"), self.name, self.capability.name],
                env=environment(self.worker_settings or self.settings),
                stdout=log,
                stderr=log,
                cwd=HERE.parents[3],
            )
        self.workers.append(worker)
        return worker

    def stop_workers(self, number: signal.Signals = signal.SIGTERM) -> list[int]:
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(number)
        codes = [worker.wait(60) for worker in self.workers]
        self.workers.clear()
        return codes

    def send(self, orders: Iterable[str], keys: int = 50, headers: Sequence[tuple[str, bytes]] = ()) -> list[str]:
        """Publish one event for each order; their event ids. Event i has media id ``<group>/<i mod keys>``."""
        ids = []
        for index, order in enumerate(orders):
            event = MediaWithdrawn(
                event_id=str(uuid.uuid4()),
                occurred_at=datetime.now(UTC),
                media_id=f"{self.capability.name}/{index % keys}",
                requested_by=order,
            )
            ids.append(event.event_id)
            self.send_bytes(event.media_id.encode(), self.codec.encode(event), headers)
        assert self.producer.flush(20) == 0
        return ids

    def send_bytes(self, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        self.producer.produce(topics.MEDIA_WITHDRAWN.name, key=key, value=value, headers=list(headers))
        self.producer.poll(0)

    def answers(self) -> list[str]:
        """Event ids answered so far, repeats included."""
        return [self.codec.decode(m.value(), MediaRejected).event_id for m in self.read(topics.MEDIA_REJECTED.name)]

    def statuses(self) -> dict[str, MediaStatus]:
        """Newest status of each of this test's media ids (a compacted topic cannot be emptied)."""
        mine = f"{self.capability.name}/".encode()
        found = [m for m in self.read(topics.MEDIA_STATUS.name) if (m.key() or b"").startswith(mine)]
        return {m.key().decode(): self.codec.decode(m.value(), MediaStatus) for m in found}

    def dead_letters(self) -> list[Message]:
        return self.read(self.capability.dead_letter_topic)

    def dead_ids(self) -> list[str]:
        return [self.codec.decode(m.value(), MediaWithdrawn).event_id for m in self.dead_letters()]

    def read(self, topic: str) -> list[Message]:
        """All records of a topic since the start of the test."""
        log = self.logs.get(topic)
        if log is None:
            log = self.logs[topic] = TopicLog(self.settings, topic, self.partitions(topic))
        return log.read()

    def wait_for(self, condition: Callable[[], bool], what: str, limit_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen; {self.log_tails()}"
            broken = [w.returncode for w in self.workers if w.poll() not in (None, 0, -signal.SIGKILL)]
            assert not broken, f"workers ended with {broken}; {self.log_tails()}"
            time.sleep(0.25)

    def wait_answered(self, ids: Iterable[str], limit_s: float = WAIT_S) -> None:
        wanted = set(ids)
        self.wait_for(lambda: wanted <= set(self.answers()), f"{len(wanted)} answers", limit_s)

    def open_starts(self) -> list[bytes]:
        """Keys of starts counted in Redis and not ended."""
        with Redis.from_url(self.settings.redis.url.get_secret_value()) as redis:
            return list(redis.scan_iter(f"attempts:{self.capability.group}:*"))

    def log_tails(self) -> str:
        return "\n".join(p.read_text()[-2500:] for p in sorted(self.log.glob("*.log")))

    def committed(self) -> dict[int, int]:
        """Committed offset by partition of the topic consumed."""
        reader = Consumer(reader_config(self.settings.kafka, self.capability.group))
        try:
            places = [
                TopicPartition(topics.MEDIA_WITHDRAWN.name, p)
                for p in range(self.partitions(topics.MEDIA_WITHDRAWN.name))
            ]
            return {p.partition: p.offset for p in reader.committed(places, timeout=10)}
        finally:
            reader.close()

    @stamina.retry(on=KafkaException, timeout=20)
    def _watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        """Patient with partitions that were just made."""
        reader = Consumer(reader_config(self.settings.kafka, "watermarks"))
        try:
            low, high = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            return low, high
        finally:
            reader.close()

    def close(self) -> None:
        """End the workers and every connection."""
        self.stop_workers(signal.SIGKILL)
        for log in self.logs.values():
            log.close()
        self.registry.close()
