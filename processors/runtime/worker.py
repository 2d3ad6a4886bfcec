"""Capabilities as Faust apps: one app, one consumer group each.

Faust consumes, balances and commits; ``runner.py`` decides what happens to an event. Topics are raw bytes for Faust:
a record that Faust cannot decode would be lost, one that we cannot decode becomes a dead letter.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import structlog
from prometheus_client import REGISTRY

from processors.runtime import aiokafka_login, endpoint, metrics, tracing
from processors.runtime.lease import Lease
from processors.runtime.monitor import Monitor
from processors.runtime.processor import Capability
from processors.runtime.progress import Progress
from processors.runtime.runner import Runner
from processors.runtime.settings import Settings
from processors.runtime.transport import BatchMessage, GuardedApp, GuardedConsumer

BUFFERED_EVENTS = 16
BUFFERED_BATCHES = 2
POLL_EVENTS = 32
FETCH_BYTES = 1024**2
CANCEL_S = 3.0
BEAT_S = 1.0
POLL_BATCH = 50_000
FETCH_BATCH_BYTES = 4 * 1024**2
"""Most bytes of one partition in a poll of a batched topic; a large batch writes each state once for many events."""
GC_THRESHOLDS = (100_000, 50, 100)
"""A batch is some ten thousand records that die together: looking for cycles at each 700 new objects takes a third
of the time (measured)."""
log = structlog.get_logger(__name__)


class Worker:
    """One capability's Faust app and its runner."""

    def __init__(self, runner: Runner, settings: Settings) -> None:
        self.runner = runner
        self.capability = runner.capability
        self.progress = runner.progress
        self.lease = Lease(settings.kafka.lease_s)
        self.runner.lease = self.lease
        self.app = _new_app(self.capability, settings, self.lease)
        self._in_hand: set[asyncio.Future[Any]] = set()
        self._closing = False
        self._generation = -1
        self._numbers: set[int] = set()
        self._handover_s = settings.kafka.session_timeout_s / 3
        self._declare_agent()
        self.app.on_partitions_assigned.connect(self._on_assigned)
        self.app.on_partitions_revoked.connect(self._on_revoked)

    async def start(self) -> None:
        """Join the consumer group."""
        self.app.finalize()
        await self.app.start()

    async def stop(self, grace_s: float) -> None:
        """Take no new event, finish those in hand or give them up after ``grace_s``, commit, leave the group.

        An event given up is not committed: another worker gets it.
        """
        self._closing = True
        if self._in_hand:
            _, late = await asyncio.wait(self._in_hand, timeout=grace_s)
            await _cancel(late)
            if late:
                log.warning("gave up events in hand", capability=self.capability.name, events=len(late))
        await self.app.consumer.commit()
        await self.app.stop()

    def _declare_agent(self) -> None:
        names = [t.name for t in self.capability.consumes] + [name for name, _ in self.capability.retry_topics]
        channel = self.app.topic(
            *names,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,
        )

        async def work(stream: Any) -> None:
            async for event in stream.events():
                await self._one(event.message)

        self.app.agent(channel, name=self.capability.group, concurrency=self.capability.concurrency)(work)

    async def _on_revoked(self, *_args: Any, **_kwargs: Any) -> None:
        """Let work in hand end and be committed before another worker begins, so that a handover repeats nothing.

        What takes too long is done again there; on state it must not even go on here.
        """
        self.progress.joined = False
        self.progress.sign()
        if not self._in_hand:
            return
        patience_s = self._handover_s if self.lease.held else 0.0
        _, late = await asyncio.wait(self._in_hand, timeout=patience_s)
        if self.capability.state is not None:
            await _cancel(late)
        await self.app.consumer.commit()

    async def _on_assigned(self, *args: Any, **_kwargs: Any) -> None:
        """Keep the state of partitions that were ours in the generation before and are ours now, and no other."""
        generation = self.app.consumer_generation_id
        unbroken = generation == self._generation + 1
        numbers = {tp.partition for tp in args[-1]}
        self.runner.forget_state(self._numbers & numbers if unbroken else ())
        self._generation, self._numbers = generation, numbers
        self.progress.joined = True
        self.progress.sign()
        metrics.REBALANCES.labels(self.capability.name).inc()

    def beat(self) -> None:
        """Say that the event loop came by, and what lies before it."""
        self.progress.beat(cast(GuardedConsumer, self.app.consumer).outlook())

    async def _one(self, message: Any) -> None:
        """Work on one message as a task of its own, so that a stop can wait for it or give it up."""
        if self._closing:
            await asyncio.Event().wait()
        step = self.runner.handle_batch(message.records) if isinstance(message, BatchMessage) else None
        task = asyncio.ensure_future(step or self.runner.handle(message))
        self._in_hand.add(task)
        self.progress.begin(task)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
        else:
            cast(GuardedConsumer, self.app.consumer).done(message)
        finally:
            self._in_hand.discard(task)
            self.progress.end(task)


