"""Reviews on a real broker and Redis: moderators work side by side, the worker is killed, the log holds."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from features.review_leases import RedisLeases
from models.review_audit import verify
from processors.commands import moderation
from processors.runtime.kafka import producer_config
from processors.runtime.processor import Emit
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.serving.app import create_app
from processors.serving.decoding import Decoder
from processors.serving.follower import Follower, kafka_consumer
from processors.serving.gate import Gate
from processors.serving.key_file import KeyFile
from processors.serving.keys import KeyRing
from processors.serving.metrics import ServiceMetrics
from processors.serving.parts import utc_now
from processors.serving.review.parts import ReviewParts, weights_of
from processors.serving.review.view import CaseView
from processors.tools.moderation import reading
from schemas.common import Reason
from schemas.review import ReviewActed, ReviewRequested
from schemas.topics import REVIEW_ACTED, REVIEW_AUDITED, REVIEW_REQUESTED
from tests.fakes.serving import Service
from tests.integration.processors.counting_workers import Workers, rewind, worker_settings

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
NAME = "review_settlement"
CASES = 48
BORDER = 0.651
RUN = uuid.uuid4().hex[:8]


def score(number: int) -> float:
    """Evenly over the band of review."""
    return 0.5 + 0.3 * number / CASES


def request(number: int) -> ReviewRequested:
    sent = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=number)
    return ReviewRequested(
        event_id=f"{RUN}-q{number}",
        review_id=f"{RUN}-{number}",
        subject="media",
        subject_id=f"{RUN}-m{number}",
        owner=f"{RUN}-u{number}",
        source_event_id=f"{RUN}-s{number}",
        occurred_at=sent,
        produced_at=sent,
        capability="content_moderation",
        reasons=(Reason(code="image-nsfw", text="t"),),
        scores={"nsfw": score(number)},
        model_version="1",
    )


@pytest.fixture
def settings(streams_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return worker_settings(streams_settings, monkeypatch, NAME)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with closing(Workers(tmp_path, NAME)) as found:
        yield found


class Desk:
    """The service's review routes on real parts, and what lies in the topics."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.wiring = Wiring(settings)
        decoder = Decoder(self.wiring.codec, self.wiring.registry.fetch)
        self.cases = CaseView(decoder, weights_of(settings.review), utc_now)
        follower = kafka_consumer(settings.kafka, "reviews")
        self.follower = Follower("reviews", self.cases.TOPICS, self.cases.apply, ServiceMetrics(), follower)
        file = KeyFile(folder / "keys.json")
        self.keys = {name: file.create(name, ("review",), utc_now())[0] for name in ("ada", "bob", "eve")}
        parts = replace(
            Service(gate=Gate(KeyRing(file, utc_now))).parts,
            publisher=self.wiring.publisher,
            metrics=ServiceMetrics(),
            review=ReviewParts(self.cases, RedisLeases(self.wiring.redis)),
            now=utc_now,
        )
        transport = httpx.ASGITransport(create_app(parts))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://service")

    async def work(self, who: str, given: list[str]) -> None:
        """Decide whatever is given, until everything of this run is decided."""
        head = {"Authorization": f"Bearer {self.keys[who]}"}
        while self.open():
            answer = await self.client.post("/v1/review/next", json={}, headers=head)
            if answer.status_code == 204:
                await asyncio.sleep(0.05)
                continue
            case: dict[str, Any] = answer.raise_for_status().json()
            if not case["review_id"].startswith(RUN):
                continue  # of another test of the session; it stays lent and is not given again
            given.append(case["review_id"])
            refuse = case["scores"]["nsfw"] >= BORDER
            body = {"action": "reject", "reasons": ["image-nsfw"]} if refuse else {"action": "approve"}
            path = f"/v1/review/cases/{case['review_id']}/actions"
            answer = await self.client.post(path, json=body, headers=head | {"Idempotency-Key": case["review_id"]})
            answer.raise_for_status()

    def open(self) -> list[str]:
        known = {f"{RUN}-{number}": self.cases.get(f"{RUN}-{number}") for number in range(CASES)}
        return [number for number, case in known.items() if case is None or case.state != "decided"]


