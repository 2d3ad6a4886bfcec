"""A worker that logs in over TLS and may do what its declaration says, and nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from infra.local.parts import RedisServer, Registry
from processors.runtime import access
from processors.runtime.kafka import producer_config, reader_config
from processors.runtime.publisher import KafkaPublisher
from processors.runtime.settings import Settings
from schemas import topics
from schemas.errors import AppError
from tests.loading import load

HERE = Path(__file__).parent
pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
PASSWORD = "only for this test"  # noqa: S105


@pytest.fixture(scope="module")
def guarded_broker(tmp_path_factory: pytest.TempPathFactory, streams_settings: Settings) -> Iterator[Any]:
    """After ``streams_settings``, which registers the schemas."""
    with load(HERE / "guarded_broker.py").GuardedBroker(tmp_path_factory.mktemp("guarded")) as part:
        yield part


def settings_of(broker: Any, registry: Registry, redis: RedisServer, data: Any, user: str) -> Settings:
    login = {
        "bootstrap": broker.guarded,
        "security_protocol": "SASL_SSL",
        "username": user,
        "password": PASSWORD,
        "ca_file": broker.ca_file,
    }
    kafka = {"bootstrap": broker.bootstrap} if not user else login
    return Settings.model_validate(
        {
            "data_dir": data,
            "kafka": kafka | {"session_timeout_s": 6, "heartbeat_s": 1, "commit_interval_s": 0.3},
            "registry": {"url": registry.url},
            "redis": {"url": redis.url},
        }
    )


@pytest.mark.parametrize("name", ["single", "stateful"])
def test_a_worker_works_with_the_rules_of_its_declaration(
    name: str, guarded_broker: Any, registry_server: Registry, redis_server: RedisServer, tmp_path: Any
) -> None:
    tally, harness = load(HERE / "tally.py"), load(HERE / "harness.py")
    admin = settings_of(guarded_broker, registry_server, redis_server, tmp_path, "")
    capability = tally.declared(name, f"{name}_guarded")
    user = access.user_of(capability)
    guarded_broker.set_password(user, PASSWORD)
    h = harness.Harness(admin, capability, name, tmp_path)
    h.worker_settings = settings_of(guarded_broker, registry_server, redis_server, tmp_path, user)
    try:
        assert access.apply(admin.kafka, access.rules_of(capability)) == len(access.rules_of(capability))
        ids = h.send(["ok"] * 20 + ["raise"])
        h.start_worker()
        h.wait_for(lambda: len(h.dead_letters()) == 1, "the dead letter of the bad event")
        done = {r.code for s in h.statuses().values() for r in s.reasons} if name == "stateful" else set(h.answers())
        assert done == set(ids[:-1])
        assert h.stop_workers() == [0]
    finally:
        h.close()


def test_what_the_declaration_does_not_say_is_refused(
    guarded_broker: Any, registry_server: Registry, redis_server: RedisServer, tmp_path: Any
) -> None:
    capability = load(HERE / "tally.py").declared("single", "refused")
    user = access.user_of(capability)
    guarded_broker.set_password(user, PASSWORD)
    admin = settings_of(guarded_broker, registry_server, redis_server, tmp_path, "")
    load(HERE / "harness.py").Harness(admin, capability, "single", tmp_path).close()
    access.apply(admin.kafka, access.rules_of(capability))
    kafka = settings_of(guarded_broker, registry_server, redis_server, tmp_path, user).kafka

    async def write(topic: topics.Topic) -> None:
        publisher = KafkaPublisher(kafka, None)
        try:
            await publisher.send(topic.name, b"k", b"v")
        finally:
            publisher.close()

    asyncio.run(write(topics.MEDIA_REJECTED))
    with pytest.raises(AppError, match=r"(?i)authorization failed"):
        asyncio.run(write(topics.MEDIA_WITHDRAWN))
    reader = Consumer(reader_config(kafka, "somebody-else"))
    reader.subscribe([topics.MEDIA_WITHDRAWN.name])
    message = None
    while message is None:
        message = reader.poll(1)
    assert message.error().code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    reader.close()


def test_a_wrong_password_is_refused(
    guarded_broker: Any, registry_server: Registry, redis_server: RedisServer, tmp_path: Any
) -> None:
    kafka = settings_of(guarded_broker, registry_server, redis_server, tmp_path, "nobody").kafka
    producer = Producer(producer_config(kafka) | {"error_cb": (told := []).append})
    while not told:
        producer.poll(1)
    assert {e.code() for e in told} <= {KafkaError._AUTHENTICATION, KafkaError._ALL_BROKERS_DOWN}
