"""The floor: a bare confluent-kafka batch loop that decodes and counts, with nothing of what makes it safe.

``python -m tests.bench.plays.raw BOOTSTRAP EVENTS one-by-one|together``; together it decodes as our worker does.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import fastavro
from confluent_kafka import Consumer

from processors.runtime.columns import BatchDecoder
from schemas import contracts
from schemas.codec import HEADER, Codec
from schemas.play import SongPlayed
from schemas.topics import SONG_PLAYED
from tests.bench.plays.clock import Clock
from tests.bench.plays.tally import Tally

Decode = Callable[[list[bytes]], Iterable[dict[str, Any]]]


def one_by_one() -> Decode:
    schema: Any = fastavro.parse_schema(contracts.resolve(SONG_PLAYED.record.CONTRACT), named_schemas={})
    return lambda values: (fastavro.schemaless_reader(BytesIO(value[5:]), schema) for value in values)  # type: ignore[misc]


def together() -> Decode:
    codec = Codec()
    decoder = BatchDecoder(codec)

    def decode(values: list[bytes]) -> Iterable[dict[str, Any]]:
        codec.assign(SongPlayed.CONTRACT, HEADER.unpack_from(values[0])[1])
        plays = decoder.decode(values, SongPlayed)
        return (vars(play or codec.decode(value, SongPlayed)) for play, value in zip(plays, values, strict=True))

    return decode


def main() -> None:
    bootstrap, events = sys.argv[1], int(sys.argv[2])
    decode = {"one-by-one": one_by_one, "together": together}[sys.argv[3]]()
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"raw-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 1_000_000,
            "queued.max.messages.kbytes": 262_144,
        }
    )
    consumer.subscribe([SONG_PLAYED.name])
    clock, tally = Clock(events), Tally()
    done = False
    while not done:
        messages = consumer.consume(1000, timeout=1.0)
        if messages:
            clock.delivered()
            for play in decode([message.value() or b"" for message in messages]):
                tally.count(play)
            done = clock.finished(len(messages))
    consumer.close()


if __name__ == "__main__":
    main()
