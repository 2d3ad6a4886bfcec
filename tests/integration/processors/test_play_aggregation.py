"""Counts are exact after kills, after replaying the topic, and after clients repeat themselves."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Producer

from features.apply import apply_views
from features.feature_reader import RedisFeatureReader
from features.redis_client import connect
from processors.play_aggregation.counting import COMPLETED
from processors.runtime.kafka import producer_config
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from schemas import topics
from schemas.play import SongPlayed
from tests.integration.processors.counting_workers import Workers, rewind, worker_settings

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
NAME = "play_aggregation"
USERS, SONGS, PLAYS = 20, 15, 6000
START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def settings(streams_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    found = worker_settings(streams_settings, monkeypatch, NAME)
    apply_views(Wiring(found).feast_config)
    return found


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with closing(Workers(tmp_path, NAME)) as found:
        yield found


def make_plays(run: str) -> list[SongPlayed]:
    dice = random.Random(5)
    plays = [
        SongPlayed(
            event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run}-{i}")),
            occurred_at=START + timedelta(seconds=dice.randrange(10_000)),
            user_id=f"{run}-u{dice.randrange(USERS)}",
            song_id=f"{run}-s{dice.randrange(SONGS)}",
            played_ms=dice.randrange(1000, 200_000),
            duration_ms=200_000,
            completion=dice.choice([0.2, 0.5, 0.95, 1.0]),
        )
        for i in range(PLAYS)
    ]
    # every fiftieth is sent twice by its client
    return [p for i, play in enumerate(plays) for p in ([play, play] if i % 50 == 0 else [play])]


def expected(plays: list[SongPlayed]) -> dict[str, tuple[int, int, float]]:
    once = {play.event_id: play for play in plays}.values()
    count, heard, complete = Counter[str](), Counter[str](), Counter[str]()
    for play in once:
        for key in (play.user_id, play.song_id):
            count[key] += 1
            heard[key] += play.played_ms
            complete[key] += play.completion >= COMPLETED
    return {key: (count[key], heard[key], round(complete[key] / count[key], 9)) for key in count}


def found(settings: Settings, keys: list[str]) -> dict[str, tuple[int, int, float]]:
    async def read() -> dict[str, tuple[int, int, float]]:
        client = connect(Wiring(settings).redis_config)
        try:
            reader = RedisFeatureReader(client, settings.feast.project)
            rows = [
                row
                for view, sign in (("user_taste_v1", "-u"), ("item_plays_v1", "-s"))
                for row in await reader.read(view, [key for key in keys if sign in key])
            ]
        finally:
            await client.aclose()
        return {
            r.entity_id: (r.values["plays"], r.values["played_ms"], round(r.values["completion_rate"], 9))
            for r in rows
            if r is not None
        }

    return asyncio.run(read())


def wait_equal(settings: Settings, wanted: dict[str, tuple[int, int, float]], limit_s: float = 90.0) -> None:
    deadline = time.monotonic() + limit_s
    while (seen := found(settings, list(wanted))) != wanted:
        if time.monotonic() > deadline:
            wrong = {k: (seen.get(k), wanted[k]) for k in wanted if seen.get(k) != wanted[k]}
            raise AssertionError(f"{len(wrong)} counts are wrong (found, wanted): {dict(list(wrong.items())[:5])}")
        time.sleep(0.5)


def test_counts_are_exact_after_kills_and_replay(settings: Settings, workers: Workers) -> None:
    run = uuid.uuid4().hex[:6]
    plays = make_plays(run)
    wanted = expected(plays)
    registry = SchemaRegistry(settings.registry.url)
    codec = registry.codec(topics.ALL)
    registry.close()
    producer = Producer(producer_config(settings.kafka))
    workers.start()
    workers.start()
    for number, play in enumerate(plays):
        producer.produce(topics.SONG_PLAYED.name, key=play.user_id.encode(), value=codec.encode(play))
        producer.poll(0)
        if number % 1500 == 700:
            producer.flush()
            time.sleep(4)
            workers.kill()
            workers.start()
    assert producer.flush(20) == 0
    wait_equal(settings, wanted)

    assert workers.stop() == [0, 0]
    rewind(settings, NAME)
    workers.start()
    extra = SongPlayed(**{**vars(plays[0]), "event_id": str(uuid.uuid4()), "user_id": f"{run}-u-last"})
    producer.produce(topics.SONG_PLAYED.name, key=extra.user_id.encode(), value=codec.encode(extra))
    assert producer.flush(20) == 0
    wait_equal(settings, expected([*plays, extra]))
    time.sleep(3)
    wait_equal(settings, expected([*plays, extra]), 0.0)
    assert workers.stop() == [0]
