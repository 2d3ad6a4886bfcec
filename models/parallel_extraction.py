"""Sound, picture and text of one item encoded at the same time.

The encoders spend their time in native code that releases the interpreter lock, so threads are enough; each encoder
keeps its own number of threads. What is gained is the wait for one item, not work: the processor time is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

Found = TypeVar("Found")


class ParallelExtraction:
    """Workers shared by all items; may be used by several threads at once. Close it at the end.

    Args:
        workers: Threads beside those that call `run`, >= 1; a part that finds none free waits for one.
    """

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="extraction")

    def run(self, parts: Mapping[str, Callable[[], Found]]) -> dict[str, Found]:
        """Results by name, in the order given.

        The first part runs in the calling thread: name the slowest first. All parts have ended when this returns or
        raises.

        Raises:
            Exception: What the first failing part, in the order given, raised.
        """
        if not parts:
            return {}
        (first, work), *others = parts.items()
        waiting = {name: self._pool.submit(each) for name, each in others}
        try:
            found = {first: work()}
        finally:
            wait(waiting.values())
        return found | {name: future.result() for name, future in waiting.items()}

    def close(self) -> None:
        """Let running parts end."""
        self._pool.shutdown()
