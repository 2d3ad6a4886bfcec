"""A capability's worker around its runner; Faust's app is made but never started."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP, ConsumerMessage

from processors.item_publication import item_publication
from processors.play_aggregation import play_aggregation
from processors.runtime.processor import Capability
from processors.runtime.progress import Progress
from processors.runtime.settings import Settings
from processors.runtime.transport import BatchMessage
from processors.runtime.worker import Worker
from schemas import topics

PLACES = [TP(topics.MEDIA_ANALYSED.name, number) for number in range(3)]


class Runner:
    """Notes what it is given; ``gate`` holds its work."""

    def __init__(self, capability: Capability) -> None:
        self.capability = capability
        self.progress = Progress(capability.name, capability.group)
        self.seen: list[Any] = []
        self.forgotten: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: BaseException | None = None

    async def handle(self, message: Any) -> None:
        self.seen.append(message)
        await self.gate.wait()
        if self.error:
            raise self.error

    async def handle_batch(self, records: Any) -> None:
        self.seen.append(list(records))
        await self.gate.wait()

    def forget_state(self, *what: Any) -> None:
        self.forgotten.append(what)


class Consumer:
    def __init__(self) -> None:
        self.finished: list[Any] = []
        self.commits = 0

    def done(self, message: Any) -> None:
        self.finished.append(message)

    async def commit(self) -> None:
        self.commits += 1


def make(capability: Capability, tmp_path: Path) -> Worker:
    return Worker(Runner(capability), Settings(data_dir=tmp_path))  # type: ignore[arg-type]


@pytest.fixture
def worker(tmp_path: Path) -> Any:
    """A worker whose app is a stand-in: joining a group needs a broker."""
    one: Any = make(item_publication, tmp_path)

    async def stop() -> None:
        return None

    one.app = SimpleNamespace(consumer_generation_id=0, consumer=Consumer(), stop=stop)
    return one


def message(offset: int = 0) -> ConsumerMessage:
    tp = PLACES[0]
    return ConsumerMessage(tp.topic, tp.partition, offset, 0.0, 0, [], None, b"", None, tp=tp, generation_id=1)


@pytest.mark.parametrize("capability", [item_publication, play_aggregation], ids=lambda c: c.name)
def test_the_app_is_set_up_so_that_nothing_is_lost(capability: Capability, tmp_path: Path) -> None:
    app = make(capability, tmp_path).app
    assert app.conf.id == capability.group
    assert app.conf.topic_allow_declare is False
    assert app.retry_topics == {name for name, _ in capability.retry_topics}
    assert app.batched_topics == ({t.name for t in capability.consumes} if capability.batch else set())
    assert app.gathered_topics == {t.name for t in capability.gather}
    assert app.conf.consumer_auto_offset_reset == "earliest"


async def test_a_message_is_finished_after_its_work(worker: Any) -> None:
    worker.runner.gate.clear()
    working = asyncio.create_task(worker._one(message(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert worker.runner.seen
    assert worker.app.consumer.finished == []
    worker.runner.gate.set()
    await working
    assert [m.offset for m in worker.app.consumer.finished] == [3]


async def test_a_batch_goes_to_the_runner_as_a_batch(worker: Any) -> None:
    tp = PLACES[0]
    whole = BatchMessage(tp.topic, 0, 9, 0.0, 0, [], None, b"", None, tp=tp, generation_id=1)
    whole.records = ["a", "b"]
    await worker._one(whole)
    assert worker.runner.seen == [["a", "b"]]
    assert worker.app.consumer.finished == [whole]


async def test_a_runner_that_raises_finishes_nothing(worker: Any) -> None:
    worker.runner.error = RuntimeError("escaped")
    with pytest.raises(RuntimeError):
        await worker._one(message())
    assert worker.app.consumer.finished == []


async def test_stopping_lets_work_end_and_commits_it(worker: Any) -> None:
    worker.runner.gate.clear()
    working = asyncio.create_task(worker._one(message(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stopping = asyncio.create_task(worker.stop(10))
    await asyncio.sleep(0)
    worker.runner.gate.set()
    await asyncio.gather(working, stopping)
    assert [m.offset for m in worker.app.consumer.finished] == [3]
    assert worker.app.consumer.commits == 1


async def test_stopping_gives_up_what_takes_too_long_and_does_not_finish_it(worker: Any) -> None:
    worker.runner.gate.clear()
    working = asyncio.create_task(worker._one(message(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await worker.stop(0.01)
    await working
    assert worker.app.consumer.finished == []
    assert worker._in_hand == set()


async def test_nothing_new_is_begun_while_stopping(worker: Any) -> None:
    await worker.stop(0)
    late = asyncio.create_task(worker._one(message(4)))
    await asyncio.sleep(0.01)
    assert worker.runner.seen == []
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late


async def assigned(worker: Any, generation: int, *places: TP) -> None:
    worker.app.consumer_generation_id = generation
    await worker._on_assigned(set(places))


async def test_the_first_assignment_and_one_after_an_absence_read_the_state(worker: Any) -> None:
    await assigned(worker, 4, *PLACES)
    assert len(worker.runner.forgotten) == 1
    await assigned(worker, 9, *PLACES)
    assert len(worker.runner.forgotten) == 2


async def test_a_rebalance_that_takes_nothing_keeps_the_state(worker: Any) -> None:
    await assigned(worker, 4, *PLACES)
    worker.runner.forgotten.clear()
    await assigned(worker, 5, *PLACES)
    assert worker.runner.forgotten == [({0, 1, 2},)]


async def test_a_partition_that_was_elsewhere_meanwhile_is_read_anew(worker: Any) -> None:
    """Scaled out and in again: we were a member of every generation, but another worker owned partition 0 in one of
    them and has written its state."""
    await assigned(worker, 4, *PLACES)
    worker.runner.forgotten.clear()
    await assigned(worker, 5, *PLACES[1:])
    await assigned(worker, 6, *PLACES)
    assert worker.runner.forgotten[-1] == ({1, 2},), "the state of partition 0 is that of generation 4"


def test_concurrency_is_the_capabilitys(tmp_path: Path) -> None:
    slow = dataclasses.replace(item_publication, state=None, concurrency=3)
    (agent,) = make(slow, tmp_path).app.agents.values()
    assert agent.concurrency == 3
