"""The publisher over a producer in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from processors.runtime import publisher as module
from processors.runtime.processor import Emit
from processors.runtime.publisher import KafkaPublisher, Outgoing
from processors.runtime.settings import Kafka
from schemas import topics
from schemas.errors import BugError, UnavailableError
from schemas.media import MediaWithdrawn
from tests.fakes.runtime import NOW, codec

FULL = BufferError("queue full")


class Ack:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return self._offset


class Producer:
    """Acknowledges at each poll what was produced before, as the callback of ``verdicts`` says."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.produced: list[dict[str, Any]] = []
        self.waiting: list[Callable[..., None]] = []
        self.trouble: list[BaseException] = []
        self.errors: dict[int, KafkaError] = {}
        self.held = False

    def produce(self, topic: str, *, on_delivery: Callable[..., None], **more: Any) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.produced.append({"topic": topic} | more)
        self.waiting.append(on_delivery)

    def poll(self, timeout: float) -> None:
        import time

        while not self.held and self.waiting:
            number = len(self.produced) - len(self.waiting)
            self.waiting.pop(0)(self.errors.get(number), Ack(number))
        time.sleep(0.001)

    def flush(self, timeout: float) -> None:
        self.poll(0)


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaPublisher]:
    monkeypatch.setattr(module, "Producer", Producer)
    monkeypatch.setattr(module, "FULL_QUEUE_WAIT_S", 0.001)
    one = KafkaPublisher(Kafka(), codec())
    yield one
    one.close()


def produced(publisher: KafkaPublisher) -> list[dict[str, Any]]:
    return publisher._producer.produced  # type: ignore[attr-defined, no-any-return]


async def test_send_says_where_the_broker_has_put_it(publisher: KafkaPublisher) -> None:
    assert await publisher.send("t", b"k", b"v", [("h", b"1")], 5) == (3, 0)
    assert produced(publisher) == [{"topic": "t", "key": b"k", "value": b"v", "headers": [("h", b"1")], "partition": 5}]


async def test_partition_0_is_a_partition(publisher: KafkaPublisher) -> None:
    await publisher.send("t", b"k", b"v", partition=0)
    await publisher.send("t", b"k", b"v")
    assert [p["partition"] for p in produced(publisher)] == [0, -1]


async def test_send_returns_only_after_the_ack(publisher: KafkaPublisher) -> None:
    publisher._producer.held = True  # type: ignore[attr-defined]
    sending = asyncio.create_task(publisher.send("t", b"k", b"v"))
    await asyncio.sleep(0.02)
    assert not sending.done()
    publisher._producer.held = False  # type: ignore[attr-defined]
    assert await sending == (3, 0)


async def test_a_refused_ack_is_unavailable(publisher: KafkaPublisher) -> None:
    publisher._producer.errors = {0: KafkaError(KafkaError._MSG_TIMED_OUT)}  # type: ignore[attr-defined]
    with pytest.raises(UnavailableError) as caught:
        await publisher.send("t", b"k", b"v")
    assert caught.value.code == "broker-unavailable"


async def test_a_full_queue_waits(publisher: KafkaPublisher) -> None:
    publisher._producer.trouble = [FULL, FULL]  # type: ignore[attr-defined]
    assert await publisher.send("t", b"k", b"v") == (3, 0)


@pytest.mark.parametrize("code", [KafkaError.MSG_SIZE_TOO_LARGE])
async def test_what_no_retry_can_send_is_not_called_unavailable(publisher: KafkaPublisher, code: int) -> None:
    """An event too large for the broker would be tried for ever and stop its partition."""
    publisher._producer.trouble = [KafkaException(KafkaError(code))]  # type: ignore[attr-defined]
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await publisher.send("t", b"k", b"v")
    assert not isinstance(caught.value, UnavailableError)


def withdrawn() -> MediaWithdrawn:
    return MediaWithdrawn(event_id="e", occurred_at=NOW, media_id="m", requested_by="u")


async def test_publish_encodes_and_a_tombstone_has_no_value(publisher: KafkaPublisher) -> None:
    await publisher.publish(
        [
            Emit(topics.MEDIA_WITHDRAWN, "ключ", withdrawn(), headers={"h": b"1"}),
            Emit(topics.MEDIA_STATUS, "m", None, partition=2),
        ]
    )
    one, two = produced(publisher)
    assert (one["topic"], one["key"], one["headers"]) == (topics.MEDIA_WITHDRAWN.name, "ключ".encode(), [("h", b"1")])
    assert codec().decode(one["value"], MediaWithdrawn) == withdrawn()
    assert (two["value"], two["partition"]) == (None, 2)


async def test_a_record_that_does_not_fit_leaves_nothing_behind(publisher: KafkaPublisher) -> None:
    bad = MediaWithdrawn(event_id=None, occurred_at=NOW, media_id="m", requested_by="u")  # type: ignore[arg-type]
    with pytest.raises((ValueError, TypeError)):
        await publisher.publish([Emit(topics.MEDIA_WITHDRAWN, "m", e) for e in (withdrawn(), bad)])
    assert produced(publisher) == []


async def test_one_failure_of_many_is_raised(publisher: KafkaPublisher) -> None:
    publisher._producer.errors = {1: KafkaError(KafkaError._MSG_TIMED_OUT)}  # type: ignore[attr-defined]
    with pytest.raises(UnavailableError):
        await publisher.publish([Emit(topics.MEDIA_WITHDRAWN, "m", withdrawn()) for _ in range(3)])


def letters(count: int) -> list[Outgoing]:
    return [Outgoing("t", b"k", str(number).encode()) for number in range(count)]


async def test_many_return_only_after_the_last_ack(publisher: KafkaPublisher) -> None:
    publisher._producer.held = True  # type: ignore[attr-defined]
    sending = asyncio.create_task(publisher.send_all(letters(3)))
    await asyncio.sleep(0.02)
    publisher._producer.waiting.pop(0)(None, Ack(0))  # type: ignore[attr-defined]
    await asyncio.sleep(0.02)
    assert not sending.done()
    publisher._producer.held = False  # type: ignore[attr-defined]
    await sending
    assert [p["value"] for p in produced(publisher)] == [b"0", b"1", b"2"]
    await publisher.send_all([])


async def test_one_that_is_never_taken_stops_no_other(publisher: KafkaPublisher) -> None:
    publisher._producer.trouble = [KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)), FULL]  # type: ignore[attr-defined]
    with pytest.raises(BugError):
        await publisher.send_all(letters(3))
    assert [p["value"] for p in produced(publisher)] == [b"1", b"2"]


async def test_a_cancelled_wait_harms_nobody(publisher: KafkaPublisher) -> None:
    publisher._producer.held = True  # type: ignore[attr-defined]
    sending = asyncio.create_task(publisher.send("t", b"k", b"v"))
    await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    publisher._producer.held = False  # type: ignore[attr-defined]
    assert (await publisher.send("t", b"k", b"v"))[0] == 3
