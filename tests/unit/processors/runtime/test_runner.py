"""What becomes of one event that is worked on: its results, or a rejection."""

from __future__ import annotations

from typing import Any

import pytest

from processors.runtime.processor import Emit, Received
from schemas import topics
from schemas.codec import Codec
from schemas.errors import BadMediaError, UnavailableError
from schemas.ids import stable_id
from schemas.media import MediaRejected, MediaWithdrawn
from schemas.play import SongPlayed
from tests.fakes.runtime import NOW, KafkaRecord, schema_text
from tests.unit.processors.runtime.runner_bench import (
    DEAD,
    FIRST_RETRY,
    KNOWN,
    SOURCE,
    TRACE,
    Bench,
    answer,
    event,
    failing,
    fine,
    record,
    rejection,
)

pytestmark = pytest.mark.usefixtures("no_waits")


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
