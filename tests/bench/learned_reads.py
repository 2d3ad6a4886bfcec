"""Recommendations by the learned models over HTTP against the least that they cost, in the same server, in turn.

``python -m tests.bench.learned_reads [--bundle FOLDER] [--items N,N] [--rounds N]``. The floor, and what it leaves out:
``tests/bench/reading/learned_floor.py``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import orjson
import psutil
import uvloop

from models.recommender_bundle import open_bundle
from processors.serving.learned_space import EXACT_BELOW
from tests.bench.reading.client import Connection, request
from tests.bench.reading.learned_server import FLOOR, Held, server
from tests.bench.reading.synthetic import item_id, user_id
from tests.bench.report import Figure, Report, Table, median_ratio

BUNDLE = Path("infra/demo/bundle")
USERS, RECENT, RANKED, ANSWERED = 1_000, 200, 150, 50
TURN = 250
"""Answers of one side in one turn, one after the other."""
LIMIT = 0.7
RECOMMENDED, RANKING = "recommendations", f"/v1/rank of {RANKED} items"


@dataclass
class Side:
    """What was asked of one side.

    Attributes:
        requests: In order, repeated from the start.
        cpu_ms: CPU time of the server by answer, one value a turn.
        took_ms: From question to answer, of each.
    """

    requests: list[bytes]
    cpu_ms: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)

    async def turn(self, connection: Connection, process: psutil.Process) -> None:
        """Ask `TURN` times."""
        start, before = len(self.took_ms), _cpu_s(process)
        for number in range(start, start + TURN):
            asked = time.perf_counter()
            await connection.ask(self.requests[number % len(self.requests)])
            self.took_ms.append(1000 * (time.perf_counter() - asked))
        self.cpu_ms.append(1000 * (_cpu_s(process) - before) / TURN)

    def forget(self) -> None:
        """Leave out what was measured so far."""
        self.cpu_ms.clear()
        self.took_ms.clear()


@dataclass(frozen=True)
class Compared:
    """Ours and the floor at one size.

    Attributes:
        items: Items in the catalogue.
        sides: What -> (ours, floor).
        reasons: How often each reason stood in a look at our answers.
    """

    items: int
    sides: dict[str, tuple[Side, Side]]
    reasons: Counter[str]

    def ratio(self, what: str) -> float:
        """Answers a second of the server's CPU time, ours of the floor's: median over the rounds."""
        ours, floor = self.sides[what]
        return median_ratio(floor.cpu_ms, ours.cpu_ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--items", default="10000,100000")
    parser.add_argument("--rounds", type=int, default=8)
    asked = parser.parse_args()
    version = open_bundle(asked.bundle).version
    found = [measure(asked.bundle, int(items), asked.rounds) for items in asked.items.split(",")]
    Report(
        "learned_reads",
        "Recommendations by the learned models",
        f"Version `{version}` in use, users of {RECENT} last plays, vectors of 64 numbers, a fifth of the items not "
        f"played yet; 500 candidates, {RANKED} of them ranked by the gated ranker, {ANSWERED} in the answer. The floor "
        "is a bare ASGI function in the same server: one Redis read, the user tower, one matrix product with all "
        f"items, the ranker on the {RANKED} nearest, JSON; users' inputs and items' features are prepared.",
        [_figure(each, what) for each in found for what in each.sides],
        [_table(each) for each in found],
        [
            f"{asked.rounds} rounds after one that is left out, in each {TURN} answers of either side in turn, one "
            "request after the other over one connection; the ratio is that of answers by CPU time of the server, its "
            "HTTP included, median over the rounds. Client and Redis share the machine's cores.",
            f"The service compares up to {EXACT_BELOW:,} items exactly, too. The floor makes no features of user and "
            f"item, ranks by no cheap order before, takes {RANKED} items instead of 500, filters nothing, keeps no "
            "places for cold items, asks no boundary and notes nothing.",
        ],
    ).publish()


def measure(bundle: Path, items: int, rounds: int) -> Compared:
    """Both sides in turn at one size."""
    names = [user_id(number) for number in range(USERS)]
    dice = np.random.default_rng(1)
    bodies = [
        orjson.dumps({"user": name, "item_ids": [item_id(each) for each in dice.choice(items, RANKED).tolist()]})
        for name in names
    ]
    sides = {
        RECOMMENDED: (
            Side([request(f"/v1/recommendations?user={name}&limit={ANSWERED}") for name in names]),
            Side([request(f"{FLOOR}?user={name}") for name in names]),
        ),
        RANKING: (
            Side([request("/v1/rank", body) for body in bodies]),
            Side([request(FLOOR, body) for body in bodies]),
        ),
    }
    held = Held(str(bundle.absolute()), items, USERS, RECENT, RANKED, ANSWERED)
    with server(held) as (port, pid):
        reasons = uvloop.run(_take_turns(sides, rounds, port, psutil.Process(pid)))
    return Compared(items, sides, reasons)


async def _take_turns(
    sides: dict[str, tuple[Side, Side]], rounds: int, port: int, process: psutil.Process
) -> Counter[str]:
    connection = await Connection.open(port)
    for turn in range(rounds + 1):
        for side in chain.from_iterable(sides.values()):
            await side.turn(connection, process)
            if turn == 0:
                side.forget()
    reasons = await _reasons(connection, sides[RECOMMENDED][0].requests[:100])
    connection.close()
    return reasons


async def _reasons(connection: Connection, requests: list[bytes]) -> Counter[str]:
    """Reasons in the answers.

    Raises:
        RuntimeError: an answer is degraded or not of a version: it would be no measure of the learned models.
    """
    found: Counter[str] = Counter()
    for each in requests:
        answer = orjson.loads(await connection.ask(each))
        if answer["degraded"] or not answer["model_version"]:
            raise RuntimeError(f"no answer by the learned models: {answer['degraded']} {answer['model_version']!r}")
        found.update(item["reason"] for item in answer["items"])
    return found


def _cpu_s(process: psutil.Process) -> float:
    """CPU seconds of all its threads, to the nanosecond."""
    told = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/schedstat")]
    return sum(int(text.split()[0]) for text in told) / 1e9


def _figure(found: Compared, what: str) -> Figure:
    return Figure(f"{what}, {found.items:,} items: answers by CPU time of the floor's", found.ratio(what), ">=", LIMIT)


def _table(found: Compared) -> Table:
    rows = [
        (f"{what}, {name}", statistics.median(side.cpu_ms), *_percentiles(side.took_ms))
        for what, pair in found.sides.items()
        for name, side in zip(("ours", "floor"), pair, strict=True)
    ]
    total = sum(found.reasons.values())
    shares = ", ".join(f"{reason} {100 * count / total:.0f} %" for reason, count in found.reasons.most_common())
    return Table(f"{found.items:,} items (reasons: {shares})", ("what", "CPU ms", "median ms", "p99 ms"), rows)


def _percentiles(took_ms: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(took_ms, n=100)
    return cuts[49], cuts[98]


if __name__ == "__main__":
    main()
