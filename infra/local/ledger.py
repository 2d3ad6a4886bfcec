"""The record of what the stack has started, so that a later command can end that and nothing else."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local.errors import StackError

MARKER = "LOCAL_STACK_FOLDER"
"""Variable in the environment of every process of a stack; its value is the stack's folder."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Entry:
    """A unit in the record.

    Attributes:
        pid: Leader of the unit's session; 0 if it was never started.
        started: Start of that process in clock ticks since boot; with the pid it is unique.
        problem: The last failure in words.
        log: Path of the log file.
    """

    name: str
    state: str
    pid: int
    started: int
    address: str
    was_ready: bool
    failures: int
    problem: str
    log: str


@dataclass(frozen=True)
class Record:
    """All units, and the boot of the machine in which the pids mean something."""

    boot: str
    entries: tuple[Entry, ...]


def boot_id() -> str:
    """Identifies this boot of this machine."""
    return _BOOT.read_text().strip()


def start_ticks(pid: int) -> int:
    """Start of a process in clock ticks since boot; 0 if it is gone or a zombie."""
    stat = _stat(pid)
    return 0 if not stat or stat[0] == "Z" else int(stat[19])


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty if there is no such process."""
    with suppress(OSError):
        # the name before it may hold spaces and brackets
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


class Ledger:
    """The folder `<data_dir>/stack`: a lock held by the live supervisor, and the record."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._record = self.folder / "state.json"
        self._lock = self.folder / "lock"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the one supervisor; the kernel lets go of it however this process ends.

        Raises:
            StackError: another one holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock.open("w") as handle:
            for _ in range(20):
                with suppress(BlockingIOError):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                # a look by `held` takes the lock for an instant
                time.sleep(0.05)
            else:
                raise StackError(f"the stack of {self.folder} already runs")
            yield

    def held(self) -> bool:
        """Whether a supervisor lives."""
        try:
            with self._lock.open() as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def write(self, entries: Iterable[Entry]) -> None:
        """Replace the record."""
        draft = self._record.with_suffix(".new")
        draft.write_text(json.dumps(asdict(Record(boot_id(), tuple(entries))), indent=1))
        draft.replace(self._record)

    def read(self) -> tuple[Entry, ...]:
        """The record; empty if there is none or if it is from before a reboot."""
        try:
            content = json.loads(self._record.read_text())
        except FileNotFoundError:
            return ()
        if content["boot"] != boot_id():
            return ()
        return tuple(Entry(**entry) for entry in content["entries"])

    def survivors(self) -> list[int]:
        """Pids of all live processes that the record proves to be ours.

        A session belongs to us if its leader is the process we started. Where the leader has ended,
        a member belongs to us if it also carries our marker: a pid alone may have a new owner.
        """
        leaders = {entry.pid: entry.started for entry in self.read() if entry.pid}
        ours = []
        for folder in Path("/proc").iterdir():
            stat = _stat(int(folder.name)) if folder.name.isdigit() else []
            if not stat or stat[0] == "Z" or int(stat[3]) not in leaders:
                continue
            session = int(stat[3])
            now = start_ticks(session)
            if (now and now == leaders[session]) or (not now and self._is_marked(folder)):
                ours.append(int(folder.name))
        return ours

    def end_survivors(self, grace_s: float) -> int:
        """SIGTERM to the survivors, SIGKILL after `grace_s`; returns how many there were."""
        count = len(self._signal(self.survivors(), signal.SIGTERM))
        deadline = time.monotonic() + grace_s
        while (left := self.survivors()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self._signal(left, signal.SIGKILL)
        while self.survivors():
            time.sleep(0.02)
        return count

    def _is_marked(self, process: Path) -> bool:
        with suppress(OSError):
            wanted = f"{MARKER}={self.folder}".encode()
            return wanted in (process / "environ").read_bytes().split(b"\0")
        return False

    def _signal(self, pids: Sequence[int], number: signal.Signals) -> Sequence[int]:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return pids
