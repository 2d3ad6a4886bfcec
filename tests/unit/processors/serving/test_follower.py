"""The follower against a consumer in memory."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processors.serving import follower as module
from processors.serving.decoding import Decoder
from processors.serving.follower import Follower
from processors.serving.metrics import ServiceMetrics
from schemas import contracts
from schemas.codec import Codec
from schemas.errors import BadEventError, UnavailableError
from schemas.media import MediaStatus
from tests.fakes.serving import media_status, no_registry, numbered_codec

TOPIC = "topic.v1"


@dataclass
class Message:
    place: int
    offset_: int
    key_: bytes | None = b"k"
    value_: bytes | None = b"v"
    error_: KafkaError | None = None

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self.place

    def offset(self) -> int:
        return self.offset_

    def key(self) -> bytes | None:
        return self.key_

    def value(self) -> bytes | None:
        return self.value_

    def error(self) -> KafkaError | None:
        return self.error_


@dataclass
class Log:
    """A broker: what each new consumer will be given, and the end offsets it sees."""

    ends: dict[int, int]
    given: deque = field(default_factory=deque)
    trouble: deque = field(default_factory=deque)
    consumers: int = 0
    closed: int = 0
    assigned: list = field(default_factory=list)
    reached: dict[int, int] = field(default_factory=dict)
    asked: set[tuple[int, bool]] = field(default_factory=set)

    def consumer(self) -> Log:
        self.consumers += 1
        return self

    def list_topics(self, topic: str, timeout: float) -> SimpleNamespace:
        if self.trouble:
            raise KafkaException(self.trouble.popleft())
        found = SimpleNamespace(error=None, partitions=dict.fromkeys(self.ends))
        return SimpleNamespace(topics={topic: found})

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float = 0, cached: bool = False):
        return 0, self.ends[partition.partition]

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def assignment(self) -> list[TopicPartition]:
        return self.assigned

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(p.topic, p.partition, self.reached.get(p.partition, 0)) for p in partitions]

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        self.asked.add((num_messages, timeout > 0))
        if not self.given:
            threading.Event().wait(0.005)
            return []
        batch = self.given.popleft()
        if isinstance(batch, KafkaException):
            raise batch
        for message in batch:
            self.reached[message.place] = message.offset_ + 1
        return batch

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_S", (0.01,))


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def follow(log: Log, apply) -> tuple[Follower, ServiceMetrics]:
    metrics = ServiceMetrics()
    return Follower("view", [TOPIC], apply, metrics, log.consumer), metrics


async def test_applies_in_order_and_knows_when_it_has_caught_up() -> None:
    seen: list = []
    log = Log({0: 2, 1: 1, 2: 0})
    follower, metrics = follow(log, lambda *record: seen.append(record))
    with pytest.raises(UnavailableError, match="does not run"):
        await follower.probe()
    await follower.start()
    log.given.append([Message(0, 0), Message(0, 1, b"k2", None)])
    await until(lambda: len(seen) == 2)
    with pytest.raises(UnavailableError, match="catching up"):
        await follower.probe()
    log.given.append([Message(1, 0, None)])
    await until(lambda: follower.caught_up)
    await follower.probe()
    assert seen == [(TOPIC, "k", b"v"), (TOPIC, "k2", None), (TOPIC, "", b"v")]
    assert b'overture_follower_lag_records{follower="view"} 0.0' in metrics.exposition()
    assert b'overture_follower_caught_up{follower="view"} 1.0' in metrics.exposition()
    await follower.stop()
    assert (log.consumers, log.closed) == (1, 1)
    with pytest.raises(UnavailableError):
        await follower.probe()


async def test_the_end_of_a_compacted_partition_counts_without_a_record_there() -> None:
    log = Log({0: 50})
    follower, _ = follow(log, lambda *_: None)
    await follower.start()
    eof = Message(0, 50, error_=KafkaError(KafkaError._PARTITION_EOF))
    log.given.append([Message(0, 3), eof])
    await until(lambda: follower.caught_up)
    await follower.stop()


async def test_lag_is_exposed() -> None:
    log = Log({0: 10})
    follower, metrics = follow(log, lambda *_: None)
    await follower.start()
    log.given.append([Message(0, 3)])
    await until(lambda: b'overture_follower_lag_records{follower="view"} 6.0' in metrics.exposition())
    assert not follower.caught_up
    await follower.stop()


async def test_bad_records_are_counted_and_their_neighbours_kept() -> None:
    seen: list = []

    def apply(_topic: str, key: str, _value: bytes | None) -> None:
        if key == "bad":
            raise BadEventError("no", code="value-magic")
        if key == "bug":
            raise ZeroDivisionError
        seen.append(key)

    log = Log({0: 5})
    follower, metrics = follow(log, apply)
    await follower.start()
    log.given.append([Message(0, n, k) for n, k in enumerate((b"a", b"bad", b"bug", b"\xff", b"b"))])
    await until(lambda: follower.caught_up)
    await follower.stop()
    assert seen == ["a", "b"]
    text = metrics.exposition()
    for code in (b"value-magic", b"bug", b"key-undecodable"):
        assert b'overture_follower_skipped_total{code="%b",follower="view"} 1.0' % code in text


async def test_an_absent_registry_is_waited_for_without_losing_the_record() -> None:
    seen: list = []
    tries = iter(range(3))

    def apply(_topic: str, key: str, _value: bytes | None) -> None:
        if next(tries, None) is not None:
            raise UnavailableError("registry away")
        seen.append(key)

    log = Log({0: 1})
    follower, _ = follow(log, apply)
    await follower.start()
    log.given.append([Message(0, 0)])
    await until(lambda: follower.caught_up)
    assert seen == ["k"]
    await follower.stop()


async def test_broker_trouble_is_survived() -> None:
    seen: list = []
    log = Log({0: 2})
    log.trouble.extend(KafkaError(KafkaError._TRANSPORT) for _ in range(2))
    follower, _ = follow(log, lambda _t, k, _v: seen.append(k))
    await follower.start()
    away = Message(0, 0, error_=KafkaError(KafkaError._ALL_BROKERS_DOWN))
    log.given.append([away, Message(0, 0, b"a")])
    await until(lambda: seen == ["a"])
    log.given.append(KafkaException(KafkaError(KafkaError._FATAL)))
    await until(lambda: log.consumers == 4)
    log.given.append([Message(0, 0, b"a"), Message(0, 1, b"b")])
    await until(lambda: follower.caught_up)
    assert seen == ["a", "a", "b"]
    await follower.stop()
    assert log.consumers == log.closed


async def test_stop_does_not_wait_for_an_absent_registry() -> None:
    def apply(*_record: object) -> None:
        raise UnavailableError("registry away")

    log = Log({0: 1})
    follower, _ = follow(log, apply)
    await follower.start()
    log.given.append([Message(0, 0)])
    await until(lambda: "registry away" in follower._trouble)
    await follower.stop()
    assert not follower._thread.is_alive()
    assert not follower.caught_up


async def test_a_record_does_not_wait_for_others_to_fill_its_batch() -> None:
    """The client waits all the time it is given until it has as many as it was asked for."""
    log = Log({0: 1})
    follower, _ = follow(log, lambda *_: None)
    await follower.start()
    log.given.append([Message(0, 0)])
    await until(lambda: follower.caught_up)
    await follower.stop()
    assert {number for number, waits in log.asked if waits} == {1}
    assert any(number > 1 for number, waits in log.asked if not waits)


def test_a_schema_is_asked_for_once() -> None:
    asked: list[int] = []

    def learn(schema_id: int) -> str:
        asked.append(schema_id)
        return contracts.canonical_json(MediaStatus.CONTRACT)

    status = media_status("m")
    value = numbered_codec().encode(status)
    decoder = Decoder(Codec(), learn)
    assert decoder.decode(value, MediaStatus) == decoder.decode(value, MediaStatus) == status
    assert len(asked) == 1
    with pytest.raises(UnavailableError):
        Decoder(Codec(), no_registry).decode(value, MediaStatus)
