"""Blocking work off the event loop: in a thread, or in a child process that may crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from processors.runtime.processor import Weight
from schemas.errors import BugError, UnavailableError

T = TypeVar("T")
CHILD_TIMEOUT_S = 60.0


class Inline:
    """Runs the work where it is called; for work of microseconds."""

    async def __call__(self, function: Callable[..., T], /, *args: Any) -> T:
        return function(*args)

    def close(self) -> None:
        """Nothing is held."""


class Threads:
    """Runs the work in a thread; right for ONNX Runtime and OpenCV, which release the GIL."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="offload")

    async def __call__(self, function: Callable[..., T], /, *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    def close(self) -> None:
        """Let running work end, drop what waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Processes:
    """Runs the work in a child process; a crashed or stuck child is replaced, the others go on."""

    def __init__(self, workers: int, timeout_s: float = CHILD_TIMEOUT_S) -> None:
        self._pool = ProcessPool(max_workers=workers)
        self._timeout_s = timeout_s

    async def __call__(self, function: Callable[..., T], /, *args: Any) -> T:
        """Result of ``function(*args)``, all picklable.

        Raises:
            BugError: the child died (code ``child-crashed``): the input is tried once more, then given up.
            UnavailableError: the child took longer than the limit (code ``child-timeout``).
        """
        future = self._pool.schedule(function, args=args, timeout=self._timeout_s)
        try:
            result: T = await asyncio.wrap_future(future)
        except ProcessExpired as error:
            raise BugError(
                f"child process died with exit code {error.exitcode} in {function.__qualname__}", code="child-crashed"
            ) from error
        except FutureTimeoutError as error:
            raise UnavailableError(
                f"{function.__qualname__} took longer than {self._timeout_s} s", code="child-timeout"
            ) from error
        return result

    def close(self) -> None:
        """Stop the children."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join(timeout=5)


def offload_for(weight: Weight, workers: int) -> Inline | Threads | Processes:
    """The way to run work as heavy as ``weight``."""
    match weight:
        case "inline":
            return Inline()
        case "thread":
            return Threads(workers)
        case "process":
            return Processes(workers)
