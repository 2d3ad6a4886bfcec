"""What the service measures beside its requests, and the trace it begins."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from features.ports import FeatureRow
from processors.runtime.endpoint import serve
from processors.runtime.topics_admin import DEAD_LETTER_RETENTION
from processors.serving import measured
from processors.serving.dead_letters import WaitingLetters
from processors.serving.decoding import Decoder
from processors.serving.measured import Dependencies, MeasuredFeatures
from processors.serving.metrics import ServiceMetrics
from schemas.errors import AppError, UnavailableError
from schemas.pipeline import DeadLettered, LetterHandled
from schemas.topics import DEAD_LETTERED, LETTER_HANDLED
from tests.fakes.serving import NOW, MemoryFeatures, Service, no_registry, numbered_codec

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
POST = {"kind": "post", "uploader": "ada", "text": "a walk by the river"}


@pytest.mark.parametrize("given", [PARENT, None, "garbage"])
async def test_an_upload_begins_or_continues_a_trace(given: str | None) -> None:
    service = Service()
    headers = {"Idempotency-Key": "k"} | ({"traceparent": given} if given else {})
    async with service.client() as client:
        answer = await client.post(
            "/v1/uploads", files={name: (None, value) for name, value in POST.items()}, headers=headers
        )
    assert answer.status_code == 202, answer.text
    ((emit,),) = [service.publisher.events]
    carried = emit.headers["traceparent"].decode()
    assert carried == PARENT if given == PARENT else carried.split("-")[1] not in (TRACE, "0" * 32)


def sample(metrics: ServiceMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


async def test_feature_reads_are_counted_by_what_was_found() -> None:
    metrics, features = ServiceMetrics(), MemoryFeatures()
    features.rows["user_taste_v1", "u"] = FeatureRow("u", NOW - timedelta(seconds=90), {})
    reader = MeasuredFeatures(features, metrics, lambda: NOW)
    rows = await reader.read("user_taste_v1", ["u", "nobody", "nobody else"])
    assert [row is not None for row in rows] == [True, False, False]
    view = {"view": "user_taste_v1"}
    assert sample(metrics, "overture_feature_reads_total", outcome="found", **view) == 1
    assert sample(metrics, "overture_feature_reads_total", outcome="missing", **view) == 2
    assert sample(metrics, "overture_feature_age_seconds_sum", **view) == 90


@pytest.mark.parametrize("late", [False, True])
async def test_reads_that_fail_or_are_given_up_are_unavailable(*, late: bool) -> None:
    class Away(MemoryFeatures):
        async def read(self, view: str, entity_ids: Any) -> Any:
            if late:
                await asyncio.sleep(60)
            raise UnavailableError("away")

    metrics = ServiceMetrics()
    with pytest.raises((UnavailableError, TimeoutError)):
        async with asyncio.timeout(0.01 if late else None):
            await MeasuredFeatures(Away(), metrics, lambda: NOW).read("user_taste_v1", ["u"])
    assert sample(metrics, "overture_feature_reads_total", view="user_taste_v1", outcome="unavailable") == 1


async def test_dependencies_show_whether_they_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "PROBE_LIMIT_S", 0.01)
    metrics, asked = ServiceMetrics(), []

    async def good() -> None:
        return

    async def away() -> None:
        raise UnavailableError("refused")

    async def stuck() -> None:
        asked.append(1)
        await asyncio.sleep(60)

    dependencies = Dependencies({"good": good, "away": away, "stuck": stuck}, metrics)
    await dependencies.look()
    await dependencies.look()
    shown = {name: sample(metrics, "overture_dependency_up", dependency=name) for name in ("good", "away", "stuck")}
    assert shown == {"good": 1, "away": 0, "stuck": 0}
    assert len(asked) == 1, "one that does not answer is not asked again and again"
    await dependencies.start()
    await dependencies.stop()


class Letters:
    def __init__(self) -> None:
        self.codec = numbered_codec()
        self.now = NOW
        self.view = WaitingLetters(Decoder(self.codec, no_registry), ["one", "two"], lambda: self.now)

    def given_up(self, offset: int, seconds: float = 0, capability: str = "one") -> None:
        letter = DeadLettered(
            event_id="e",
            occurred_at=NOW + timedelta(seconds=seconds),
            capability=capability,
            key="k",
            origin_topic="t",
            origin_partition=3,
            origin_offset=offset,
            dead_letter_topic="d",
            attempts=1,
            code="bug",
            text="",
        )
        self.view.apply(DEAD_LETTERED.name, "k", self.codec.encode(letter))

    def handled(self, offset: int, seconds: float) -> None:
        record = LetterHandled(
            event_id="h",
            occurred_at=NOW + timedelta(seconds=seconds),
            place="d/0/0",
            capability="one",
            code="bug",
            origin=f"t/3/{offset}",
            action="replayed",
            times=1,
            sent_to="",
            run_id="r",
            run_letters=1,
            by="ada",
            reason="",
        )
        self.view.apply(LETTER_HANDLED.name, "d/0/0", self.codec.encode(record))

    def shown(self) -> dict[tuple[str, str], float]:
        return {(s.name, s.labels["capability"]): s.value for family in self.view.collect() for s in family.samples}


def test_dead_letters_wait_until_somebody_handles_them() -> None:
    letters = Letters()
    letters.given_up(1)
    letters.given_up(2, 10)
    letters.given_up(2, 10)
    letters.now = NOW + timedelta(seconds=60)
    assert letters.shown() == {
        ("overture_dead_letters", "one"): 2,
        ("overture_dead_letters", "two"): 0,
        ("overture_dead_letter_age_seconds", "one"): 60,
        ("overture_dead_letter_age_seconds", "two"): 0,
    }
    letters.handled(1, 20)
    assert letters.shown()["overture_dead_letters", "one"] == 1
    assert letters.shown()["overture_dead_letter_age_seconds", "one"] == 50
    letters.given_up(1, 30)
    assert letters.shown()["overture_dead_letters", "one"] == 2, "given up again after the replay"


def test_the_order_of_the_two_topics_does_not_matter_and_old_ones_go() -> None:
    letters = Letters()
    letters.handled(1, 20)
    letters.given_up(1)
    assert letters.shown()["overture_dead_letters", "one"] == 0
    letters.given_up(2)
    letters.now = NOW + DEAD_LETTER_RETENTION + timedelta(seconds=1)
    assert letters.shown()["overture_dead_letters", "one"] == 0


def test_each_process_has_a_port_of_its_own() -> None:
    metrics = ServiceMetrics()
    first = serve("127.0.0.1", [0], metrics.registry, {"/livez": lambda: {"loop": False}})
    taken = first.server_port
    second = serve("127.0.0.1", [taken, 0], metrics.registry)
    try:
        shown = httpx.get(f"http://127.0.0.1:{second.server_port}/metrics")
        assert "overture_build_info{" in shown.text
        assert "process_resident_memory_bytes" in shown.text
        assert httpx.get(f"http://127.0.0.1:{taken}/livez").status_code == 503
        assert httpx.get(f"http://127.0.0.1:{taken}/else").status_code == 404
        with pytest.raises(AppError, match=f"no port of 127.0.0.1:{taken}") as raised:
            serve("127.0.0.1", [taken])
        assert raised.value.code == "port-taken"
    finally:
        for server in (first, second):
            server.shutdown()
            server.server_close()
