"""What the children of a fork server cost, seen from outside."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

EVERY_S = 0.02


@dataclass
class Life:
    """One process.

    Attributes:
        peak_bytes: Largest resident memory (VmHWM), pages shared with the fork server included.
        began: When it was first seen, seconds of the monotonic clock.
        seen: When it was last seen.
    """

    peak_bytes: int
    began: float
    seen: float

    @property
    def seconds(self) -> float:
        """Between first and last sight: too little by two samples at most."""
        return self.seen - self.began


class Watch:
    """Samples every descendant of a process, at 50 Hz, while it is entered.

    Attributes:
        lives: Process id and start time -> what was seen.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.lives: dict[tuple[int, int], Life] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def since(self, instant: float) -> list[Life]:
        """Those that began later than ``instant``."""
        return [life for life in self.lives.values() if life.began >= instant]

    def _run(self) -> None:
        while not self._end.wait(EVERY_S):
            now = time.monotonic()
            for pid in descendants(self._root):
                self._note(pid, now)

    def _note(self, pid: int, now: float) -> None:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            started = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
        except (FileNotFoundError, ProcessLookupError):  # it has ended in between
            return
        peak = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)
        life = self.lives.setdefault((pid, started), Life(peak, now, now))
        life.peak_bytes, life.seen = max(life.peak_bytes, peak), now


def descendants(root: int) -> list[int]:
    """Children of ``root``, their children and so on."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        for task in _listed(Path(f"/proc/{pid}/task")):
            try:
                children = (task / "children").read_text().split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += map(int, children)
            waiting += map(int, children)
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []
