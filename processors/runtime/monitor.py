"""A thread of the worker process that asks the broker how far it is, and ends the process when it stands still.

Offsets come from the broker, not from the consumer: what a stuck consumer believes is what cannot be trusted.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import structlog
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from processors.runtime.kafka import reader_config
from processors.runtime.progress import Outlook, Place, Progress
from processors.runtime.settings import Settings
from processors.runtime.watchdog import Backlog, Watchdog

INTERVAL_S = 5.0
REQUEST_S = 10.0
NO_GROUP = "monitor"
STALLED_EXIT = os.EX_TEMPFAIL
MAX_SAMPLES = 720
log = structlog.get_logger(__name__)


class Ends:
    """When the end of a partition passed each offset; says since when the oldest unread record has been there.

    Right to one look; kept short by thinning out, which makes a very old lag look up to twice that much younger.
    """

    def __init__(self) -> None:
        self._samples: list[tuple[int, float]] = []

    def since(self, committed: int, end: int, now: float) -> float | None:
        """Time of the look that first saw an end beyond ``committed``; None if there is nothing."""
        if end > (self._samples[-1][0] if self._samples else committed):
            self._samples.append((end, now))
        self._samples = [sample for sample in self._samples if sample[0] > committed]
        if len(self._samples) > MAX_SAMPLES:
            del self._samples[1:-1:2]
        return self._samples[0][1] if self._samples else None


class OffsetSource(Protocol):
    """What the broker says about partitions of consumer groups. ``KafkaException``: it does not answer."""

    def ends(self, places: Collection[Place]) -> dict[Place, int]:
        """Offset after the last record of each."""
        ...

    def starts(self, places: Collection[Place]) -> dict[Place, int]:
        """Offset of the first record of each."""
        ...

    def committed(self, group: str, places: Collection[Place]) -> dict[Place, int]:
        """Offset that each will be read from; those never committed are left out."""
        ...


class Offsets:
    """``OffsetSource`` by consumers that join no group.

    Not by the admin client: a request of its that was open when the broker went away has ended the whole process
    (an assertion in librdkafka 2.16, seen in the broker's restart test). A consumer that saw a leader die may not learn
    of the next one and be refused or wait for minutes (seen when one of three brokers died): what failed is replaced.

    Args:
        connect: Makes a consumer of a group.
    """

    def __init__(self, connect: Callable[[str], Consumer]) -> None:
        self._connect = connect
        self._readers: dict[str, Consumer] = {}

    def ends(self, places: Collection[Place]) -> dict[Place, int]:
        """See ``OffsetSource``."""
        return self._list(places, OFFSET_END)

    def starts(self, places: Collection[Place]) -> dict[Place, int]:
        """See ``OffsetSource``."""
        return self._list(places, OFFSET_BEGINNING)

    def committed(self, group: str, places: Collection[Place]) -> dict[Place, int]:
        """See ``OffsetSource``."""
        if not places:
            return {}
        with self._reader(group) as reader:
            found = reader.committed([TopicPartition(p.topic, p.partition) for p in places], timeout=REQUEST_S)
        return {Place(f.topic, f.partition): f.offset for f in found if f.error is None and f.offset >= 0}

    def _list(self, places: Collection[Place], which: int) -> dict[Place, int]:
        """The broker takes the two names of an offset for times as well."""
        if not places:
            return {}
        with self._reader(NO_GROUP) as reader:
            asked = [TopicPartition(p.topic, p.partition, which) for p in places]
            found = reader.offsets_for_times(asked, timeout=REQUEST_S)
            for each in found:
                if each.error is not None:
                    raise KafkaException(each.error)
        return {Place(f.topic, f.partition): f.offset for f in found}

    @contextmanager
    def _reader(self, group: str) -> Iterator[Consumer]:
        if group not in self._readers:
            self._readers[group] = self._connect(group)
        try:
            yield self._readers[group]
        except KafkaException:
            self._readers.pop(group).close()
            raise


class Monitor(threading.Thread):
    """Looks at all capabilities of this process every few seconds.

    Attributes:
        backlogs: What lay in each partition at the last look, by capability.
        broker_up: Whether the broker answered at the last look; None before the first.
    """

    def __init__(
        self,
        progresses: Sequence[Progress],
        settings: Settings,
        end_process: Callable[[str, Sequence[Progress]], None] | None = None,
        offsets: OffsetSource | None = None,
    ) -> None:
        """
        Args:
            progresses: Of each capability in this process.
            settings: Broker, and how long a worker may stand still.
            end_process: What to do with one that stands still; None: end it.
            offsets: Who is asked; None: the broker.
        """
        super().__init__(name="monitor", daemon=True)
        self.backlogs: dict[str, Mapping[Place, Backlog]] = {}
        self.broker_up: bool | None = None
        self._progresses = progresses
        self._offsets = offsets or Offsets(lambda group: Consumer(reader_config(settings.kafka, group)))
        self._stall_s = settings.worker.stall_s
        self._interval_s = min(INTERVAL_S, self._stall_s / 4)
        self._watchdog = Watchdog(self._stall_s, self._interval_s)
        self._end_process = end_process or end_stalled
        self._ends: dict[tuple[str, Place], Ends] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        """Until ``stop``. The C timer ends the process if even this thread gets no turn (a lock held for ever)."""
        while not self._stopping.wait(self._interval_s):
            faulthandler.dump_traceback_later(self._stall_s + 6 * REQUEST_S, exit=True)
            self.look()
        faulthandler.cancel_dump_traceback_later()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()

    def look(self) -> None:
        """Ask the broker once and judge."""
        found: list[tuple[Progress, Mapping[Place, Backlog] | None]] = []
        for progress in self._progresses:
            try:
                backlogs = self._backlogs(progress, progress.outlook, time.time())
            except (KafkaException, TimeoutError) as error:
                log.warning("offsets unknown", capability=progress.name, error=str(error))
                self.broker_up = False
                found.append((progress, None))
            else:
                self.broker_up = True
                self.backlogs[progress.name] = backlogs
                found.append((progress, backlogs))
        reason = self._watchdog.look(time.monotonic(), found)
        if reason and not self._stopping.is_set():
            self._end_process(reason, self._progresses)

    def _backlogs(self, progress: Progress, outlook: Mapping[Place, Outlook], now: float) -> dict[Place, Backlog]:
        places = list(outlook)
        committed = self._offsets.committed(progress.group, places)
        ends = self._offsets.ends(places)
        # never committed, or committed before what retention has left: the first record there is comes next
        behind = [p for p in places if p not in committed or ends[p] > committed[p]]
        starts = self._offsets.starts(behind)
        found = {}
        for place in places:
            first = max(committed.get(place, 0), starts.get(place, 0))
            found[place] = self._backlog(progress.name, place, first, ends[place], outlook[place], now)
        for key in [k for k in self._ends if k[0] == progress.name and k[1] not in found]:
            del self._ends[key]
        return found

    def _backlog(self, name: str, place: Place, first: int, end: int, outlook: Outlook, now: float) -> Backlog:
        seen = self._ends.setdefault((name, place), Ends()).since(first, end, now)
        records = max(0, end - first)
        if not records or seen is None:
            return Backlog(first, 0, due=False)
        if outlook.waits(now):
            return Backlog(first, records, due=False)
        return Backlog(first, records, due=True, since=outlook.oldest_at or outlook.due_at or seen)


def end_stalled(reason: str, progresses: Sequence[Progress]) -> None:
    """Say why, show what every thread and every task in hand is at, and end this process at once."""
    log.error("worker stands still, ending the process", reason=reason, exit_code=STALLED_EXIT)
    for progress in progresses:
        for task in progress.tasks:
            sys.stderr.write(
                f"{progress.name} in hand:\n" + "".join(f"  {line}\n" for line in _awaited(task.get_coro()))
            )
    faulthandler.dump_traceback(all_threads=True)
    sys.stderr.flush()
    os._exit(STALLED_EXIT)


def _awaited(coroutine: Any) -> Iterator[str]:
    """Where a suspended coroutine is, and each that it waits for; a task itself tells its outermost frame only."""
    while frame := getattr(coroutine, "cr_frame", None):
        yield f'File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_name}'
        coroutine = coroutine.cr_await
