"""Work off the event loop."""

from __future__ import annotations

import os
import threading
import time

import pytest

from processors.runtime.offload import Inline, Processes, Threads, offload_for
from schemas.errors import BadMediaError, BugError, UnavailableError


def process_and_thread(mark: str) -> tuple[str, int, str]:
    return mark, os.getpid(), threading.current_thread().name


def reject() -> None:
    raise BadMediaError("no", code="media-empty")


def die() -> None:
    os._exit(7)


def hang() -> None:
    time.sleep(60)


async def test_inline_runs_here() -> None:
    assert await Inline()(process_and_thread, "a") == ("a", os.getpid(), threading.current_thread().name)


async def test_a_thread_is_another_one() -> None:
    threads = Threads(1)
    mark, pid, thread = await threads(process_and_thread, "a")
    threads.close()
    assert (mark, pid) == ("a", os.getpid())
    assert thread.startswith("offload")


@pytest.mark.parametrize("weight", ["inline", "thread"])
async def test_errors_come_back_as_they_are(weight: str) -> None:
    offload = offload_for(weight, 1)  # type: ignore[arg-type]
    with pytest.raises(BadMediaError) as caught:
        await offload(reject)
    offload.close()
    assert caught.value.code == "media-empty"


async def test_a_child_works_dies_hangs_and_is_replaced() -> None:
    children = Processes(1, timeout_s=1.0)
    try:
        mark, pid, _ = await children(process_and_thread, "a")
        assert mark == "a"
        assert pid != os.getpid()
        with pytest.raises(BadMediaError) as rejected:
            await children(reject)
        assert rejected.value.code == "media-empty"
        with pytest.raises(BugError) as crashed:
            await children(die)
        assert crashed.value.code == "child-crashed"
        with pytest.raises(UnavailableError) as late:
            await children(hang)
        assert late.value.code == "child-timeout"
        assert (await children(process_and_thread, "b"))[0] == "b"
    finally:
        children.close()


@pytest.mark.parametrize(("weight", "kind"), [("inline", Inline), ("thread", Threads), ("process", Processes)])
def test_the_declaration_chooses(weight: str, kind: type) -> None:
    offload = offload_for(weight, 1)  # type: ignore[arg-type]
    assert isinstance(offload, kind)
    offload.close()
