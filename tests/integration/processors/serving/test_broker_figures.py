"""The broker's figures, asked of a real broker."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra.local.parts import Broker
from infra.local.ports import free_port
from processors.runtime.kafka import client_config, producer_config
from processors.runtime.settings import Kafka, Settings
from processors.serving.operations.kafka_reader import KafkaReader
from schemas.errors import UnavailableError

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


async def test_what_lies_there_who_reads_it_and_how_far(streams_settings: Settings) -> None:
    kafka, name = streams_settings.kafka, f"figures-{uuid.uuid4().hex[:8]}"
    admin = AdminClient(client_config(kafka))
    for future in admin.create_topics([NewTopic(name, 2, 1)]).values():
        future.result()
    producer = Producer(producer_config(kafka))
    for number in range(10):
        producer.produce(name, b"x", partition=number % 2)
    assert producer.flush(60) == 0
    for future in admin.delete_records([TopicPartition(name, 0, 2)]).values():
        future.result()
    reader = KafkaReader(kafka, [name, "there-is-no-such-topic"], [name, "nobody"])

    with closing(Consumer(client_config(kafka) | {"group.id": name, "auto.offset.reset": "earliest"})) as consumer:
        consumer.subscribe([name])
        assert consumer.consume(1, timeout=60)
        consumer.commit(offsets=[TopicPartition(name, 1, 4)], asynchronous=False)
        reading = await reader.read()
        assert reading.members == {name: 1, "nobody": 0}
        assert name in reading.steady

    assert (reading.begins, reading.ends) == ({(name, 0): 2, (name, 1): 0}, {(name, 0): 5, (name, 1): 5})
    assert reading.committed == {name: {(name, 1): 4}, "nobody": {}}
    assert (reading.lag(name, [name]), reading.lag("nobody", [name])) == (3 + 1, 3 + 5)
    assert (reading.held(name), reading.written(name)) == (8, 10)
    assert (await reader.read()).members[name] == 0
    await reader.close()


@pytest.mark.expects_errors  # aiokafka tells of each failed connection
async def test_nobody_answers() -> None:
    reader = KafkaReader(Kafka(bootstrap=f"127.0.0.1:{free_port()}"), ["t"], ["g"])
    with pytest.raises(UnavailableError):
        await reader.read()


@pytest.mark.expects_errors  # as above
async def test_the_broker_dies_while_it_is_asked(tmp_path: Path) -> None:
    """confluent-kafka's admin client ended the process here."""
    broker = Broker(tmp_path / "broker")
    with broker:
        reader = KafkaReader(Kafka(bootstrap=broker.bootstrap), ["t"], [f"group-{number}" for number in range(9)])
        await _read_until(reader, answered=True)
        broker.kill()
        await _read_until(reader, answered=False)
        broker.start()
        broker.wait_ready()
        await _read_until(reader, answered=True)
        await reader.close()


async def _read_until(reader: KafkaReader, answered: bool) -> None:
    async with asyncio.timeout(90):
        while True:
            try:
                await reader.read()
            except UnavailableError:
                if not answered:
                    return
            else:
                if answered:
                    return
            await asyncio.sleep(0.1)
