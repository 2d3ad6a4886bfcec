"""Two versions of a capability share nothing but what they read."""

from __future__ import annotations

import dataclasses

import pytest

from features.views import COLLECTION_VERSIONS, COLLECTIONS, ITEM_CONTENT, VIEWS
from processors.catalogue import BY_NAME, VERSIONS, find
from processors.item_indexing import Layout, indexing, item_indexing
from processors.runtime import topics_admin
from schemas import topics

SECOND = Layout(
    2,
    dataclasses.replace(ITEM_CONTENT, name="item_content_v2"),
    tuple(dataclasses.replace(each, name=f"{each.alias}_v2") for each in COLLECTIONS.values()),
)


def test_a_second_version_has_names_of_its_own() -> None:
    second = indexing(SECOND)
    assert (second.name, second.group) == ("item_indexing", "item-indexing-v2")
    assert second.consumes == item_indexing.consumes
    assert second.dead_letter_topic == "item-indexing-v2.dead-letter.v1"
    assert second.retry_topics[0][0] == "item-indexing-v2.retry-2000ms.v1"
    assert second.state is not None
    assert second.state.name == "item.index-v2.updated.v1"
    assert not {s.name for s in second.stores} & {s.name for s in item_indexing.stores}
    assert {s.alias for s in second.stores} == {s.alias for s in item_indexing.stores}


def test_the_first_version_keeps_its_names() -> None:
    assert item_indexing.group == "item-indexing"
    assert item_indexing.state is topics.ITEM_INDEXED
    assert item_indexing.dead_letter_topic == "item-indexing.dead-letter.v1"
    assert {s.name for s in item_indexing.stores} <= VIEWS.keys() | COLLECTION_VERSIONS.keys()


def test_a_later_versions_state_topic_is_made_with_it() -> None:
    wanted = {each.name: each for each in topics_admin.wanted([indexing(SECOND)], 1)}
    assert wanted["item.index-v2.updated.v1"].config == wanted["item.index.updated.v1"].config
    assert "item.index-v2.updated.v1" not in {each.name for each in topics_admin.wanted([item_indexing], 1)}


def test_a_capability_is_found_by_name_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    second = indexing(SECOND)
    monkeypatch.setitem(VERSIONS["item_indexing"], 2, second)
    assert find("item_indexing") is BY_NAME["item_indexing"]
    assert find("item_indexing@1") is BY_NAME["item_indexing"]
    assert find("item_indexing@2") is second
    for unknown in ("item_indexing@3", "item_indexing@x", "indexing", "@1", ""):
        assert find(unknown) is None