async def _cancel(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Stop tasks and let each uncount the start of its event."""
    late = list(tasks)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=CANCEL_S)


def _new_app(capability: Capability, settings: Settings, lease: Lease) -> GuardedApp:
    kafka = settings.kafka
    folder = settings.data_dir / "faust"
    folder.mkdir(parents=True, exist_ok=True)
    batched = [t.name for t in capability.consumes] if capability.batch else []
    return GuardedApp(
        capability.group,
        lease=lease,
        batched_topics=batched,
        gathered_topics=[t.name for t in capability.gather],
        retry_topics=[name for name, _ in capability.retry_topics],
        broker=";".join(f"kafka://{address}" for address in kafka.bootstrap.split(",")),
        broker_credentials=aiokafka_login.credentials(kafka),
        datadir=str(Path(folder) / capability.group),
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_session_timeout=kafka.session_timeout_s,
        broker_heartbeat_interval=kafka.heartbeat_s,
        broker_commit_interval=kafka.commit_interval_s,
        broker_request_timeout=90.0,
        broker_max_poll_records=POLL_BATCH if capability.batch else POLL_EVENTS,
        consumer_max_fetch_size=FETCH_BATCH_BYTES if capability.batch else FETCH_BYTES,
        stream_buffer_maxsize=BUFFERED_BATCHES if capability.batch else BUFFERED_EVENTS,
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
    )


async def run(runners: Sequence[Runner], settings: Settings) -> None:
    """Run capabilities in this process until SIGTERM or SIGINT, or until one of them dies.

    Raises:
        RuntimeError: an app stopped by itself; the supervisor starts the process anew.
        AppError: the metrics port is taken, or tracing is asked for and not installed.
    """
    tracing.configure(settings.tracing, "overture-" + "-".join(runner.capability.group for runner in runners))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    workers = [Worker(runner, settings) for runner in runners]
    monitor = Monitor([worker.progress for worker in workers], settings)
    _show(monitor, [worker.progress for worker in workers], settings)
    await asyncio.gather(*[runner.warm() for runner in runners])
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    await asyncio.gather(*[worker.start() for worker in workers])
    beating = asyncio.ensure_future(_beat(workers))
    monitor.start()
    log.info("working", capabilities=[w.capability.name for w in workers])
    died = [asyncio.ensure_future(worker.app.wait_until_stopped()) for worker in workers]
    stop_asked = asyncio.ensure_future(stopping.wait())
    await asyncio.wait([stop_asked, *died], return_when=asyncio.FIRST_COMPLETED)
    dead = [w.capability.name for w, d in zip(workers, died, strict=True) if d.done()]
    log.info("stopping", asked=stopping.is_set(), dead=dead)
    monitor.stop()
    await asyncio.gather(*[worker.stop(settings.worker.stop_grace_s) for worker in workers])
    for task in [*died, stop_asked, beating]:
        task.cancel()
    if dead:
        raise RuntimeError(f"stopped by themselves: {', '.join(dead)}")


def _show(monitor: Monitor, progresses: Sequence[Progress], settings: Settings) -> None:
    """Metrics and checks for whoever asks, if there is a port for them."""
    if not settings.worker.metrics_port:
        return
    metrics.build_info(REGISTRY)
    REGISTRY.register(metrics.ProgressMetrics(progresses, monitor))
    checks = endpoint.worker_checks(progresses, settings.worker.stall_s)
    endpoint.serve(settings.worker.metrics_host, [settings.worker.metrics_port], checks=checks)


async def _beat(workers: Sequence[Worker]) -> None:
    while True:
        for worker in workers:
            worker.beat()
        await asyncio.sleep(BEAT_S)
