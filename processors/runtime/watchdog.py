"""Judges from outside whether a worker stands still.

A worker stands still when there is work that is due and, for ``stall_s``, none of this happened: an event was begun,
ended, or refused by a store that is away (it is asked again and again, and a restart would not bring the store back);
an offset was committed; partitions were handed over. So one event may take ``stall_s``, and an event that takes
longer is what the judgement is about. A record that waits for its retry is no work that is due.

Three more ways to stand still: the event loop does not come by; the worker is in no group although the broker
answers; one partition's commits stand still for ``PATIENCE`` times as long while others go on (a record that was
dropped on its way holds them back; a restart reads it again).

A process that was itself stopped (SIGSTOP, a suspended machine) sees its clock jump: then all counting begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from processors.runtime.progress import Place, Progress

PATIENCE = 6
JUMP = 3.0
"""A look that comes so many times later than it should means that the process was stopped."""


@dataclass(frozen=True)
class Backlog:
    """Work that lies in one partition.

    Attributes:
        committed: Offset of the oldest record not committed.
        records: Offsets from there to the end.
        due: Whether there is any, and the first is not a retry that waits for its time.
        since: Since when the oldest has been waiting, seconds since the epoch; None: nothing waits.
    """

    committed: int
    records: int
    due: bool
    since: float | None = None


class Watchdog:
    """Remembers what it saw of each capability at each look."""

    def __init__(self, stall_s: float, interval_s: float) -> None:
        """
        Args:
            stall_s: Seconds without a sign of life that count as standing still.
            interval_s: Seconds between looks.
        """
        self._stall_s = stall_s
        self._jump_s = JUMP * interval_s + 1.0
        self._looked_at: float | None = None
        self._awake_since = 0.0
        self._moved: dict[tuple[str, Place], tuple[int, float]] = {}

    def look(self, now: float, found: Iterable[tuple[Progress, Mapping[Place, Backlog] | None]]) -> str | None:
        """Why the process should end; None if it works.

        Args:
            now: Seconds of the progress' clock.
            found: Each capability's progress, and what lies in its partitions; None: the broker did not say.
        """
        if self._looked_at is None or now - self._looked_at > self._jump_s:
            self._awake_since = now
        self._looked_at = now
        for progress, backlogs in found:
            reason = self._judge(now, progress, backlogs)
            if reason:
                return f"{progress.name}: {reason}"
        return None

    def _judge(self, now: float, progress: Progress, backlogs: Mapping[Place, Backlog] | None) -> str | None:
        if now - max(progress.beat_at, self._awake_since) > self._stall_s:
            return f"the event loop has not come by for {now - progress.beat_at:.0f} s"
        quiet_s = now - max(progress.sign_at, self._awake_since)
        if backlogs is None or progress.excused or now - progress.refused_at < self._stall_s:
            self._forget(progress, now, backlogs or {})
            return None
        if not progress.joined:
            return f"in no group for {quiet_s:.0f} s" if quiet_s > self._stall_s else None
        moved = self._note(progress, now, backlogs)
        due = [place for place, backlog in backlogs.items() if backlog.due]
        if due and not moved and quiet_s > self._stall_s:
            return f"no sign of life for {quiet_s:.0f} s with work due in {_names(due)}"
        stuck = [p for p in due if now - self._moved[progress.name, p][1] > PATIENCE * self._stall_s]
        return f"commits stand still in {_names(stuck)}" if stuck else None

    def _note(self, progress: Progress, now: float, backlogs: Mapping[Place, Backlog]) -> bool:
        """Remember commits; whether any partition's moved since the last look."""
        any_moved = False
        for place, backlog in backlogs.items():
            key = (progress.name, place)
            committed, at = self._moved.get(key, (backlog.committed, now))
            if backlog.committed != committed:
                any_moved = True
                progress.sign()
            if backlog.committed != committed or not backlog.due or at < self._awake_since:
                at = now
            self._moved[key] = (backlog.committed, at)
        for key in [k for k in self._moved if k[0] == progress.name and k[1] not in backlogs]:
            del self._moved[key]
        return any_moved

    def _forget(self, progress: Progress, now: float, backlogs: Mapping[Place, Backlog]) -> None:
        for key, (committed, _) in self._moved.items():
            if key[0] == progress.name:
                self._moved[key] = (committed, now)
        if not backlogs:
            progress.sign()


def _names(places: Iterable[Place]) -> str:
    return ", ".join(f"{place.topic}/{place.partition}" for place in sorted(places))