@pytest.fixture
async def desk(settings: Settings, tmp_path: Path) -> AsyncIterator[Desk]:
    found = Desk(settings, tmp_path)
    await found.follower.start()
    yield found
    await found.follower.stop()
    await found.client.aclose()
    await found.wiring.redis.aclose()
    found.wiring.close()


async def wait(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


async def test_moderators_side_by_side_decide_each_case_once_and_the_log_holds(
    settings: Settings, workers: Workers, desk: Desk, tmp_path: Path
) -> None:
    workers.start()
    await desk.wiring.publisher.publish(
        Emit(REVIEW_REQUESTED, each.review_id, each) for each in map(request, range(CASES))
    )
    given: dict[str, list[str]] = {name: [] for name in desk.keys}

    async def kill() -> None:
        await wait("the first decisions", lambda: len(desk.open()) < CASES - 5)
        workers.kill()
        workers.start()

    await asyncio.gather(kill(), *[desk.work(who, cases) for who, cases in given.items()])
    assert sorted(number for cases in given.values() for number in cases) == sorted(
        f"{RUN}-{number}" for number in range(CASES)
    )
    assert workers.stop() == [0]
    decided = {each.review_id: each for each in reading.decisions(desk.wiring) if each.review_id.startswith(RUN)}
    assert {number: each.decision for number, each in decided.items()} == {
        f"{RUN}-{number}": "reject" if score(number) >= BORDER else "approve" for number in range(CASES)
    }
    log = list(reading.audit(desk.wiring))
    assert verify(log).broken == ""

    # everything again and the erasure of a user: no case is decided anew
    erased = ReviewActed(
        event_id=f"{RUN}-erased",
        occurred_at=utc_now(),
        moderator="system:user_erasure",
        action="erase",
        owner=f"{RUN}-u0",
    )
    await desk.wiring.publisher.publish([Emit(REVIEW_ACTED, "", erased)])
    rewind(settings, NAME)
    workers.start()
    await wait("the erasure", lambda: desk.cases.get(f"{RUN}-0") is None)
    assert workers.stop() == [0]
    assert verify(reading.audit(desk.wiring)).broken == ""
    again = {each.review_id: each for each in reading.decisions(desk.wiring) if each.review_id.startswith(RUN)}
    assert again == decided

    run = CliRunner()
    found = run.invoke(moderation.app, ["calibrate", "--reason", "image-nsfw", "--out", str(tmp_path / "found.json")])
    assert found.exit_code == 0, found.output
    line = next(line for line in found.output.splitlines() if line.startswith("OVERTURE_MODERATION__NSFW_REJECT="))
    assert abs(float(line.partition("=")[2]) - BORDER) < 0.02
    assert (tmp_path / "found.json").exists()
    listed = run.invoke(moderation.app, ["cases", "--state", "decided", "--limit", "5"])
    assert listed.exit_code == 0, listed.output
    counted = re.search(r"(\d+) cases", listed.output)
    assert counted is not None
    assert int(counted[1]) >= CASES - 1

    checked = run.invoke(moderation.app, ["audit", "verify"])
    assert (checked.exit_code, "BROKEN" in checked.output) == (0, False)
    forged = replace(log[-1], seq=log[-1].seq + 1, what="approve")
    producer = Producer(producer_config(settings.kafka))
    producer.produce(REVIEW_AUDITED.name, key="x", value=desk.wiring.codec.encode(forged))
    assert producer.flush(30) == 0
    checked = run.invoke(moderation.app, ["audit", "verify"])
    assert checked.exit_code == 1
    assert f"BROKEN: entry {forged.seq} " in checked.output
