"""Events a second of our worker against a bare loop, Quix Streams, Bytewax and a plain Faust agent.

``python -m tests.bench.play_aggregation [--rounds N] [--plays N] [--users N] [--songs N]``; ``make bench`` prepares
the peers' environment.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.plays.load import Load
from tests.bench.plays.place import Place, opened
from tests.bench.report import Figure, Report, Table, median_ratio

PARTITIONS = (1, 2, 4)
WORKERS = (1, 2, 4)
FULL_PARTITIONS = 8
FLOOR_DECODING = "bare loop with Overture's decoding"
Run = dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """One program that reads the plays.

    Attributes:
        name: As shown.
        mode: ``stateless`` or ``stateful``.
        keeps: What is left of its counts after kill -9.
        run: Runs it once and gives what its clock says.
    """

    name: str
    mode: str
    keeps: str
    run: Callable[[], Run]


def candidates(place: Place, plays: int) -> list[Candidate]:
    """All of them, the floor first; the slow ones read a part of the topic."""
    few = max(1, min(plays, plays // 8))

    def ours_stateful() -> Run:
        place.clear()
        return place.run("ours", "play_aggregation", plays)

    def raw(decoding: str) -> Callable[[], Run]:
        return lambda: place.run("raw", place.bootstrap, plays, decoding)

    def peer(module: str, mode: str, events: int) -> Callable[[], Run]:
        return lambda: place.run(module, place.bootstrap, events, mode, peer=module != "faust_plain")

    return [
        Candidate("bare confluent-kafka loop", "both", "nothing", raw("one-by-one")),
        Candidate(FLOOR_DECODING, "both", "nothing", raw("together")),
        Candidate("Overture", "stateless", "nothing", lambda: place.run("ours", "tally", plays)),
        Candidate("Quix Streams", "stateless", "nothing", peer("quix", "stateless", plays)),
        Candidate("Bytewax", "stateless", "nothing", peer("bytewax_flow", "stateless", plays)),
        Candidate("Faust, one by one", "stateless", "nothing", peer("faust_plain", "stateless", few)),
        Candidate("Overture", "stateful", "exact counts, features", ours_stateful),
        Candidate("Quix Streams", "stateful", "counts by user, repeats", peer("quix", "stateful", few)),
        Candidate("Bytewax", "stateful", "nothing", peer("bytewax_flow", "stateful", plays)),
        Candidate("Faust table", "stateful", "counts by user, inexact", peer("faust_plain", "stateful", few)),
    ]


def measure(found: list[Candidate], rounds: int) -> dict[Candidate, list[Run]]:
    """Every candidate once a round, one after the other."""
    runs: dict[Candidate, list[Run]] = defaultdict(list)
    for _ in range(rounds):
        for candidate in found:
            runs[candidate].append(candidate.run())
    return runs


def rate(run: Run) -> float:
    return float(run["events"] / run["seconds"])


def checks(place: Place, load: Load) -> list[Figure]:
    """Counts that are wrong, of all users and songs, after a kill -9 on the way and after each of two replays."""
    wanted = load.counts()

    def wrong() -> float:
        found = place.found(list(wanted))
        return float(sum(found.get(key) != counts for key, counts in wanted.items()))

    place.clear()
    place.work_through(kill=True)
    figures = [Figure("wrong counts after kill -9", wrong(), "==", 0)]
    for time in ("once", "twice"):
        place.rewind()
        place.work_through()
        figures.append(Figure(f"wrong counts after replaying the topic {time}", wrong(), "==", 0))
    return figures


def scaling(place: Place, load: Load) -> Table:
    """Stateless events a second against partitions (one worker) and against workers (eight partitions)."""
    rows: list[tuple[str, float, float]] = []
    for workers in WORKERS:
        rows.append(("workers", workers, place.together(workers, load.plays)))
    for partitions in PARTITIONS:
        place.fill(load, partitions)
        rows.append(("partitions", partitions, place.together(1, load.plays)))
    return Table("Overture stateless: events/s against workers and partitions", ("axis", "number", "events/s"), rows)


def report(place: Place, load: Load, rounds: int) -> Report:
    size = place.fill(load, FULL_PARTITIONS)
    runs = measure(candidates(place, load.plays), rounds)
    floor, *others = runs
    rates = {candidate: [rate(run) for run in found] for candidate, found in runs.items()}
    ratios = {candidate: median_ratio(rates[candidate], rates[floor]) for candidate in others}
    ours = {c.mode: c for c in others if c.name == "Overture"}
    same_decoding = next(c for c in others if c.name == FLOOR_DECODING)
    durable = max(ratio for c, ratio in ratios.items() if c.mode == "stateful" and c.keeps.startswith("counts"))
    figures = [
        Figure("stateless: events/s of the bare loop's", ratios[ours["stateless"]], ">=", 0.85),
        Figure(f"stateless: events/s of the {FLOOR_DECODING}", ratios[ours["stateless"]] / ratios[same_decoding]),
        Figure("stateful: events/s of the bare loop's", ratios[ours["stateful"]], ">=", 0.5),
        Figure("stateful: events/s of the best durable peer's", ratios[ours["stateful"]] / durable, ">=", 1.0),
    ]
    rows = [
        (
            candidate.name,
            candidate.mode,
            statistics.median(rates[candidate]),
            ratios.get(candidate, 1.0),
            statistics.median(1e6 * run["cpu_s"] / run["events"] for run in found),
            max(run["rss_mib"] for run in found),
            candidate.keeps,
        )
        for candidate, found in runs.items()
    ]
    columns = ("candidate", "mode", "events/s", "of the bare loop", "CPU µs/event", "RSS MiB", "kept after kill -9")
    return Report(
        "play_aggregation",
        "Plays counted a second",
        f"{load.plays:,} plays of {load.users:,} users and {load.songs:,} songs ({size} bytes each, "
        f"{FULL_PARTITIONS} partitions), medians of {rounds} interleaved rounds; each clock starts at the first "
        "record delivered.",
        [*figures, *checks(place, load)],
        [Table("Candidates", columns, rows), scaling(place, load)],
        [
            "The bare loop decodes each record with one call of fastavro to a dict and adds count and completion by "
            "user and song to dicts; the stateless candidates do the same with it. It commits nothing and checks "
            "nothing.",
            "Overture decodes a batch field by field over all its records (`processors/runtime/columns.py`), in two "
            "fifths of the time of fastavro's calls and its own records after them; the second bare loop decodes in "
            "the same way, so that this can be told from the rest.",
            "Overture's stateful figure is the product's own play_aggregation: repeats known by id, state "
            "acknowledged by the broker before an offset is committed, features pushed to Feast on Redis; its clock "
            "ends when the last play is in the durable counts of its user and of its song. Quix Streams and Faust "
            "count by user only, which spares them a repartition; the slow ones read an eighth of the topic.",
            "What bounds the stateless rate, by CPU time of the worker: two fifths are decoding and making records; "
            "a seventh is aiokafka's unpacking, under the same interpreter lock where librdkafka has a thread of its "
            "own; the rest is the count itself and one tuple for each record.",
            "What bounds the stateful rate, by cProfile of the worker's main thread: a third is finding repeats and "
            "counting by user and by song; a sixth is redis-py, which reads content vectors and writes rows; a tenth "
            "each are sending state, decoding plays and putting rows into Feast's bytes. A user's state holds 200 "
            "plays and 1,000 event ids, both packed, and is written whole with each batch, so batches are large (up "
            "to 50,000 plays of a partition) and counts by song are collected for two seconds before they are added "
            "up.",
            "One process each; broker, registry and Redis share the cores. CPU is of the candidate's process, all "
            "threads.",
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--plays", type=int, default=600_000)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--songs", type=int, default=1_000)
    asked = parser.parse_args()
    # the parts are stopped on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="overture-bench-") as folder, opened(Path(folder)) as place:
        report(place, Load(asked.plays, asked.users, asked.songs), asked.rounds).publish()


if __name__ == "__main__":
    main()
