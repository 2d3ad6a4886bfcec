"""What a candidate's process says about itself when it has read everything: one JSON line on its standard output.

Standard library only: peers run it in an environment of their own.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


class Clock:
    """From the first record delivered to the last one finished."""

    def __init__(self, wanted: int) -> None:
        """Stop at ``wanted`` records."""
        self._wanted = wanted
        self._seen = 0
        self._started = 0.0
        self._cpu = 0.0

    def delivered(self) -> None:
        """Records were handed over; starts the clock the first time."""
        if not self._started:
            self._started, self._cpu = time.perf_counter(), time.process_time()

    def finish(self, records: int) -> None:
        """So many more are finished."""
        self._seen += records

    @property
    def all_seen(self) -> bool:
        """Whether that was all of them."""
        return self._seen >= self._wanted

    def finished(self, records: int) -> bool:
        """So many more are finished; whether that was all of them, and the line is written."""
        self.finish(records)
        if self.all_seen:
            self.stop()
        return self.all_seen

    def stop(self, **more: object) -> None:
        """Write the line."""
        seconds = time.perf_counter() - self._started
        cpu = time.process_time() - self._cpu
        # not ru_maxrss: it begins with what the parent had
        status = Path("/proc/self/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
        line = {"events": self._seen, "seconds": seconds, "cpu_s": cpu, "rss_mib": peak, **more}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
