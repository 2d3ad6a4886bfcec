"""The floor: a bare confluent-kafka batch loop that decodes and counts, with nothing of what makes it safe.

``python -m tests.bench.plays.raw BOOTSTRAP EVENTS``
"""

from __future__ import annotations

import sys
import uuid
from io import BytesIO
from typing import Any

import fastavro
from confluent_kafka import Consumer

from schemas import contracts
from schemas.topics import SONG_PLAYED
from tests.bench.plays.clock import Clock
from tests.bench.plays.tally import Tally


def main() -> None:
    bootstrap, events = sys.argv[1], int(sys.argv[2])
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
    schema = fastavro.parse_schema(contracts.resolve(SONG_PLAYED.record.CONTRACT), named_schemas={})
    clock, tally = Clock(events), Tally()
    done = False
    while not done:
        messages = consumer.consume(1000, timeout=1.0)
        if messages:
            clock.delivered()
            for message in messages:
                play: Any = fastavro.schemaless_reader(BytesIO((message.value() or b"")[5:]), schema)
                tally.count(play)
            done = clock.finished(len(messages))
    consumer.close()


if __name__ == "__main__":
    main()
