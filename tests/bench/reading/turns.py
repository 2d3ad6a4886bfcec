"""A candidate of the reads benchmark as a process of its own that answers when it is its turn: one JSON line a turn.

Free of our packages, so that it also runs in the peers' environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).parents[3]
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
Turn = dict[str, Any]


class Candidate:
    """The process, from the parent's side.

    Args:
        module: Of this folder.
        options: What its `serve` is told.
        python: Interpreter of its environment.
    """

    def __init__(self, module: str, options: Mapping[str, object], python: Path = Path(sys.executable)) -> None:
        command = [str(python), "-m", f"tests.bench.reading.{module}", json.dumps(dict(options))]
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(REPOSITORY)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment
        )
        self.built = self._read()

    def turn(self, what: str, **asked: object) -> Turn:
        """Let it do something and wait for what it says.

        Raises:
            RuntimeError: it ended without a word.
        """
        stdin = self._process.stdin
        assert stdin
        stdin.write(json.dumps({"what": what, **asked}) + "\n")
        stdin.flush()
        return self._read()

    def _read(self) -> Turn:
        stdout = self._process.stdout
        assert stdout
        # what else it prints are log lines
        for line in stdout:
            if line.startswith("{"):
                said: Turn = json.loads(line)
                return said
        raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def options() -> dict[str, Any]:
    """What the parent told this process."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def serve(turns: Mapping[str, Callable[..., Turn]]) -> None:
    """The candidate's side: say how long it took to get ready, then take turns until the parent is gone."""
    _say({"built_cpu_s": time.process_time()})
    for line in sys.stdin:
        asked = json.loads(line)
        _say(turns[asked.pop("what")](**asked))


def clocked(answers: int, wall_s: float, cpu_s: float) -> Turn:
    """What a turn of answers comes to, with the resident memory after it."""
    resident = psutil.Process().memory_info().rss / 2**20
    return {"rate": answers / wall_s, "cpu_us": 1e6 * cpu_s / answers, "rss_mib": resident}


def _say(found: Turn) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
