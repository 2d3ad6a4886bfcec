"""Topic names, keys and what depends on equal numbers of partitions."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from schemas import topics

PART = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
NAME = re.compile(rf"{PART}\.{PART}\.{PART}\.v[1-9][0-9]*")
every_topic = pytest.mark.parametrize("topic", topics.ALL, ids=lambda t: t.name)


@every_topic
def test_name(topic: topics.Topic) -> None:
    assert NAME.fullmatch(topic.name)
    assert "_" not in topic.name
    assert len(topic.name) <= 200


@every_topic
def test_said_in_a_sentence(topic: topics.Topic) -> None:
    assert topic.doc.endswith(".")
    assert topic.key


@every_topic
def test_kept_by_compaction_or_for_a_time(topic: topics.Topic) -> None:
    assert topic.compacted == (topic.retention is None)


def test_names_are_distinct_and_found() -> None:
    assert len(topics.BY_NAME) == len(topics.ALL)
    assert all(topics.BY_NAME[t.name] is t for t in topics.ALL)


def test_every_declared_topic_is_in_the_list() -> None:
    declared = [v for v in vars(topics).values() if isinstance(v, topics.Topic)]
    assert set(declared) <= set(topics.ALL)


@pytest.mark.parametrize("word", ["media id", "user id", "song id"])
def test_topics_of_one_key_have_equal_partitions(word: str) -> None:
    found = {t.partitions for t in topics.ALL if word in t.key}
    assert len(found) == 1


def test_names_of_retry_and_dead_letter_topics() -> None:
    assert topics.dead_letter_name("item_publication") == "item-publication.dead-letter.v1"
    assert topics.retry_name("item_publication", timedelta(seconds=2)) == "item-publication.retry-2000ms.v1"


def test_each_kind_of_upload_has_its_topic() -> None:
    assert {k: t.name for k, t in topics.UPLOAD_BY_KIND.items()} == {
        kind: f"upload.{kind}.created.v1" for kind in ("video", "audio", "post", "score", "screenshot")
    }
