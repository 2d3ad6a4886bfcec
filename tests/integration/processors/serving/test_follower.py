"""A follower on a real broker: all of a topic, through a broker that dies, with a record that does not decode."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from infra.local.parts import Broker
from processors.runtime.kafka import client_config, producer_config
from processors.runtime.settings import Settings
from processors.serving.follower import Follower, kafka_consumer
from processors.serving.metrics import ServiceMetrics
from schemas.errors import BadEventError, UnavailableError

pytestmark = [pytest.mark.real, pytest.mark.timeout(180), pytest.mark.expects_errors]


def wait(what: str, condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


async def test_sees_everything_whatever_happens_to_the_broker(streams_settings: Settings, broker: Broker) -> None:
    kafka, topic = streams_settings.kafka, f"follower-{uuid.uuid4().hex[:8]}"
    seen: dict[str, bytes | None] = {}

    def apply(_topic: str, key: str, value: bytes | None) -> None:
        if value == b"broken":
            raise BadEventError("told to be broken")
        seen[key] = value

    metrics = ServiceMetrics()
    follower = Follower("test", [topic], apply, metrics, kafka_consumer(kafka, "test"))
    await follower.start()
    with pytest.raises(UnavailableError):
        await follower.probe()

    admin = AdminClient(client_config(kafka))
    for future in admin.create_topics([NewTopic(topic, 4, 1)]).values():
        future.result()
    del admin
    producer = Producer(producer_config(kafka) | {"delivery.timeout.ms": 60_000})
    for number in range(2000):
        producer.produce(topic, key=f"k{number}", value=b"broken" if number == 77 else b"first")
    producer.produce(topic, key="k5", value=None)
    assert producer.flush(30) == 0
    wait("catching up", lambda: follower.caught_up and len(seen) == 1999)
    await follower.probe()
    assert seen["k5"] is None
    assert "k77" not in seen
    assert b'overture_follower_skipped_total{code="bad-event",follower="test"} 1.0' in metrics.exposition()

    broker.kill()
    broker.start()
    broker.wait_ready()
    for number in range(2000):
        producer.produce(topic, key=f"k{number}", value=b"second")
    assert producer.flush(60) == 0
    wait("the records after the restart", lambda: sum(v == b"second" for v in seen.values()) == 2000)
    await follower.stop()
