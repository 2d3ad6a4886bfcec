"""What becomes of one event, branch by branch: broker and attempt log are fakes, nothing else is."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from processors.runtime.letters import Letter
from processors.runtime.processor import Capability, Emit, Received, RetryPolicy, capability
from processors.runtime.runner import Runner
from schemas import topics
from schemas.codec import Codec
from schemas.errors import AppError, BadEventError, BadMediaError, BugError, UnavailableError
from schemas.ids import stable_id
from schemas.media import MediaRejected, MediaStatus, MediaWithdrawn
from schemas.pipeline import DeadLettered
from schemas.play import SongPlayed
from tests.fakes.runtime import (
    NOW,
    KafkaRecord,
    MemoryAttempts,
    MemoryPartitions,
    MemorySender,
    Sent,
    codec,
    schema_text,
)

pytestmark = pytest.mark.usefixtures("no_waits")

KNOWN = codec()
RETRY = RetryPolicy((timedelta(seconds=2), timedelta(seconds=15), timedelta(minutes=2)))
SOURCE = topics.MEDIA_WITHDRAWN
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DEAD = "cap.dead-letter.v1"
FIRST_RETRY, SECOND_RETRY, THIRD_RETRY = "cap.retry-2000ms.v1", "cap.retry-15000ms.v1", "cap.retry-120000ms.v1"
Work = Callable[..., Awaitable[list[Emit]]]


class KilledError(BaseException):
    """The process died: nothing of ours runs any more."""


def event(number: int = 1) -> MediaWithdrawn:
    return MediaWithdrawn(event_id=f"e{number}", occurred_at=NOW, media_id=f"m{number}", requested_by="u")


def record(number: int = 1, **more: Any) -> KafkaRecord:
    values: dict[str, Any] = {
        "value": KNOWN.encode(event(number)),
        "key": f"m{number}".encode(),
        "partition": 5,
        "offset": number,
    }
    return KafkaRecord(SOURCE.name, **values | more)


def rejection(number: int = 1) -> MediaRejected:
    return MediaRejected(
        event_id=f"r{number}",
        source_event_id=f"e{number}",
        occurred_at=NOW,
        produced_at=NOW,
        media_id=f"m{number}",
        stage="cap",
        reasons=(),
    )


def answer(number: int = 1, **more: Any) -> Emit:
    return Emit(topics.MEDIA_REJECTED, f"m{number}", rejection(number), **more)


class Bench:
    """A runner with a capability made of ``work`` and its surroundings."""

    def __init__(self, work: Work, *, known: Codec | None = None, max_deliveries: int = 2, **declared: Any) -> None:
        values: dict[str, Any] = {
            "consumes": (SOURCE, topics.SONG_PLAYED),
            "produces": (topics.MEDIA_REJECTED, topics.MEDIA_STATUS),
            "retry": RETRY,
        }
        made: Capability = capability(**values | declared)(work)
        self.capability = dataclasses.replace(made, name="cap")
        self.log: list[str] = []
        self.sender = MemorySender(log=self.log)
        self.attempts = MemoryAttempts(log=self.log)
        self.codec = known or codec()
        self.fetched: list[int] = []
        self.schemas: dict[int, str] = {}
        self.fetch: Callable[[int], str] = self._fetch
        self.state = MemoryPartitions(lambda b: self.codec.decode(b, MediaStatus)) if made.state else None
        self.max_deliveries = max_deliveries
        self.start()

    def start(self) -> None:
        """A new process: what is in memory is gone."""
        if self.state:
            self.state.partitions.clear()
        self.runner = Runner(
            self.capability,
            sender=self.sender,
            codec=self.codec,
            fetch_schema=lambda i: self.fetch(i),
            attempts=self.attempts,
            needs={"log": self.log, "unused": 1},
            state=self.state,  # type: ignore[arg-type]
            max_deliveries=self.max_deliveries,
        )

    def _fetch(self, schema_id: int) -> str:
        self.fetched.append(schema_id)
        try:
            return self.schemas[schema_id]
        except KeyError:
            raise BadEventError("no such id", code="schema-unknown") from None

    def next_try(self, sent: Sent) -> KafkaRecord:
        """The record as its retry topic gives it."""
        assert sent.partition is not None
        return KafkaRecord(sent.topic, sent.value, sent.key, sent.partition, 9, list(sent.headers.items()))

    def notice(self) -> DeadLettered:
        (sent,) = self.sender.to(topics.DEAD_LETTERED.name)
        return KNOWN.decode(sent.value, DeadLettered)


def failing(error: BaseException) -> Work:
    async def work(event: Any) -> list[Emit]:
        raise error

    return work


async def fine(event: Any, *, log: list[str]) -> list[Emit]:
    """Answers."""
    log.append("worked")
    return [answer()]


# done


async def test_an_event_is_over_only_when_its_results_are_acknowledged() -> None:
    bench = Bench(fine)
    await bench.runner.handle(record())
    assert bench.log == ["begin", "worked", f"sent {topics.MEDIA_REJECTED.name}", "finish"]
    assert bench.attempts.starts == {}
    (sent,) = bench.sender.sent
    assert (sent.key, sent.partition, list(sent.headers)) == (b"m1", None, ["traceparent"])
    assert KNOWN.decode(sent.value, MediaRejected) == rejection()


async def test_the_handler_gets_the_event_and_what_it_names() -> None:
    seen: list[Any] = []

    async def work(event: MediaWithdrawn, *, received: Received[MediaWithdrawn], log: list[str]) -> list[Emit]:
        seen.append((event, received))
        return []

    bench = Bench(work)
    await bench.runner.handle(record())
    assert seen == [(event(), Received(event(), SOURCE.name, 5, 1))]
    assert bench.log == ["begin", "finish"]


async def test_trace_and_extra_headers_go_on() -> None:
    async def work(event: Any) -> list[Emit]:
        return [answer(headers={"x": b"1"}), answer(partition=3)]

    bench = Bench(work)
    await bench.runner.handle(record(headers=[("traceparent", TRACE), ("other", b"2")]))
    assert [s.headers for s in bench.sender.sent] == [{"x": b"1", "traceparent": TRACE}, {"traceparent": TRACE}]
    assert [s.partition for s in bench.sender.sent] == [None, 3]


async def test_a_tombstone_has_no_value() -> None:
    async def work(event: Any) -> list[Emit]:
        return [Emit(topics.MEDIA_STATUS, "m1", None)]

    bench = Bench(work)
    await bench.runner.handle(record())
    assert bench.sender.sent[0].value is None


# rejected


async def test_bad_media_is_a_rejection_and_no_dead_letter() -> None:
    bench = Bench(failing(BadMediaError("Too long for us.", code="media-too-long")))
    await bench.runner.handle(record())
    assert bench.sender.topics == [topics.MEDIA_REJECTED.name]
    (sent,) = bench.sender.sent
    found = KNOWN.decode(sent.value, MediaRejected)
    assert sent.key == b"m1"
    assert (found.media_id, found.stage, found.source_event_id, found.occurred_at) == ("m1", "cap", "e1", NOW)
    assert [(r.code, r.text) for r in found.reasons] == [("media-too-long", "Too long for us.")]
    assert found.event_id == stable_id("rejected", "e1", "cap", "media-too-long"), "the same at every delivery"
    assert bench.attempts.starts == {}


@pytest.mark.expects_errors
async def test_bad_media_of_an_event_without_media_is_a_dead_letter() -> None:
    play = SongPlayed(
        event_id="e", occurred_at=NOW, user_id="u", song_id="s", played_ms=1, duration_ms=1, completion=1.0
    )
    bench = Bench(failing(BadMediaError("no", code="media-empty")))
    await bench.runner.handle(KafkaRecord(topics.SONG_PLAYED.name, KNOWN.encode(play), b"u"))
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name]


# given up at once


@pytest.mark.expects_errors
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "value-missing"),
        (b"", "value-truncated"),
        (b"\1\0\0\0\1x", "value-magic"),
        (b"\0\0\0\7\7x", "schema-unknown"),
        (KNOWN.encode(rejection()), "value-type"),
        (KNOWN.encode(event())[:-1], "value-undecodable"),
        (KNOWN.encode(event()) + b"x", "value-trailing"),
    ],
)
async def test_an_unusable_value_is_a_dead_letter_with_its_bytes(value: bytes | None, code: str) -> None:
    bench = Bench(fine)
    await bench.runner.handle(record(value=value, headers=[("traceparent", TRACE)]))
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name]
    dead = bench.sender.to(DEAD)[0]
    assert (dead.key, dead.value, dead.partition) == (b"m1", value, None)
    assert dead.headers["x-error-code"] == code.encode()
    assert dead.headers["x-origin-topic"] == SOURCE.name.encode()
    assert (dead.headers["x-origin-partition"], dead.headers["x-origin-offset"]) == (b"5", b"1")
    assert (dead.headers["x-attempt"], dead.headers["x-capability"]) == (b"1", b"cap")
    assert dead.headers["traceparent"] == TRACE
    notice = bench.notice()
    assert (notice.code, notice.capability, notice.key, notice.attempts) == (code, "cap", "m1", 1)
    assert (notice.origin_topic, notice.origin_partition, notice.origin_offset) == (SOURCE.name, 5, 1)
    assert notice.dead_letter_topic == DEAD
    assert notice.event_id == stable_id("dead-letter", "cap", f"{SOURCE.name}/5/1")
    assert bench.sender.to(topics.DEAD_LETTERED.name)[0].key == b"m1"
    assert bench.log[-1] == "finish"


@pytest.mark.expects_errors
async def test_an_event_that_the_capability_calls_unusable() -> None:
    bench = Bench(failing(BadEventError("no object", code="object-missing")))
    await bench.runner.handle(record())
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name]
    assert bench.notice().code == "object-missing"


@pytest.mark.expects_errors
async def test_a_topic_that_nobody_knows() -> None:
    bench = Bench(fine)
    await bench.runner.handle(KafkaRecord("nobody", b"x", b"k"))
    assert bench.notice().code == "topic-unknown"


@pytest.mark.expects_errors
async def test_no_key_is_a_key_too() -> None:
    bench = Bench(fine)
    await bench.runner.handle(record(value=None, key=None))
    assert bench.sender.to(DEAD)[0].key is None
    assert bench.notice().key == ""


@pytest.mark.expects_errors
async def test_an_error_with_half_a_character_is_given_up_too() -> None:
    bench = Bench(failing(BadEventError("file \udc80")))
    await bench.runner.handle(record())
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name]


async def test_a_rejection_with_half_a_character_is_sent_too() -> None:
    bench = Bench(failing(BadMediaError("tag \udc80", code="media-unreadable")))
    await bench.runner.handle(record())
    assert bench.sender.topics == [topics.MEDIA_REJECTED.name]


@pytest.mark.expects_errors
@pytest.mark.parametrize(
    "headers",
    [[("x-attempt", None)], [("x-origin-topic", None)], [("x-origin-offset", b"9" * 30)]],
    ids=["null-number", "null-text", "huge-number"],
)
async def test_headers_of_others_do_not_stop_the_worker(headers: list[tuple[str, bytes | None]]) -> None:
    """Whatever they say, the event ends in its result or a dead letter."""
    bench = Bench(fine)
    await bench.runner.handle(record(headers=headers))
    bench.attempts.starts.clear()
    bench.sender.sent.clear()
    await bench.runner.handle(record(headers=headers, value=None))
    assert DEAD in bench.sender.topics


@pytest.mark.expects_errors
async def test_a_source_record_cannot_claim_another_partition() -> None:
    """Its retry would go to a partition that there is not, and be tried for ever."""
    bench = Bench(failing(UnavailableError("away")))
    await bench.runner.handle(record(headers=[("x-origin-partition", b"4711")]))
    assert bench.sender.sent[0].partition == 5


# tried again


async def walk(bench: Bench, tries: int) -> list[Sent]:
    """Work on an event and its retries; what was sent each time."""
    await bench.runner.handle(record(headers=[("traceparent", TRACE)]))
    found = [bench.sender.sent[-1]]
    for _ in range(tries - 1):
        await bench.runner.handle(bench.next_try(found[-1]))
        found.append(bench.sender.sent[-1])
    return found


@pytest.mark.expects_errors
async def test_unavailable_goes_through_each_delay_and_is_then_given_up() -> None:
    bench = Bench(failing(UnavailableError("Redis is away", code="redis-away")))
    await walk(bench, 4)
    assert bench.sender.topics == [FIRST_RETRY, SECOND_RETRY, THIRD_RETRY, DEAD, topics.DEAD_LETTERED.name]
    for number, sent in enumerate(bench.sender.sent[:4], start=1):
        assert (sent.key, sent.value) == (b"m1", KNOWN.encode(event()))
        assert sent.headers["x-attempt"] == str(number).encode()
        assert sent.headers["x-origin-topic"] == SOURCE.name.encode()
        assert sent.headers["x-origin-offset"] == b"1"
        assert sent.headers["traceparent"] == TRACE
    assert [s.partition for s in bench.sender.sent[:3]] == [5, 5, 5], "where the state of the event lies"
    assert len({s.headers["x-first-seen-ms"] for s in bench.sender.sent[:4]}) == 1
    assert bench.notice().attempts == 4
    assert bench.attempts.starts == {}


async def test_a_retry_waits_as_long_as_its_topic_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.runtime.failures.now_ms", lambda: 1_000_000)
    bench = Bench(failing(UnavailableError("away")))
    first, second = await walk(bench, 2)
    assert first.headers["x-not-before-ms"] == b"1002000"
    assert second.headers["x-not-before-ms"] == b"1015000"


@pytest.mark.expects_errors
@pytest.mark.parametrize("error", [RuntimeError("boom"), BugError("ours", code="decoder-bug")], ids=["foreign", "own"])
async def test_a_bug_is_tried_twice(error: Exception) -> None:
    bench = Bench(failing(error))
    await walk(bench, 2)
    assert bench.sender.topics == [FIRST_RETRY, DEAD, topics.DEAD_LETTERED.name]
    notice = bench.notice()
    assert notice.attempts == 2
    assert (notice.code, notice.text) == (
        ("decoder-bug", "ours") if isinstance(error, AppError) else ("bug", "RuntimeError: boom")
    )


async def test_a_retry_that_works_ends_the_story() -> None:
    tries: list[int] = []

    async def work(event: Any) -> list[Emit]:
        tries.append(1)
        if len(tries) < 3:
            raise UnavailableError("away")
        return [answer()]

    bench = Bench(work)
    await walk(bench, 3)
    assert bench.sender.topics == [FIRST_RETRY, SECOND_RETRY, topics.MEDIA_REJECTED.name]


async def test_the_handler_does_not_see_that_it_is_a_retry() -> None:
    seen: list[Any] = []

    async def work(event: Any, *, received: Received[Any]) -> list[Emit]:
        seen.append(received)
        if len(seen) == 1:
            raise UnavailableError("away")
        return []

    await walk(Bench(work), 2)
    assert seen[0] == seen[1]


@pytest.mark.expects_errors
@pytest.mark.parametrize("error", [UnavailableError("away"), RuntimeError("boom")])
async def test_without_delays_there_is_no_second_try(error: Exception) -> None:
    bench = Bench(failing(error), retry=RetryPolicy(()))
    await bench.runner.handle(record())
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name]


@pytest.mark.expects_errors
async def test_an_emit_that_was_not_declared_is_a_bug_and_nothing_is_sent() -> None:
    async def work(event: Any) -> list[Emit]:
        return [answer(), Emit(topics.ITEM_CHANGED, "m", None)]

    bench = Bench(work)
    await walk(bench, 2)
    assert bench.sender.topics == [FIRST_RETRY, DEAD, topics.DEAD_LETTERED.name]
    assert "item.catalogue.changed.v1" in bench.notice().text


@pytest.mark.expects_errors
async def test_a_record_that_does_not_fit_leaves_nothing_behind() -> None:
    async def work(event: Any) -> list[Emit]:
        bad = dataclasses.replace(rejection(), media_id=None)  # type: ignore[arg-type]
        return [answer(), Emit(topics.MEDIA_REJECTED, "m", bad)]

    bench = Bench(work)
    await bench.runner.handle(record())
    assert bench.sender.topics == [FIRST_RETRY]


async def test_a_handler_that_is_cancelled_leaves_the_event_open() -> None:
    bench = Bench(failing(KilledError()))
    with pytest.raises(KilledError):
        await bench.runner.handle(record())
    assert bench.sender.sent == []
    assert list(bench.attempts.starts.values()) == [1]


async def test_a_stop_is_no_crash_even_while_the_retry_waits_for_the_broker() -> None:
    bench = Bench(failing(UnavailableError("away")))
    reached, never = asyncio.Event(), asyncio.Event()

    async def send(*_args: Any) -> tuple[int, int]:
        reached.set()
        await never.wait()
        return 0, 0

    bench.sender.send = send  # type: ignore[method-assign]
    work = asyncio.create_task(bench.runner.handle(record()))
    await reached.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert list(bench.attempts.starts.values()) == [0]


# brokers and stores that are away


def refusing(times: int, only: str = "") -> Callable[[str], None]:
    left = [times]

    def refuse(topic: str) -> None:
        if topic.startswith(only) and left[0] > 0:
            left[0] -= 1
            raise UnavailableError("no ack")

    return refuse


async def test_a_result_without_ack_is_tried_again_later() -> None:
    bench = Bench(fine)
    bench.sender.refuse = refusing(1)
    await bench.runner.handle(record())
    assert bench.sender.topics == [FIRST_RETRY]


@pytest.mark.expects_errors
@pytest.mark.parametrize("topic", [DEAD, topics.DEAD_LETTERED.name])
async def test_giving_up_waits_for_the_broker(topic: str) -> None:
    bench = Bench(failing(BadEventError("no")))
    bench.sender.refuse = refusing(3, topic)
    await bench.runner.handle(record())
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name]
    assert bench.log[-1] == "finish"


async def test_rejecting_and_retrying_wait_for_the_broker() -> None:
    rejecting = Bench(failing(BadMediaError("no")))
    rejecting.sender.refuse = refusing(3)
    await rejecting.runner.handle(record())
    assert rejecting.sender.topics == [topics.MEDIA_REJECTED.name]
    retrying = Bench(failing(UnavailableError("no")))
    retrying.sender.refuse = refusing(3)
    await retrying.runner.handle(record())
    assert retrying.sender.topics == [FIRST_RETRY]


async def test_no_work_before_its_start_is_counted() -> None:
    bench = Bench(fine)
    real, left = bench.attempts.begin, [2]

    async def begin(capability: str, event: str) -> int:
        if left[0]:
            left[0] -= 1
            bench.log.append("away")
            raise UnavailableError("Redis")
        return await real(capability, event)

    bench.attempts.begin = begin  # type: ignore[method-assign]
    await bench.runner.handle(record())
    assert bench.log[:4] == ["away", "away", "begin", "worked"]


# events that kill their process


@pytest.mark.expects_errors
async def test_an_event_that_kills_the_process_is_given_up() -> None:
    bench = Bench(failing(KilledError()))
    for _ in range(2):
        with pytest.raises(KilledError):
            await bench.runner.handle(record())
        bench.start()
    await bench.runner.handle(record())
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name]
    assert bench.notice().code == "crash-loop"
    assert bench.attempts.starts == {}


async def test_starts_of_others_do_not_count() -> None:
    bench = Bench(fine)
    bench.attempts.starts = {("cap", f"{SOURCE.name}/5/2"): 9, ("other", f"{SOURCE.name}/5/1"): 9}
    await bench.runner.handle(record())
    assert bench.sender.topics == [topics.MEDIA_REJECTED.name]


# schemas


async def test_a_schema_that_is_new_to_us_is_learned_once() -> None:
    fresh = Codec()
    fresh.assign(MediaRejected.CONTRACT, 1)
    bench = Bench(fine, known=fresh)
    schema_id = int.from_bytes(KNOWN.encode(event())[1:5], "big")
    bench.schemas[schema_id] = schema_text(MediaWithdrawn.CONTRACT)
    await bench.runner.handle(record(1))
    await bench.runner.handle(record(2))
    assert bench.fetched == [schema_id]
    assert bench.sender.topics == [topics.MEDIA_REJECTED.name] * 2


async def test_a_registry_that_is_away_is_no_reason_to_give_up() -> None:
    fresh = Codec()

    def away(_schema_id: int) -> str:
        raise UnavailableError("registry", code="registry-unavailable")

    bench = Bench(fine, known=fresh)
    bench.fetch = away
    await bench.runner.handle(record())
    assert bench.sender.topics == [FIRST_RETRY]


# state


def status(seq: int, media: str = "m1") -> MediaStatus:
    return MediaStatus(media_id=media, kind="post", state="processing", seq=seq, changed_at=NOW)


async def counting(event: Any, *, state: Any, log: list[str]) -> list[Emit]:
    """One more."""
    before = state.get(event.media_id)
    seq = 1 if before is None else before.seq + 1
    log.append(f"seq {seq}")
    return [Emit(topics.MEDIA_STATUS, event.media_id, status(seq, event.media_id), partition=1)]


def stateful(work: Work = counting, **more: Any) -> Bench:
    return Bench(work, state=topics.MEDIA_STATUS, **more)


async def test_state_lies_in_the_partition_of_its_events_whatever_the_emit_says() -> None:
    bench = stateful()
    await bench.runner.handle(record(partition=6))
    assert [s.partition for s in bench.sender.sent] == [6]
    assert bench.state is not None
    assert bench.state.partitions[6].get("m1") == status(1)
    assert list(bench.state.partitions) == [6]


async def test_other_emits_of_a_stateful_capability_keep_their_partition() -> None:
    async def work(event: Any, *, state: Any) -> list[Emit]:
        return [Emit(topics.MEDIA_STATUS, "m1", status(1)), answer(), answer(partition=2)]

    bench = stateful(work)
    await bench.runner.handle(record())
    assert [s.partition for s in bench.sender.sent] == [5, None, 2]


async def test_the_next_event_sees_what_the_last_one_left() -> None:
    bench = stateful()
    await bench.runner.handle(record())
    await bench.runner.handle(record(offset=2))
    assert [x for x in bench.log if x.startswith("seq")] == ["seq 1", "seq 2"]


@pytest.mark.parametrize("topic", [topics.MEDIA_STATUS.name, topics.MEDIA_REJECTED.name])
async def test_state_changes_only_when_everything_is_acknowledged(topic: str) -> None:
    async def work(event: Any, *, state: Any) -> list[Emit]:
        return [Emit(topics.MEDIA_STATUS, "m1", status(1)), answer()]

    bench = stateful(work)
    bench.sender.refuse = refusing(1, topic)
    await bench.runner.handle(record())
    assert bench.state is not None
    assert bench.state.partitions[5].get("m1") is None
    await bench.runner.handle(bench.next_try(bench.sender.to(FIRST_RETRY)[0]))
    assert bench.state.partitions[5].get("m1") == status(1)


async def test_a_tombstone_forgets_state() -> None:
    async def work(event: Any, *, state: Any) -> list[Emit]:
        return [Emit(topics.MEDIA_STATUS, "m1", None if state.get("m1") else status(1))]

    bench = stateful(work)
    await bench.runner.handle(record())
    await bench.runner.handle(record())
    assert bench.state is not None
    assert bench.state.partitions[5].get("m1") is None


def test_state_can_be_forgotten() -> None:
    bench = stateful()
    bench.runner.forget_state()
    assert bench.state is not None
    assert bench.state.forgotten == 1
    Bench(fine).runner.forget_state()


# batches


async def many(events: Any, *, log: list[str]) -> list[Emit]:
    """Answers each."""
    log.append(f"worked on {[r.offset for r in events]}")
    return [Emit(topics.MEDIA_REJECTED, r.record.media_id, rejection(r.offset)) for r in events]


def picky(bad: int, error: BaseException) -> Work:
    """Fails on every batch that holds the event ``bad``."""

    async def work(events: Any, *, log: list[str]) -> list[Emit]:
        if any(r.offset == bad for r in events):
            raise error
        return await many(events, log=log)

    return work


async def test_a_batch_is_one_call() -> None:
    bench = Bench(many, batch=True)
    await bench.runner.handle_batch([record(i) for i in (1, 2, 3)])
    assert bench.log == ["begin", "worked on [1, 2, 3]", *[f"sent {topics.MEDIA_REJECTED.name}"] * 3, "finish"]


@pytest.mark.expects_errors
@pytest.mark.parametrize("value", [None, b"x", b"\0\0\0\7\7x", KNOWN.encode(rejection())])
async def test_an_unusable_one_among_good_ones(value: bytes | None) -> None:
    bench = Bench(many, batch=True)
    await bench.runner.handle_batch([record(1), record(2, value=value), record(3)])
    assert "worked on [1, 3]" in bench.log
    assert bench.notice().origin_offset == 2
    assert len(bench.sender.to(topics.MEDIA_REJECTED.name)) == 2
    assert bench.sender.to(DEAD)[0].value == value


@pytest.mark.expects_errors
async def test_a_batch_of_unusable_ones_is_no_work() -> None:
    bench = Bench(many, batch=True)
    await bench.runner.handle_batch([record(1, value=None), record(2, value=None)])
    assert bench.sender.topics == [DEAD, topics.DEAD_LETTERED.name] * 2
    assert bench.attempts.starts == {}


@pytest.mark.expects_errors
@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), BadEventError("no"), BadMediaError("no")], ids=lambda e: type(e).__name__
)
async def test_a_batch_that_fails_is_tried_one_by_one(error: Exception) -> None:
    bench = Bench(picky(2, error), batch=True)
    await bench.runner.handle_batch([record(i) for i in (1, 2, 3)])
    assert [x for x in bench.log if x.startswith("worked")] == ["worked on [1]", "worked on [3]"]
    assert bench.notice().origin_offset == 2
    assert len(bench.sender.to(topics.MEDIA_REJECTED.name)) == 2
    assert bench.attempts.starts == {}


async def test_a_batch_waits_for_what_is_away_and_keeps_its_order() -> None:
    left = [5]

    async def work(events: Any, *, log: list[str]) -> list[Emit]:
        if left[0]:
            left[0] -= 1
            raise UnavailableError("Milvus")
        return await many(events, log=log)

    bench = Bench(work, batch=True)
    await bench.runner.handle_batch([record(1), record(2)])
    assert "worked on [1, 2]" in bench.log
    assert set(bench.sender.topics) == {topics.MEDIA_REJECTED.name}


async def test_a_batch_waits_for_acks_and_for_the_registry() -> None:
    fresh = Codec()
    fresh.assign(MediaRejected.CONTRACT, 1)
    bench = Bench(many, batch=True, known=fresh)
    calls: list[int] = []

    def fetch(schema_id: int) -> str:
        calls.append(schema_id)
        if len(calls) < 3:
            raise UnavailableError("registry")
        return schema_text(MediaWithdrawn.CONTRACT)

    bench.fetch = fetch
    bench.sender.refuse = refusing(2)
    await bench.runner.handle_batch([record(1), record(2)])
    assert len(calls) == 3
    assert set(bench.sender.topics) == {topics.MEDIA_REJECTED.name}


async def test_state_of_a_batch_counts_once_when_an_ack_is_missing() -> None:
    async def work(events: Any, *, state: Any) -> list[Emit]:
        before = state.get("m1")
        return [Emit(topics.MEDIA_STATUS, "m1", status((before.seq if before else 0) + len(events)))]

    bench = stateful(work, batch=True)
    bench.sender.refuse = refusing(3)
    await bench.runner.handle_batch([record(i) for i in (1, 2, 3)])
    assert bench.state is not None
    found = bench.state.partitions[5].get("m1")
    assert found is not None
    assert found.seq == 3


@pytest.mark.expects_errors
@pytest.mark.parametrize("deadly", [1, 2, 3])
async def test_one_of_a_batch_that_kills_the_process_is_given_up(deadly: int) -> None:
    """The batch comes again after every death, whole; it must end some time, whichever record it is."""
    bench = Bench(picky(deadly, KilledError()), batch=True)
    for _ in range(30):
        try:
            await bench.runner.handle_batch([record(i) for i in (1, 2, 3)])
        except KilledError:
            bench.start()
        else:
            break
    else:
        pytest.fail(f"still killing the process after 30 deliveries; starts: {bench.attempts.starts}")
    assert bench.notice().origin_offset == deadly
    assert bench.notice().code == "crash-loop"
    done = {KNOWN.decode(s.value, MediaRejected).media_id for s in bench.sender.to(topics.MEDIA_REJECTED.name)}
    assert done == {f"m{i}" for i in (1, 2, 3)} - {f"m{deadly}"}


@pytest.mark.expects_errors
async def test_a_schema_that_is_none_does_not_stop_a_batch() -> None:
    """The registry may hold what is no record; only the event that names it is unusable."""
    bench = Bench(many, batch=True)
    bench.schemas[1799] = '"string"'
    await bench.runner.handle_batch([record(1), record(2, value=b"\0\0\0\7\7\2a"), record(3)])
    assert bench.notice().origin_offset == 2
    assert "worked on [1, 3]" in bench.log


def test_letters_name_an_event_by_its_origin() -> None:
    """The attempt log counts by it, through every retry topic."""
    assert Letter.of(record(7), 0, retried=False).place == f"{SOURCE.name}/5/7"
