"""What was shown often is not cold: on a real broker, exact at the border, after a kill and a replay."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer

from processors.runtime.kafka import producer_config
from processors.runtime.registry import SchemaRegistry
from processors.runtime.settings import Settings
from processors.serving.catalogue import CatalogueSnapshot
from processors.serving.decoding import Decoder
from processors.serving.follower import Follower, kafka_consumer
from processors.serving.metrics import ServiceMetrics
from processors.serving.where import Where
from schemas.interaction import ItemInteracted
from schemas.topics import ALL, EXPOSURES_COUNTED, ITEM_CHANGED, ITEM_INTERACTED
from tests.fakes.serving import DIM, item
from tests.integration.processors.counting_workers import Workers, rewind, wait, worker_settings

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
NAME = "exposure_counting"
USERS, COLD_EXPOSURES = 40, 1000


@pytest.fixture
def settings(streams_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return worker_settings(streams_settings, monkeypatch, NAME)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with closing(Workers(tmp_path, NAME)) as found:
        yield found


async def test_an_item_shown_often_is_not_cold(settings: Settings, workers: Workers) -> None:
    early, often, almost, late = (f"{uuid.uuid4().hex[:6]}-{name}" for name in ("early", "often", "almost", "late"))
    registry = SchemaRegistry(settings.registry.url)
    codec = registry.codec(ALL)
    producer = Producer(producer_config(settings.kafka))

    def show(item_id: str, times: int) -> None:
        for number in range(times):
            user = f"u{number % USERS}"
            seen = ItemInteracted(
                event_id=str(uuid.uuid4()),
                occurred_at=datetime.now(UTC),
                user_id=user,
                item_id=item_id,
                action="exposed",
            )
            producer.produce(ITEM_INTERACTED.name, key=user, value=codec.encode(seen))
        assert producer.flush(30) == 0

    catalogue = CatalogueSnapshot(
        Decoder(codec, registry.fetch), cold_plays=10, cold_exposures=COLD_EXPOSURES, half_life_h=72.0, dim=DIM
    )
    for each in (early, often, almost, late):
        catalogue.apply(ITEM_CHANGED.name, each, codec.encode(item(each)))
    follower = Follower(
        "catalogue", [EXPOSURES_COUNTED.name], catalogue.apply, ServiceMetrics(), kafka_consumer(settings.kafka, "test")
    )

    def warm() -> set[str]:
        return set(catalogue.freshest(9, Where(cold=False), 0).ids)

    await follower.start()
    workers.start()
    for each, times in ((early, COLD_EXPOSURES), (often, COLD_EXPOSURES // 2), (almost, COLD_EXPOSURES // 2)):
        show(each, times)
    wait("the first item", lambda: warm() == {early})
    workers.kill()
    workers.start()
    show(almost, COLD_EXPOSURES // 2 - 1)
    show(often, COLD_EXPOSURES // 2)
    wait("the item shown often", lambda: warm() == {early, often})
    assert workers.stop() == [0]

    rewind(settings, NAME)
    workers.start()
    show(late, COLD_EXPOSURES)
    # it lies behind the replay in every partition: counted twice, the other item would be warm by then
    wait("the item shown after the replay", lambda: late in warm())
    assert warm() == {early, often, late}
    show(almost, 1)
    wait("the last exposure", lambda: warm() == {early, often, almost, late})
    assert workers.stop() == [0]
    await follower.stop()
    registry.close()
