"""Which topics should be there, and how."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from processors.item_publication import item_publication
from processors.play_aggregation import play_aggregation
from processors.runtime import topics_admin
from processors.runtime.settings import Kafka
from schemas import topics

CAPABILITIES = (item_publication, play_aggregation)


def wanted() -> dict[str, topics_admin.WantedTopic]:
    return {w.name: w for w in topics_admin.wanted(CAPABILITIES, min_insync=2)}


def test_every_topic_once() -> None:
    found = topics_admin.wanted(CAPABILITIES, min_insync=1)
    assert (
        len(found)
        == len({w.name for w in found})
        == len(topics.ALL) + sum(len(c.retry_topics) + 1 for c in CAPABILITIES)
    )


def test_compacted_and_deleted() -> None:
    found = wanted()
    status = found[topics.MEDIA_STATUS.name].config
    assert (status["cleanup.policy"], status["retention.ms"]) == ("compact", "-1")
    plays = found[topics.SONG_PLAYED.name].config
    assert (plays["cleanup.policy"], plays["retention.ms"]) == ("delete", str(7 * 24 * 3600 * 1000))


def test_a_retry_topic_keeps_the_partition_of_the_event() -> None:
    """Retried events go to the partition of the same number, where their state lies."""
    found = wanted()
    for name, _ in item_publication.retry_topics:
        assert found[name].partitions == max(t.partitions for t in item_publication.consumes)


def test_min_insync_is_set_everywhere() -> None:
    assert {w.config["min.insync.replicas"] for w in wanted().values()} == {"2"}


def test_a_dead_letter_outlives_its_retries() -> None:
    found = wanted()
    dead = int(found[item_publication.dead_letter_topic].config["retention.ms"])
    assert dead == timedelta(days=28) / timedelta(milliseconds=1)
    assert all(dead > int(found[n].config["retention.ms"]) for n, _ in item_publication.retry_topics)


class Admin:
    def __init__(self, present: dict[str, int]) -> None:
        self.present = present
        self.created: list[Any] = []

    def list_topics(self, timeout: float) -> Any:
        return SimpleNamespace(topics={n: SimpleNamespace(partitions=range(p)) for n, p in self.present.items()})

    def create_topics(self, new: list[Any], request_timeout: float) -> dict[str, Any]:
        self.created += new
        self.present |= {t.topic: t.num_partitions for t in new}
        return {t.topic: SimpleNamespace(result=lambda: None) for t in new}


class Registry:
    def __init__(self) -> None:
        self.subjects: list[str] = []

    def register(self, topic: topics.Topic) -> int:
        self.subjects.append(topic.subject)
        return 1

    def lookup(self, topic: topics.Topic) -> int | None:
        return 1 if topic.subject in self.subjects else None


def test_apply_creates_what_is_missing_and_check_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    admin, registry = Admin({topics.SONG_PLAYED.name: 8}), Registry()
    monkeypatch.setattr(topics_admin, "AdminClient", lambda _config: admin)
    before: Any = topics_admin.check(Kafka(), registry, CAPABILITIES)  # type: ignore[arg-type]
    assert f"topic {topics.MEDIA_STATUS.name} is missing" in before
    assert "the contract of play.song.played.v1-value is not registered" in before
    created = topics_admin.apply(Kafka(), registry, CAPABILITIES)  # type: ignore[arg-type]
    assert topics.SONG_PLAYED.name not in created
    assert len(created) == len(topics_admin.wanted(CAPABILITIES, 1)) - 1
    assert topics_admin.apply(Kafka(), registry, CAPABILITIES) == []  # type: ignore[arg-type]
    assert topics_admin.check(Kafka(), registry, CAPABILITIES) == []  # type: ignore[arg-type]


def test_check_reports_other_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    admin = Admin({w.name: w.partitions for w in topics_admin.wanted(CAPABILITIES, 1)} | {topics.SONG_PLAYED.name: 3})
    monkeypatch.setattr(topics_admin, "AdminClient", lambda _config: admin)
    registry.subjects = [t.subject for t in topics.ALL]
    assert topics_admin.check(Kafka(), registry, CAPABILITIES) == [  # type: ignore[arg-type]
        "topic play.song.played.v1 has 3 partitions, not 8"
    ]
