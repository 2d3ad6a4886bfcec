"""Broker, registry and Redis of one benchmark, and the candidates' processes on them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from redis import Redis

from features.apply import apply_views
from features.feature_reader import RedisFeatureReader
from features.redis_client import connect
from infra.local.parts import Broker, RedisServer, Registry
from processors.play_aggregation import play_aggregation
from processors.runtime import topics_admin
from processors.runtime.kafka import client_config, reader_config
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from schemas import topics
from schemas.codec import Codec
from tests.bench.plays.load import Load, send

REPOSITORY = Path(__file__).parents[3]
PEERS = REPOSITORY / ".overture" / "bench" / "bin" / "python"
LIMIT_S = 300.0
READ = (topics.SONG_PLAYED, topics.SONG_COUNTED)
Counts = dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Place:
    """Where the candidates work.

    Attributes:
        settings: Addresses of the parts.
        codec: Writes the plays.
        logs: Folder of the processes' error output.
    """

    settings: Settings
    codec: Codec
    logs: Path

    @property
    def bootstrap(self) -> str:
        return self.settings.kafka.bootstrap

    def environment(self) -> dict[str, str]:
        settings = self.settings
        return os.environ | {
            "PYTHONPATH": str(REPOSITORY),
            "OVERTURE_DATA_DIR": str(settings.data_dir),
            "OVERTURE_KAFKA__BOOTSTRAP": self.bootstrap,
            "OVERTURE_REGISTRY__URL": settings.registry.url,
            "OVERTURE_REDIS__URL": settings.redis.url.get_secret_value(),
            "OVERTURE_WORKER__LOG_LEVEL": "error",
        }

    def start(self, module: str, *arguments: object, peer: bool = False) -> subprocess.Popen[str]:
        """A candidate's process: ours in this environment, a peer's in its own."""
        python = str(PEERS) if peer else sys.executable
        with (self.logs / f"{module}.log").open("ab") as log:
            return subprocess.Popen(
                [python, "-m", f"tests.bench.plays.{module}", *map(str, arguments)],
                env=self.environment(),
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def run(self, module: str, *arguments: object, peer: bool = False) -> dict[str, Any]:
        """What a candidate's clock says at its end.

        Raises:
            RuntimeError: it ended without a word.
        """
        process = self.start(module, *arguments, peer=peer)
        try:
            said, _ = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
            process.wait()
        line = next((line for line in said.splitlines() if line.startswith("{")), None)
        if line is None:
            said = (self.logs / f"{module}.log").read_text()[-2000:]
            raise RuntimeError(f"{module} {arguments} ended with {process.returncode}: {said}")
        found: dict[str, Any] = json.loads(line)
        return found

    def together(self, workers: int, plays: int) -> float:
        """Events a second of so many stateless workers in one group, from the moment all have joined.

        Each holds its first batch until the gate is there.
        """
        name, gate = f"bench-{uuid.uuid4()}", self.logs / f"gate-{uuid.uuid4()}"
        running = [self.start("ours", "tally", plays, name, gate) for _ in range(workers)]
        try:
            self._wait_joined(name, workers)
            started = time.monotonic()
            gate.touch()
            ends = sum(self.ends(topics.SONG_PLAYED.name))
            while sum(map(_read, gate.parent.glob(f"{gate.name}.*"))) < ends:
                if time.monotonic() - started > LIMIT_S or any(w.poll() for w in running):
                    raise RuntimeError(f"the workers did not get to the end: see {self.logs}")
                time.sleep(0.02)
            return ends / (time.monotonic() - started)
        finally:
            for worker in running:
                worker.kill()
                worker.wait()

    def _wait_joined(self, name: str, workers: int) -> None:
        admin = AdminClient(client_config(self.settings.kafka))
        deadline = time.monotonic() + LIMIT_S
        while True:
            group = admin.describe_consumer_groups([name])[name].result()
            if group.state == ConsumerGroupState.STABLE and len(group.members) == workers:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(group.members)} of {workers} workers joined: see {self.logs}")
            time.sleep(0.2)

    def fill(self, load: Load, partitions: int) -> int:
        """Make the plays' topic anew with so many partitions and fill it; mean size of a value, bytes."""
        self._renew(topics.SONG_PLAYED.name, partitions)
        return send(load, self.settings.kafka, self.codec)

    def _renew(self, name: str, partitions: int) -> None:
        """Delete a topic and make it again; records of a compacted one cannot be deleted otherwise."""
        kafka = self.settings.kafka
        admin = AdminClient(client_config(kafka))
        for future in admin.delete_topics([name]).values():
            future.result()
        config = next(w.config for w in topics_admin.wanted((), kafka.min_insync) if w.name == name)
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                admin.create_topics([NewTopic(name, partitions, kafka.replication, config=config)])[name].result()
            except KafkaException as error:
                # the broker deletes in the background
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def clear(self) -> None:
        """Forget what play_aggregation has counted: group, state, parts and features."""
        admin = AdminClient(client_config(self.settings.kafka))
        for future in admin.delete_consumer_groups([play_aggregation.group]).values():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                    raise
        for topic in (topics.SONG_COUNTED, topics.PLAY_AGGREGATED):
            self._renew(topic.name, topic.partitions)
        with Redis.from_url(self.settings.redis.url.get_secret_value()) as redis:
            redis.flushdb()

    def ends(self, topic: str) -> list[int]:
        """End offset of each partition."""
        reader = Consumer(reader_config(self.settings.kafka, "bench-ends"))
        try:
            count = len(reader.list_topics(topic, timeout=20).topics[topic].partitions)
            return [reader.get_watermark_offsets(TopicPartition(topic, p), timeout=20)[1] for p in range(count)]
        finally:
            reader.close()

    def rewind(self) -> None:
        """Let play_aggregation read everything from the start again."""
        admin = AdminClient(client_config(self.settings.kafka))
        places = [TopicPartition(t.name, p, 0) for t in READ for p in range(len(self.ends(t.name)))]
        group = ConsumerGroupTopicPartitions(play_aggregation.group, places)
        for future in admin.alter_consumer_group_offsets([group]).values():
            future.result()

    def settled(self) -> bool:
        """Whether play_aggregation has committed everything that it reads."""
        reader = Consumer(reader_config(self.settings.kafka, play_aggregation.group))
        try:
            for topic in READ:
                ends = self.ends(topic.name)
                asked = [TopicPartition(topic.name, p) for p in range(len(ends))]
                done = reader.committed(asked, timeout=20)
                if any(p.offset < end for p, end in zip(done, ends, strict=True) if end):
                    return False
            return True
        finally:
            reader.close()

    def work_through(self, *, kill: bool = False) -> None:
        """Run play_aggregation until everything is committed; if asked, kill -9 once the first state is written."""
        deadline = time.monotonic() + LIMIT_S
        worker = self.start("ours", "play_aggregation", 0)
        try:
            if kill:
                while not sum(self.ends(topics.PLAY_AGGREGATED.name)):
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"play_aggregation wrote no state: see {self.logs}")
                    time.sleep(0.05)
                worker.kill()
                worker.wait()
                worker = self.start("ours", "play_aggregation", 0)
            while not self.settled():
                if time.monotonic() > deadline or worker.poll() is not None:
                    raise RuntimeError(f"play_aggregation did not get to the end: see {self.logs}")
                time.sleep(0.5)
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)
        finally:
            worker.kill()
            worker.wait()

    def found(self, keys: list[str]) -> Counts:
        """Plays, completions and milliseconds by user and song as Feast serves them."""

        async def read() -> Counts:
            client = connect(Wiring(self.settings).redis_config)
            try:
                reader = RedisFeatureReader(client, self.settings.feast.project)
                rows = [
                    row
                    for view, prefix in (("user_taste_v1", "user-"), ("item_plays_v1", "song-"))
                    for row in await reader.read(view, [key for key in keys if key.startswith(prefix)])
                ]
            finally:
                await client.aclose()
            return {
                row.entity_id: (
                    row.values["plays"],
                    round(row.values["completion_rate"] * row.values["plays"]),
                    row.values["played_ms"],
                )
                for row in rows
                if row is not None
            }

        return asyncio.run(read())


def _read(count: Path) -> int:
    return int(count.read_text() or "0")


@contextmanager
def opened(folder: Path) -> Iterator[Place]:
    """Parts on free ports below ``folder``, with topics, schemas and views."""
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker", heap_mib=1024))
        registry = stack.enter_context(Registry(folder / "registry", broker.bootstrap))
        redis = stack.enter_context(RedisServer(folder / "redis"))
        settings = Settings.model_validate(
            {
                "data_dir": folder / "data",
                "kafka": {"bootstrap": broker.bootstrap},
                "registry": {"url": registry.url},
                "redis": {"url": redis.url},
            }
        )
        wiring = Wiring(settings)
        stack.callback(wiring.close)
        topics_admin.apply(settings.kafka, wiring.registry, [play_aggregation])
        apply_views(wiring.feast_config)
        logs = folder / "logs"
        logs.mkdir()
        yield Place(settings, wiring.codec, logs)
