"""One row of figures a fault, printed at the end and written to ``docs/faults.md``.

A run of some of the tests renews only their rows; the page names every fault, those that were never run as such.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.pipeline import NAMES

COMMAND = "make test-faults"
COLUMNS = ("fault", "what was done", "uploads", "p50 s", "p95 s", "longest s", "rest after s", "verdict", "run, load")
NOT_RUN = "not run"
FAULTS = {
    "test_three_workers_are_killed": "three workers killed (short form)",
    "test_kill_9_of_each_worker_at_random_times": "kill -9 at random times",
    "test_a_dead_worker_is_replaced_by_its_peer": "a dead worker, its peer takes over",
    "test_workers_stopped_for_30_s_that_come_back": "SIGSTOP for 30 s and back",
    "test_the_broker_is_killed_and_comes_back": "broker killed",
    "test_one_of_three_brokers_dies": "one of three brokers dies",
    "test_redis_is_killed_and_comes_back": "Redis killed",
    "test_redis_is_emptied": "Redis emptied",
    "test_milvus_is_away_for_a_minute": "Milvus away",
    "test_the_registry_is_away_while_workers_restart": "registry away",
    "test_the_disk_of_the_object_store_is_full": "disk of the objects full",
    "test_a_rebalance_storm": "rebalance storm",
    "test_poison_that_kills_the_child_or_the_worker": "poison that kills",
    "test_poison[0.01]": "1 % poison",
    "test_poison[0.3]": "30 % poison",
    "test_uploads_that_come_twice_late_and_again": "repeated, reordered, replayed",
    **{f"test_a_crash_after_each_side_effect_changes_nothing[{name}]": f"crash in {name}" for name in NAMES},
}
"""Test and what it breaks, in the order of the page."""


@dataclass(frozen=True)
class Row:
    """What one fault did.

    Attributes:
        done: What was injected, and what is worth knowing.
        uploads: Uploads accepted meanwhile; 0 where none are counted.
        to_end: p50, p95 and longest time from acceptance to the end, seconds.
        rest_s: Seconds from the last upload until nothing was in work.
        verdict: Outcome of ``overture verify``.
        fault: Its name; the fixture ``record`` fills it in.
        run: When it was run, and the load average over a minute at its end: other work on the machine shows there.
    """

    done: str
    uploads: int = 0
    to_end: tuple[float, ...] = ()
    rest_s: float | None = None
    verdict: str = "kept"
    fault: str = ""
    run: str = field(default_factory=lambda: f"{datetime.now(UTC):%m-%d %H:%M}, {os.getloadavg()[0]:.0f}")

    def cells(self) -> list[str]:
        """The row as texts."""
        times = [f"{t:.1f}" for t in self.to_end] or ["", "", ""]
        rest = "" if self.rest_s is None else f"{self.rest_s:.0f}"
        return [self.fault, self.done, str(self.uploads or ""), *times, rest, self.verdict, self.run]


def row(done: str, verified: dict[str, Any], rest_s: float) -> Row:
    """The row of a fault that ended with ``overture verify``."""
    times = verified["seconds_to_end"]
    uploads = sum(verified["states"].values())
    return Row(done, uploads, (times["p50"], times["p95"], times["max"]), rest_s)


def merged(rows: Iterable[Row], page: str) -> list[list[str]]:
    """All rows of the page: those of this run, else those of an older page, else empty ones."""
    known = {cells[0]: cells for cells in (_cells(line) for line in page.splitlines()) if len(cells) == len(COLUMNS)}
    known |= {row.fault: row.cells() for row in rows}
    return [known.get(fault) or [fault, *[""] * (len(COLUMNS) - 3), NOT_RUN, ""] for fault in FAULTS.values()]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def document(rows: Sequence[Row], page: str) -> str:
    """The page, Markdown, with the rows of its older text that are not renewed."""
    memory = int(next(line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line).split()[1])
    table = [COLUMNS, tuple("---" for _ in COLUMNS), *merged(rows, page)]
    lines = [
        "# What was broken on purpose, and what became of it",
        "",
        f"Made by `{COMMAND}`, here on {os.cpu_count()} cores, "
        f"{memory / 1024**2:.0f} GiB, {platform.system()} {platform.release().split('-')[0]}.",
        "A run of some of the tests renews only their rows, so each row says when it was run.",
        "",
        "Every fault is injected under a steady load of uploads over HTTP, into real worker processes (one for each",
        "capability) on a real broker, registry, Redis and Milvus Lite. The networks are replaced by small",
        "deterministic stand-ins, the sandboxed decode pass is the real one. The client keeps sending an upload",
        "until it is accepted and writes what was accepted to a log outside the system; each row ends with",
        "`overture verify` over that log: every upload has ended exactly once and as expected, and all stores",
        "agree. *Kept* means that it found nothing. The times run from acceptance to the end of an upload: the",
        "longest shows how long a fault was felt; that all stores have followed is checked after the rest. The rows",
        "*crash in* are other tests: the capability runs in memory on the fakes of all stores, and its process dies",
        "right after the n-th thing that it wrote, for every n. The last column says when a row was",
        "run and the load average at its end: above the number of cores, other work or the load of",
        "the test itself slowed everything down.",
        "",
        *("| " + " | ".join(cells) + " |" for cells in table),
        "",
    ]
    return "\n".join(lines)
