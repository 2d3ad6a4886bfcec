"""Recommendations a second against the least that a recommendation costs, and the service under load.

``python -m tests.bench.reads [--items N] [--users N] [--rounds N] [--without-http]``; ``make bench`` prepares the
floor's environment. Rates against the size of the catalogue: ``tests.bench.growth``.
"""

from __future__ import annotations

import argparse

from tests.bench.reading import over_http
from tests.bench.reading.in_process import ANSWERED, CANDIDATES, RANKED, Compared, compare, median
from tests.bench.reading.over_http import Served
from tests.bench.report import Figure, Report, Table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--without-http", action="store_true")
    asked = parser.parse_args()
    compared = compare(asked.items, asked.users, asked.rounds)
    report = Report(
        "reads",
        "Recommendations a second",
        f"One answer: the user's row from Redis, {CANDIDATES} candidates of {asked.items:,} items of 192 numbers (a "
        f"fifth of them not played yet), {RANKED} of them ranked, the best {ANSWERED} as JSON. The floor is one "
        "Redis read, hnswlib, the same score and JSON in one loop, with nothing around it.",
        [Figure("without HTTP: answers/s of the floor's", compared.ratio, ">=", 0.7)],
        [_sides(compared)],
        _notes(asked.rounds, compared),
    )
    if not asked.without_http:
        _add(report, over_http.measure(asked.items, asked.users), compared)
    report.publish()


def _sides(compared: Compared) -> Table:
    sides = {"Overture, without HTTP": ("ours", compared.ours), "floor": ("floor", compared.floor)}
    rows = [
        (
            name,
            median(turns, "rate"),
            median(turns, "cpu_us"),
            compared.recall[side]["warm"],
            compared.recall[side]["cold"],
            compared.built_cpu_s[side],
            median(turns, "rss_mib"),
        )
        for name, (side, turns) in sides.items()
    ]
    columns = ("side", "answers/s", "CPU µs/answer", "recall of warm", "of cold", "CPU s to build", "RSS MiB")
    return Table("Both sides, in turn", columns, rows)


def _notes(rounds: int, compared: Compared) -> list[str]:
    return [
        f"{rounds} rounds of each side's own process in turn, one request after the other, one thread for linear "
        "algebra; the ratio is the median of the ratios within a round.",
        "Both take 375 candidates of the items that were played and 125 of the others, each with an index of its own. "
        "Recall: share of the true nearest found. hnswlib has its defaults (M 16, ef_construction 200) and looks at no "
        "more nodes than it must (ef = the number wanted), compiled for this machine.",
        f"The floor ranks the {RANKED} nearest of its candidates; Overture ranks all {CANDIDATES}, keeps a quarter of "
        "the answer for items nobody has played, leaves out what the user played lately and what is withdrawn, and "
        "allows items to change meanwhile. So the answers differ: "
        f"{100 * compared.common:.0f} % of the floor's are in ours.",
    ]


def _add(report: Report, served: Served, compared: Compared) -> None:
    floor = median(compared.floor, "rate")
    floor_of_a_core = 1e6 / median(compared.floor, "cpu_us")
    report.figures += [
        Figure("p99 / median at half the maximum rate, over HTTP", served.spread, "<=", 3.0),
        Figure("over HTTP: answers/s of the floor's, client on the other core", served.most.answers / floor),
        Figure("over HTTP: answers/s of CPU time of the floor's", served.most.of_a_core / floor_of_a_core),
    ]
    rows = {
        "recommendations": served.most,
        "rows of user_taste_v1": served.rows,
        "the same rows from Feast's feature server": served.feast,
    }
    report.tables += [
        Table(
            "Over HTTP, one process of each server",
            ("what", "answers/s", "answers/s of its CPU time"),
            [(name, rate.answers, rate.of_a_core) for name, rate in rows.items()],
        ),
        Table(
            "Recommendations at half the maximum rate",
            ("what", "ms"),
            [("median", served.median_ms), ("p99", served.p99_ms)],
        ),
        Table("Resident memory", ("process", "MiB"), list(served.memory.items())),
    ]
    report.notes.append(
        f"Over HTTP: {over_http.CONNECTIONS} connections without a pause for the maximum; then requests at an even "
        "pace of half of it, timed from when each was due. Client, Redis and server share the machine's cores."
    )


if __name__ == "__main__":
    main()
