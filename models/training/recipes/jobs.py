"""Parts of a run that do not wait for one another, on some processes of one thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from models.training import memo
from models.training.loop import seed_everything
from models.training.recipes.base import Curve, RecipeError, Run
from models.training.recipes.showing import Show
from schemas.errors import AppError

News = Callable[[str, str, int, float, float], None]
"""Called after each checked pass: job, curve, pass, training loss, validation measure."""
POLL_S = 0.2
"""How often progress of other processes is shown."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is done.

    Attributes:
        seed: Seed of the models.
        debug: Whether in seconds, with figures that mean nothing.
        device: ``cpu`` or ``cuda``.
        processes: How many jobs are done at a time; not under ``torchrun``, whose processes share each training.
        tables: Folders that the pages of tables are written to, beside that of the run.
    """

    seed: int
    debug: bool = False
    device: str = "cpu"
    processes: int = 1
    tables: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """A part of a run.

    Attributes:
        name: For progress and errors.
        seed: What torch is seeded with before it.
        work: Called with a `Run` and the arguments; a function of a module, so that other processes find it.
        arguments: Of ``work``, all of which can be sent to another process.
    """

    name: str
    seed: int
    work: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a job.

    Attributes:
        name: Its name.
        result: What ``work`` gave.
        curves: Of its trainings.
        cpu_s: CPU seconds.
    """

    name: str
    result: Any
    curves: Mapping[str, Curve]
    cpu_s: float


def curves_of(done: Mapping[str, Done]) -> dict[str, Curve]:
    """Of all jobs; where two were to draw the same one, that of the training that took place."""
    return {name: curve for each in done.values() for name, curve in each.curves.items()}


def run_jobs(jobs: Sequence[Job], processes: int, kept: Path | None, show: Show) -> dict[str, Done]:
    """All jobs, begun in their order; the results do not depend on the number of processes.

    Args:
        jobs: By different names.
        processes: How many work at a time; with 1 it is this one.
        kept: Folder of what is trained once for all jobs; None: each trains its own.
        show: Hears of each checked pass and each job done.

    Raises:
        RecipeError: a job failed; the message names it. The other jobs are stopped.
    """
    done = (_one(job, kept, show.news) for job in jobs)
    if processes > 1:
        done = _on_processes(jobs, min(processes, len(jobs)), kept, show.news)
    found = {}
    for each in done:
        show.done(each.name, each.cpu_s)
        found[each.name] = each
    return {job.name: found[job.name] for job in jobs}


def _one(job: Job, kept: Path | None, news: News) -> Done:
    began, run = time.process_time(), Run(partial(news, job.name))
    # on as many threads as anywhere else, since sums come out differently with their number
    with threadpool_limits(1):
        seed_everything(job.seed)
        try:
            with memo.kept_in(kept) if kept else nullcontext():
                result = job.work(run, *job.arguments)
        except AppError as error:
            raise RecipeError(f"{job.name}: {error}") from error
    curves = {name: curve for name, curve in run.curves.items() if curve.passes}
    return Done(job.name, result, curves, time.process_time() - began)


def _on_processes(jobs: Sequence[Job], processes: int, kept: Path | None, news: News) -> Iterator[Done]:
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    told: SimpleQueue[tuple[str, str, int, float, float]] = context.SimpleQueue()
    pool = ProcessPoolExecutor(processes, context, _begin, (told,))
    waiting = {pool.submit(_elsewhere, job, kept): job for job in jobs}
    try:
        while waiting:
            finished, _ = wait(waiting, POLL_S, FIRST_COMPLETED)
            while not told.empty():
                news(*told.get())
            yield from (_result(waiting.pop(future), future) for future in finished)
    finally:
        # after an error a job may have minutes to go, and its result is of no use any more
        for child in multiprocessing.active_children() if waiting else ():
            child.kill()
        pool.shutdown(cancel_futures=True)


def _result(job: Job, future: Future[Done]) -> Done:
    error = future.exception()
    if isinstance(error, AppError):
        raise error
    if error is not None:
        raise RecipeError(f"{job.name}: {type(error).__name__}: {error}") from error
    return future.result()


_told: list[News] = []
"""Of a working process: takes the news to the one that shows it."""


def _begin(told: SimpleQueue[tuple[str, str, int, float, float]]) -> None:
    """Readies a working process, which ends with the one that started it and leaves Ctrl-C to that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    _told[:] = [lambda *words: told.put(words)]


def _elsewhere(job: Job, kept: Path | None) -> Done:
    return _one(job, kept, _told[0])
