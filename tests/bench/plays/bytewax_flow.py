"""Bytewax: ``python -m tests.bench.plays.bytewax_flow BOOTSTRAP EVENTS stateless|stateful``.

Stateful counts by user only, in memory, without recovery.
"""

from __future__ import annotations

import os
import sys
from io import BytesIO
from typing import Any

import bytewax.operators as op
import fastavro
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

from schemas import contracts
from schemas.topics import SONG_PLAYED
from tests.bench.plays.clock import Clock
from tests.bench.plays.tally import Tally


class Counted(StatelessSinkPartition[Any]):
    """Ends the process when all is counted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def write_batch(self, items: list[Any]) -> None:
        if self._clock.finished(len(items)):
            os._exit(0)


class Sink(DynamicSink[Any]):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Counted:
        return Counted(self._clock)


def main() -> None:
    bootstrap, events, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    schema = fastavro.parse_schema(contracts.resolve(SONG_PLAYED.record.CONTRACT), named_schemas={})
    clock, tally = Clock(events), Tally()

    def decode(messages: list[Any]) -> list[Any]:
        clock.delivered()
        return [fastavro.schemaless_reader(BytesIO(m.value[5:]), schema) for m in messages]

    def count(plays: list[Any]) -> list[Any]:
        for play in plays:
            tally.count(play)
        return plays

    def remember(state: tuple[int, float] | None, play: Any) -> tuple[tuple[int, float], int]:
        plays, completion = state or (0, 0.0)
        return (plays + 1, completion + play["completion"]), plays + 1

    flow = Dataflow("plays")
    config = {"fetch.queue.backoff.ms": "5", "queued.min.messages": "1000000"}
    source = KafkaSource([bootstrap], [SONG_PLAYED.name], tail=True, add_config=config, batch_size=1000)
    plays = op.flat_map_batch("decode", op.input("plays", flow, source), decode)
    if mode == "stateful":
        counted = op.stateful_map("count", op.key_on("user", plays, lambda play: play["user_id"]), remember)
    else:
        counted = op.flat_map_batch("count", plays, count)
    op.output("done", counted, Sink(clock))
    run_main(flow)


if __name__ == "__main__":
    main()
