"""Quix Streams, tuned like the floor: ``python -m tests.bench.plays.quix BOOTSTRAP EVENTS stateless|stateful``.

Stateful counts by user only (RocksDB and changelog): by song it would have to repartition.
"""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from io import BytesIO
from typing import Any

import fastavro
from quixstreams import Application

from schemas import contracts
from schemas.topics import SONG_PLAYED
from tests.bench.plays.clock import Clock
from tests.bench.plays.tally import Tally


def main() -> None:
    bootstrap, events, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    schema = fastavro.parse_schema(contracts.resolve(SONG_PLAYED.record.CONTRACT), named_schemas={})
    clock, tally = Clock(events), Tally()

    def decode(value: bytes) -> Any:
        clock.delivered()
        return fastavro.schemaless_reader(BytesIO(value[5:]), schema)

    def count(play: dict[str, Any]) -> None:
        tally.count(play)
        if clock.finished(1):
            os._exit(0)

    def remember(play: dict[str, Any], state: Any) -> None:
        plays, completion = state.get("user", default=[0, 0.0])
        state.set("user", [plays + 1, completion + play["completion"]])
        if clock.finished(1):
            os._exit(0)

    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            broker_address=bootstrap,
            consumer_group=f"quix-{uuid.uuid4()}",
            auto_offset_reset="earliest",
            state_dir=folder,
            loglevel="ERROR",
            consumer_extra_config={"fetch.queue.backoff.ms": 5, "queued.min.messages": 1_000_000},
        )
        frame = app.dataframe(app.topic(SONG_PLAYED.name, value_deserializer="bytes", key_deserializer="str"))
        frame = frame.apply(decode)
        if mode == "stateful":
            frame.update(remember, stateful=True)
        else:
            frame.update(count)
        app.run()


if __name__ == "__main__":
    main()
