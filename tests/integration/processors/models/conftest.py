"""The topic of published versions, left as it was found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from models.recommender_manifest import NAME
from processors.runtime.kafka import producer_config
from processors.runtime.settings import Settings
from schemas.topics import MODEL_PUBLISHED


@pytest.fixture
def nothing_published(streams_settings: Settings) -> Iterator[None]:
    """No version is in use before, nor afterwards for tests of other parts."""
    producer = Producer(producer_config(streams_settings.kafka))

    def forget() -> None:
        producer.produce(MODEL_PUBLISHED.name, key=NAME, value=None)
        assert producer.flush(30) == 0

    forget()
    yield
    forget()
