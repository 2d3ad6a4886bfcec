"""Every file of the corpus in the sandbox alone: its verdict, and what its process costs."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.media.analysis import MediaAnalyser
from schemas.errors import BadMediaError
from tests.hostile.watch import EVERY_S, Watch
from tests.media.corpus import corpus
from tests.media.make_hostile import Case
from tests.media.scripts import Bait
from tests.media.verdicts import ANY

MOST_BYTES = 1536 * 2**20
MOST_S = 20.0
BAIT = Bait(("/etc/hostname",), "../secret.mp4", 9)


@dataclass
class Row:
    """Figures of one family."""

    files: int = 0
    accepted: int = 0
    peak_bytes: int = 0
    longest_s: float = 0.0


def verdict(analyser: MediaAnalyser, path: Path, case: Case) -> str:
    data = case.make()
    path.write_bytes(data)
    try:
        analyser.analyse(path, case.kind, size=len(data))  # type: ignore[arg-type]
    except BadMediaError as error:
        return error.code
    return ""


@pytest.mark.timeout(1200)
def test_every_verdict_is_right_and_no_process_too_costly(tmp_path: Path) -> None:
    wrong, rows = [], {}
    with MediaAnalyser() as analyser, Watch(analyser.server_pid) as watch:
        for family, cases in corpus(BAIT).items():
            row = rows[family] = Row()
            for case in cases:
                began = time.monotonic()
                got = verdict(analyser, tmp_path / "upload", case)
                time.sleep(2 * EVERY_S)
                lives = watch.since(began)
                row.files += 1
                row.accepted += not got
                row.peak_bytes = max(row.peak_bytes, *(life.peak_bytes for life in lives), 0, 0)
                row.longest_s = max(row.longest_s, *(life.seconds for life in lives), 0, 0)
                if case.code not in (got, ANY):
                    wrong.append((case.name, case.code, got))
    for family, row in rows.items():
        cells = f"{row.files} | {row.files - row.accepted} | {row.peak_bytes / 2**20:.0f} | {row.longest_s:.1f}"
        sys.stdout.write(f"| {family} | {cells} |\n")
    assert wrong == []
    assert sum(row.files for row in rows.values()) > 60
    assert max(row.peak_bytes for row in rows.values()) < MOST_BYTES
    assert max(row.longest_s for row in rows.values()) < MOST_S
