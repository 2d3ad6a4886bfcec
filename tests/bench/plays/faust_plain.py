"""A plain Faust agent, one event at a time: ``python -m tests.bench.plays.faust_plain BOOTSTRAP EVENTS MODE``.

Stateful counts by user only, in a Faust table with its changelog.
"""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from io import BytesIO
from typing import Any

import fastavro
import faust

from schemas import contracts
from schemas.topics import SONG_PLAYED
from tests.bench.plays.clock import Clock
from tests.bench.plays.tally import Tally


def main() -> None:
    bootstrap, events, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    schema = fastavro.parse_schema(contracts.resolve(SONG_PLAYED.record.CONTRACT), named_schemas={})
    clock, tally = Clock(events), Tally()
    app = faust.App(
        f"faust-{uuid.uuid4()}",
        broker=f"kafka://{bootstrap}",
        datadir=tempfile.mkdtemp(),
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
    )
    topic = app.topic(SONG_PLAYED.name, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw")
    users = app.Table("users", default=float, partitions=SONG_PLAYED.partitions) if mode == "stateful" else None

    async def work(stream: Any) -> None:
        async for value in stream:
            clock.delivered()
            play: Any = fastavro.schemaless_reader(BytesIO(value[5:]), schema)
            if users is None:
                tally.count(play)
            else:
                users[play["user_id"]] += play["completion"]
            if clock.finished(1):
                os._exit(0)

    app.agent(topic)(work)
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
