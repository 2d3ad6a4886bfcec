"""Events that end as dead letters: at once, or because they kill their process."""

from __future__ import annotations

import pytest

from processors.runtime.letters import Letter
from schemas import topics
from schemas.errors import BadEventError, BadMediaError, UnavailableError
from schemas.ids import stable_id
from tests.fakes.runtime import KafkaRecord
from tests.unit.processors.runtime.runner_bench import (
    DEAD,
    KNOWN,
    SOURCE,
    TRACE,
    Bench,
    KilledError,
    event,
    failing,
    fine,
    record,
    rejection,
)

pytestmark = pytest.mark.usefixtures("no_waits")

# events that cannot be worked on


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


def test_letters_name_an_event_by_its_origin() -> None:
    """The attempt log counts by it, through every retry topic."""
    assert Letter.of(record(7), 0, retried=False).place == f"{SOURCE.name}/5/7"
