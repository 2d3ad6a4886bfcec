"""What redelivery, replay and late facts can make of the state."""

from __future__ import annotations

from typing import Any

import pytest

from processors.item_indexing import item_indexing
from processors.item_publication import Fact, catalogue_change, merge
from processors.runtime.processor import Received
from schemas import topics
from schemas.common import Reason
from schemas.item import ItemChanged
from tests.fakes.features import MemoryFeatures, MemoryObjects, MemoryVectors
from tests.fakes.runtime import MemoryState, at
from tests.unit.processors.upload_facts import (
    BLOCKED,
    MEDIA,
    analysed,
    classified,
    dead,
    embedded,
    merged,
    moderated,
    outcome,
    rejected,
    upload,
)


def test_a_result_counts_although_a_redelivery_of_its_input_failed() -> None:
    """Published, killed before the commit, delivered again, failed: two facts of one capability, any order."""
    facts: list[Fact] = [upload(), moderated(), embedded(3), dead("content_embedding", 7)]
    assert merged(facts).state == "published"
    late: list[Fact] = [upload(), moderated(), dead("content_embedding", 7), embedded(3)]
    assert merged(late).state == "published"


@pytest.mark.parametrize("second", [2.0, 8.0])
def test_a_rejection_counts_although_a_redelivery_failed(second: float) -> None:
    facts: list[Fact] = [upload(), rejected("media_analysis", 5), dead("media_analysis", second)]
    assert merged(facts).state == "rejected"
    assert outcome(merged(facts)) == outcome(merged(facts[::-1]))


def test_a_failure_that_was_replayed_leaves_no_trace_in_the_reasons() -> None:
    """A dead letter at 1 s, replayed with success at 5 s: the two are in different topics and may come in any order."""
    facts: list[Fact] = [upload(), dead("media_analysis", 1), analysed(5), moderated("review", 6, (BLOCKED,))]
    other: list[Fact] = [upload(), analysed(5), dead("media_analysis", 1), moderated("review", 6, (BLOCKED,))]
    assert merged(facts).reasons == merged(other).reasons == (BLOCKED,)


def test_a_judgement_revised_replaces_its_reasons() -> None:
    nsfw = Reason(code="image-nsfw", text="n")
    facts: list[Fact] = [upload(), moderated("review", 2, (nsfw,)), moderated("reject", 6, (BLOCKED,))]
    other: list[Fact] = [upload(), moderated("reject", 6, (BLOCKED,)), moderated("review", 2, (nsfw,))]
    assert merged(facts).reasons == merged(other).reasons == (BLOCKED,)


def test_a_fact_that_publication_gave_up_and_a_replay_brought_ends_the_failure() -> None:
    lost = dead("item_publication", 6, topics.CONTENT_MODERATED.name)
    assert merged([upload(), analysed(), lost]).state == "failed"
    assert merged([upload(), analysed(), lost, moderated("review", 7)]).state == "review"


def test_a_failure_of_publication_itself_is_no_publication() -> None:
    """``item_publication`` names both a stage of the timeline and a capability that can give an event up."""
    own = dead("item_publication", 6, topics.MEDIA_ANALYSED.name)
    status = merged([upload(), own])
    assert status.state == "failed"
    assert catalogue_change(status) is None


def test_a_failure_of_publication_does_not_hide_when_it_was_published() -> None:
    own = dead("item_publication", 2000, topics.MEDIA_ANALYSED.name)
    status = merged([upload(), moderated(), embedded(), own])
    assert status.state == "published"
    assert ("item_publication", "published") in [(e.stage, e.state) for e in status.timeline]


async def test_labels_that_come_late_reach_the_stores() -> None:
    """Classification may finish before the item is published and be heard of after that: Feast drops a row that is
    not newer than the one it has."""
    status = merged([upload(), moderated()])
    status = merge(status, embedded(3), at(10))
    first = catalogue_change(status)
    second = catalogue_change(merge(status, classified(4), at(11)))
    assert first is not None
    assert second is not None
    features = MemoryFeatures(now=lambda: at(20))
    stores: dict[str, Any] = {
        "state": MemoryState(),
        "objects": MemoryObjects(),
        "feature_writer": features,
        "vector_index": MemoryVectors(),
    }
    for offset, change in enumerate((first, second)):
        without_arrays = ItemChanged(**{**vars(change), "vectors": None})
        await item_indexing.handler([Received(without_arrays, topics.ITEM_CHANGED.name, 0, offset)], **stores)
    assert features.rows["item_content_v1", MEDIA].values["labels"] == ["jazz"]


def test_the_time_of_change_grows_with_every_change() -> None:
    status = merge(merged([upload(), moderated()]), embedded(3), at(10))
    assert merge(status, classified(4), at(11)).changed_at > status.changed_at
