"""Contracts and topics against the real registry and broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from confluent_kafka.admin import AdminClient

from processors.catalogue import CAPABILITIES
from processors.runtime import topics_admin
from processors.runtime.kafka import client_config
from processors.runtime.registry import IncompatibleSchemaError, SchemaRegistry
from processors.runtime.settings import Settings
from schemas import contracts, topics
from schemas.errors import BadEventError, UnavailableError

pytestmark = pytest.mark.real


@pytest.fixture
def registry(streams_settings: Settings) -> Iterator[SchemaRegistry]:
    with closing(SchemaRegistry(streams_settings.registry.url)) as found:
        yield found


def test_applying_twice_changes_nothing(streams_settings: Settings, registry: SchemaRegistry) -> None:
    topics_admin.apply(streams_settings.kafka, registry, CAPABILITIES)
    ids = {t.name: registry.lookup(t) for t in topics.ALL}
    assert topics_admin.apply(streams_settings.kafka, registry, CAPABILITIES) == []
    assert {t.name: registry.lookup(t) for t in topics.ALL} == ids
    assert topics_admin.check(streams_settings.kafka, registry, CAPABILITIES) == []


def test_check_names_what_is_missing(streams_settings: Settings, registry: SchemaRegistry) -> None:
    topics_admin.apply(streams_settings.kafka, registry, CAPABILITIES)
    admin = AdminClient(client_config(streams_settings.kafka))
    gone = CAPABILITIES[0].dead_letter_topic
    for future in admin.delete_topics([gone]).values():
        future.result()
    assert topics_admin.check(streams_settings.kafka, registry, CAPABILITIES) == [f"topic {gone} is missing"]
    assert topics_admin.apply(streams_settings.kafka, registry, CAPABILITIES) == [gone]


def test_compacted_and_retained_as_the_catalogue_says(streams_settings: Settings) -> None:
    wanted = {w.name: w.config for w in topics_admin.wanted(CAPABILITIES, 1)}
    assert wanted[topics.MEDIA_STATUS.name]["cleanup.policy"] == "compact"
    assert wanted[topics.SONG_PLAYED.name]["retention.ms"] == str(7 * 24 * 3600 * 1000)


def test_an_incompatible_contract_is_refused(registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = json.loads(contracts.canonical_json(topics.AVATAR_CHANGED.record.CONTRACT))
    broken["fields"].append({"name": "new_and_required", "type": "string", "doc": "no default"})
    monkeypatch.setattr(contracts, "canonical_json", lambda *_: json.dumps(broken))
    with pytest.raises(IncompatibleSchemaError, match=r"user\.avatar\.changed\.v1-value"):
        registry.register(topics.AVATAR_CHANGED)


def test_an_unknown_id_is_a_bad_event(registry: SchemaRegistry) -> None:
    with pytest.raises(BadEventError, match="2147483000"):
        registry.fetch(2147483000)


def test_a_registry_that_is_away_is_unavailable() -> None:
    with (
        closing(SchemaRegistry("http://127.0.0.1:9/apis/ccompat/v7")) as away,
        pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"),
    ):
        away.fetch(1)


def test_analytics_finds_the_writer_schema_by_id(streams_settings: Settings, registry: SchemaRegistry) -> None:
    schema_id = registry.lookup(topics.SONG_PLAYED)
    answer = httpx.get(f"{streams_settings.registry.url}/schemas/ids/{schema_id}")
    assert json.loads(answer.json()["schema"])["name"] == "SongPlayed"
