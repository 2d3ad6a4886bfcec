"""Reading topics to their end: nothing left out, nothing of later, and an end that no record marks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from processors.runtime.kafka import client_config
from processors.runtime.settings import Kafka, Settings
from processors.runtime.topic_scan import consumer_of, read_to_end, read_topic, records, spans
from schemas.errors import UnavailableError

pytestmark = pytest.mark.real


@pytest.fixture
def kafka(streams_settings: Settings) -> Kafka:
    return streams_settings.kafka


@pytest.fixture
def topic(kafka: Kafka) -> str:
    name = f"scan-{uuid.uuid4().hex}"
    admin = AdminClient(client_config(kafka))
    for made in admin.create_topics([NewTopic(name, 3, 1)]).values():
        made.result()
    return name


def write(kafka: Kafka, topic: str, numbers: Iterator[int] | range, *, aborted: range = range(0)) -> None:
    """As transactions, each of which leaves a marker behind its last record."""
    producer = Producer(client_config(kafka) | {"transactional.id": uuid.uuid4().hex})
    producer.init_transactions()
    for batch, end in ((numbers, producer.commit_transaction), (aborted, producer.abort_transaction)):
        producer.begin_transaction()
        for number in batch:
            producer.produce(topic, str(number).encode(), partition=number % 3)
        producer.flush()
        end()


def test_the_end_is_found_although_no_record_lies_there(kafka: Kafka, topic: str) -> None:
    write(kafka, topic, range(3000), aborted=range(3000, 3100))
    found = [int(message.value() or b"") for message in read_to_end(kafka, [topic])]
    assert sorted(found) == list(range(3000))
    assert [n for n in found if n % 3 == 1] == list(range(1, 3000, 3))


def test_what_is_written_meanwhile_is_left_for_the_next_time(kafka: Kafka, topic: str) -> None:
    def read(reader: Consumer) -> list[int]:
        return sorted(int(message.value() or b"") for message in records(reader, wanted))

    write(kafka, topic, range(30))
    with consumer_of(kafka) as reader:
        wanted = spans(reader, [topic])
        write(kafka, topic, range(30, 60))
        assert read(reader) == list(range(30))
        wanted = {place: (wanted[place][1], end) for place, (_, end) in spans(reader, [topic]).items()}
        assert read(reader) == list(range(30, 60))
        wanted = {place: (end, end) for place, (_, end) in wanted.items()}
        assert read(reader) == []


def test_a_beginning_that_is_gone_is_told(kafka: Kafka, topic: str) -> None:
    write(kafka, topic, range(30))
    found: list[bytes | None] = []
    assert read_topic(kafka, topic, lambda message: found.append(message.value()))
    admin = AdminClient(client_config(kafka))
    for deleted in admin.delete_records([TopicPartition(topic, 0, 4)]).values():
        deleted.result()
    assert not read_topic(kafka, topic, lambda message: found.append(message.value()))
    assert len(found) == 30 + 26


def test_a_topic_that_is_missing_is_named(kafka: Kafka) -> None:
    with pytest.raises(UnavailableError, match="never-made") as caught:
        list(read_to_end(kafka, ["never-made"]))
    assert caught.value.code == "topic-missing"
