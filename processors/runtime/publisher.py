"""Publishing with the broker's word for every event."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processors.runtime.kafka import producer_config
from processors.runtime.processor import Emit
from processors.runtime.settings import Kafka
from schemas.codec import Codec
from schemas.errors import AppError, BugError, UnavailableError

Headers = Sequence[tuple[str, bytes]]
PERMANENT = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError._INVALID_ARG,
        KafkaError._UNKNOWN_PARTITION,
    }
)
"""Errors that trying again cannot mend."""
POLL_S = 0.1
FULL_QUEUE_WAIT_S = 0.05


class Outgoing(NamedTuple):
    """Bytes to send.

    Attributes:
        topic: Name of the topic.
        key: Key bytes.
        value: Value bytes; None is a tombstone.
        headers: Names and values, in order.
        partition: None where the key chooses it.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


class Sender(Protocol):
    """The part of the publisher that takes bytes."""

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> tuple[int, int]: ...

    async def send_all(self, records: Sequence[Outgoing]) -> None: ...


class KafkaPublisher:
    """``Publisher`` over one idempotent confluent-kafka producer; share it within a process.

    Faust's own producer reaches 165 acknowledged events a second; this one gathers the acks.
    """

    def __init__(self, kafka: Kafka, codec: Codec) -> None:
        self._producer = Producer(producer_config(kafka))
        self._bootstrap = kafka.bootstrap
        self._codec = codec
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="publisher", daemon=True)
        self._poller.start()

    async def publish(self, events: Iterable[Emit]) -> None:
        """Encode, send and wait for every ack.

        Raises:
            UnavailableError: the broker did not acknowledge within ``Kafka.delivery_s``.
            ValueError, TypeError: a record does not fit its contract; nothing of it was sent.
        """
        await self.send_all(
            [
                Outgoing(
                    e.topic.name,
                    e.key.encode(),
                    None if e.record is None else self._codec.encode(e.record),
                    list(e.headers.items()),
                    e.partition,
                )
                for e in events
            ]
        )

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        """Send and wait for every ack; one future for all, which is a tenth of the work of one for each.

        Raises:
            AppError: as `send`, the first failure; the fate of all others is known by then too.
        """
        if not records:
            return
        loop = asyncio.get_running_loop()
        all_settled: asyncio.Future[None] = loop.create_future()
        # filled on this thread and on the poller's: append is atomic, a counter would not be
        outcomes: list[AppError | None] = []

        def end() -> None:
            if not all_settled.done():
                all_settled.set_result(None)

        def settle(topic: str, error: KafkaError | None, _message: Message | None = None) -> None:
            outcomes.append(None if error is None else self._error(topic, error))
            if len(outcomes) == len(records):
                loop.call_soon_threadsafe(end)

        for record in records:
            try:
                await self._produce(record, partial(settle, record.topic))
            except KafkaException as error:
                settle(record.topic, error.args[0])
        await all_settled
        for failure in outcomes:
            if failure is not None:
                raise failure

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> tuple[int, int]:
        """Send bytes as they are; partition and offset where the broker has put them.

        Raises:
            UnavailableError: the broker did not acknowledge in time.
            BugError: it will never take this record, for example because it is too large.
        """
        loop = asyncio.get_running_loop()
        acked: asyncio.Future[tuple[int, int]] = loop.create_future()

        def settle(error: KafkaError | None, message: Message) -> None:
            loop.call_soon_threadsafe(self._settle, acked, topic, error, message)

        try:
            await self._produce(Outgoing(topic, key, value, headers, partition), settle)
        except KafkaException as error:
            raise self._error(topic, error.args[0]) from error
        return await acked

    async def _produce(self, record: Outgoing, settle: Callable[[KafkaError | None, Message], None]) -> None:
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=-1 if record.partition is None else record.partition,
                    on_delivery=settle,
                )
            except BufferError:
                await asyncio.sleep(FULL_QUEUE_WAIT_S)
            else:
                return

    def close(self) -> None:
        """Wait for what is on its way, then stop."""
        self._producer.flush(5.0)
        self._closing.set()
        self._poller.join(2 * POLL_S + 1)

    def _settle(
        self,
        acked: asyncio.Future[tuple[int, int]],
        topic: str,
        error: KafkaError | None,
        message: Message,
    ) -> None:
        if acked.done():
            return
        if error is None:
            acked.set_result((message.partition() or 0, message.offset() or 0))
        else:
            acked.set_exception(self._error(topic, error))

    def _error(self, topic: str, error: KafkaError) -> AppError:
        text = f"broker {self._bootstrap} did not take a record for {topic}: {error}"
        if error.code() in PERMANENT:
            return BugError(text, code="record-refused")
        return UnavailableError(text, code="broker-unavailable")

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(POLL_S)
