"""The state after given facts, what the catalogue hears of it, and the capability."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from processors.item_publication import Fact, catalogue_change, item_publication, merge
from processors.runtime.processor import Milestone
from schemas import topics
from schemas.common import Reason
from schemas.errors import REJECTION_CODES
from schemas.ids import stable_id, upload_event_id
from schemas.media import MediaStatus
from schemas.pipeline import DeadLettered
from schemas.review import ReviewActed
from tests.fakes.runtime import MemoryState, at
from tests.unit.processors.upload_facts import (
    BLOCKED,
    FILE,
    LABELS,
    MEDIA,
    VECTORS,
    analysed,
    classified,
    dead,
    embedded,
    merged,
    moderated,
    rejected,
    reviewed,
    upload,
    withdrawn,
)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ([upload()], "received"),
        ([analysed()], "processing"),
        ([upload(), analysed()], "processing"),
        ([upload(), moderated()], "processing"),
        ([upload(), moderated("review")], "review"),
        ([upload(), moderated("review"), embedded()], "review"),
        ([upload(), moderated("none"), embedded()], "processing"),
        ([moderated(), embedded()], "processing"),
        ([upload(), embedded()], "processing"),
        ([upload(), moderated(), embedded()], "published"),
        ([upload(), moderated(), embedded(), classified()], "published"),
        ([upload(), moderated(), embedded(), dead("content_classification")], "published"),
        ([upload(), embedded(), dead("content_classification")], "processing"),
        ([upload(), moderated("review"), dead("content_classification")], "review"),
        ([upload(), moderated("reject")], "rejected"),
        ([upload(), moderated("reject"), embedded()], "rejected"),
        ([upload(), moderated("review"), reviewed()], "processing"),
        ([upload(), moderated("review"), embedded(), reviewed()], "published"),
        ([upload(), moderated("review"), embedded(), reviewed("reject")], "rejected"),
        ([upload(), moderated("reject"), embedded(), reviewed()], "published"),
        ([upload(), moderated(), embedded(), reviewed("reject")], "rejected"),
        ([upload(), moderated("reject", 9), embedded(), reviewed()], "published"),
        ([upload(), embedded(), dead("content_moderation"), reviewed()], "published"),
        ([upload(), rejected(), reviewed()], "rejected"),
        ([upload(), moderated("review"), embedded(), reviewed(), withdrawn()], "deleted"),
        ([upload(), rejected()], "rejected"),
        ([rejected()], "rejected"),
        ([upload(), dead("media_analysis")], "failed"),
        ([upload(), analysed(), dead("content_embedding"), moderated("review")], "failed"),
        ([upload(), analysed(), dead("content_embedding"), moderated("reject")], "rejected"),
        ([upload(), withdrawn()], "deleted"),
        ([upload(), rejected(), withdrawn()], "deleted"),
        ([upload(), moderated(), embedded(), withdrawn()], "deleted"),
        ([upload(), dead("media_analysis"), withdrawn()], "deleted"),
        ([withdrawn()], "deleted"),
    ],
    ids=lambda v: v if isinstance(v, str) else "+".join(type(f).__name__ for f in v),
)
def test_states(facts: list[Fact], state: str) -> None:
    assert merged(facts).state == state


def test_reasons_are_those_of_the_state() -> None:
    assert merged([upload(), moderated("reject", reasons=(BLOCKED,))]).reasons == (BLOCKED,)
    assert merged([upload(), moderated(), embedded()]).reasons == ()
    (gone,) = merged([upload(), moderated(), embedded(), withdrawn()]).reasons
    assert (gone.code, gone.text) == ("withdrawn", REJECTION_CODES["withdrawn"])


def test_a_failure_tells_the_user_nothing_of_our_insides() -> None:
    (reason,) = merged([upload(), dead("media_analysis")]).reasons
    assert reason.code == "redis-away"
    assert "secret" not in reason.text


def test_an_optional_failure_gives_no_reason() -> None:
    assert merged([upload(), moderated("review"), embedded(), dead("content_classification")]).reasons == ()


def test_the_status_carries_what_the_upload_said() -> None:
    status = merged([upload(), classified()])
    assert (status.kind, status.uploader, status.accepted_at, status.title) == ("video", "alice", at(0), "Dawn")
    assert (status.song_id, status.language, status.object, status.source_event_id) == ("s1", "en", FILE, "u")
    assert status.labels == LABELS
    assert [(e.stage, e.state, e.at) for e in status.timeline] == [
        ("upload", "received", at(0)),
        ("content_classification", "classified", at(4)),
    ]


def test_publishing_stands_in_the_timeline() -> None:
    status = merge(merged([upload(), moderated()]), embedded(), at(50))
    (entry,) = [e for e in status.timeline if e.stage == "item_publication"]
    assert (entry.state, entry.at) == ("published", at(50))


# the catalogue


def test_a_published_item() -> None:
    status = merged([upload(), moderated(), embedded(), classified()])
    change = catalogue_change(status)
    assert change is not None
    assert (change.item_id, change.kind, change.change, change.seq) == (MEDIA, "video", "published", 4)
    assert (change.uploader, change.title, change.song_id, change.language) == ("alice", "Dawn", "s1", "en")
    assert (change.labels, change.vector, change.vector_version, change.vectors) == (LABELS, (0.5, 0.5), "v1", VECTORS)
    assert (change.occurred_at, change.changed_at) == (at(0), status.changed_at)


def test_where_a_post_stands_reaches_the_catalogue() -> None:
    post = dataclasses.replace(upload(), kind="post", surface="moment")
    for facts in ([post, moderated(), embedded()], [moderated(), embedded(), post]):
        change = catalogue_change(merged(facts))
        assert change is not None
        assert change.surface == "moment"
    erased = dataclasses.replace(withdrawn(), erase=True)
    assert merged([post, moderated(), embedded(), erased]).surface == "none"


def test_a_withdrawn_item_says_no_more_than_that() -> None:
    change = catalogue_change(merged([upload(), moderated(), embedded(), classified(), withdrawn()]))
    assert change is not None
    assert (change.change, change.seq) == ("withdrawn", 5)
    assert (change.title, change.labels, change.vector, change.vector_version, change.vectors) == ("", (), (), "", None)


@pytest.mark.parametrize(
    "facts",
    [
        [upload(), withdrawn()],
        [upload(), rejected(), withdrawn()],
        [upload(), moderated("review"), embedded(), withdrawn()],
        [withdrawn(), upload(), moderated(), embedded()],
        [upload(), dead("media_analysis")],
    ],
)
def test_what_was_never_published_is_not_withdrawn(facts: list[Fact]) -> None:
    for length in range(1, len(facts) + 1):
        assert catalogue_change(merged(facts[:length])) is None


def test_a_judgement_revised_takes_the_item_away() -> None:
    change = catalogue_change(merged([upload(), moderated(), embedded(), moderated("reject", 20, (BLOCKED,))]))
    assert change is not None
    assert change.change == "withdrawn"


# the capability


async def tell(state: MemoryState, fact: Fact) -> list[Any]:
    emits = await item_publication.handler(fact, state=state)
    state.apply(list(emits), topics.MEDIA_STATUS)
    return list(emits)


async def test_status_first_then_the_catalogue() -> None:
    state = MemoryState()
    for fact in (upload(), moderated()):
        (emit,) = await tell(state, fact)
        assert (emit.topic, emit.key) == (topics.MEDIA_STATUS, MEDIA)
    emits = await tell(state, embedded())
    assert [(e.topic, e.key) for e in emits] == [(topics.MEDIA_STATUS, MEDIA), (topics.ITEM_CHANGED, MEDIA)]
    assert emits[1].record.change == "published"


async def test_what_the_uploader_waits_for_is_measured_once() -> None:
    state = MemoryState()
    facts = (upload(), moderated(), embedded(), embedded(), classified(), withdrawn())
    emits = [emit for fact in facts for emit in await tell(state, fact)]
    assert [emit.milestone for emit in emits if emit.milestone] == [Milestone("published", at(0))]
    (emit,) = await tell(MemoryState(), moderated("reject"))
    assert emit.milestone is None, "since when is not known yet"


async def test_a_fact_told_again_says_the_same_again() -> None:
    """A crash may have come between status and catalogue."""
    state = MemoryState()
    for fact in (upload(), moderated()):
        await tell(state, fact)
    assert await tell(state, embedded()) == await tell(state, embedded())


@pytest.mark.parametrize(
    "letter",
    [
        dead("play_aggregation", topic=topics.SONG_PLAYED.name),
        dead("item_indexing", topic=topics.ITEM_CHANGED.name),
        dead("media_analysis", key=""),
        dead("media_analysis", key="alice"),
        dead("media_analysis", key="\ufffd"),
        dead("media_analysis", topic="elsewhere"),
    ],
    ids=["plays", "indexing", "no-key", "user", "broken", "other-topic"],
)
async def test_dead_letters_that_concern_no_upload(letter: DeadLettered) -> None:
    assert await tell(MemoryState(), letter) == []


async def test_a_dead_letter_of_an_upload() -> None:
    state = MemoryState()
    await tell(state, upload())
    (emit,) = await tell(state, dead("media_analysis"))
    assert emit.record.state == "failed"


async def test_the_clock_is_read_once_an_item_is_published() -> None:
    state = MemoryState()
    before = datetime.now(UTC)
    for fact in (upload(), moderated(), embedded()):
        await tell(state, fact)
    status = state.get(MEDIA)
    assert isinstance(status, MediaStatus)
    (entry,) = [e for e in status.timeline if e.stage == "item_publication"]
    assert before <= entry.at <= datetime.now(UTC)


async def test_people_decide_over_the_machine_in_any_order_with_their_own_reasons() -> None:
    """The machine's newer word, of another version of its models, does not take a decision back."""
    nsfw = Reason(code="image-nsfw", text="n")
    facts: list[Fact] = [upload(), embedded(3), moderated("reject", 9, (BLOCKED,)), reviewed("reject", 6, (nsfw,))]
    for order in itertools.permutations(facts):
        assert (merged(order).state, merged(order).reasons) == ("rejected", (nsfw,))
    approved: list[Fact] = [*facts[:3], reviewed("approve", 6)]
    for order in itertools.permutations(approved):
        assert (merged(order).state, merged(order).reasons) == ("published", ())
    later = merged([*approved, reviewed("reject", 12, (nsfw,))])
    change = catalogue_change(later)
    assert change is not None
    assert (later.state, change.change) == ("rejected", "withdrawn")


async def test_reviews_of_others_are_not_about_uploads() -> None:
    state = MemoryState()
    for subject in ("avatar", "ring"):
        other = dataclasses.replace(reviewed(), subject=subject)  # type: ignore[arg-type]
        assert await item_publication.handler(other, state=state) == []


async def test_the_time_that_people_took_is_no_milestone() -> None:
    state = MemoryState()
    for fact in (upload(), moderated("review"), embedded()):
        state.apply(await item_publication.handler(fact, state=state), topics.MEDIA_STATUS)
    emits = await item_publication.handler(reviewed(), state=state)
    assert [emit.record.state for emit in emits if isinstance(emit.record, MediaStatus)] == ["published"]
    assert [emit.milestone for emit in emits] == [None, None]


@pytest.mark.parametrize("erase", [False, True])
async def test_the_review_of_a_deleted_upload_is_moot_whatever_comes_first(erase: bool) -> None:
    facts = (upload(), moderated("review"), withdrawn(erase=erase))
    for order in itertools.permutations(facts):
        state, said = MemoryState(), []
        for fact in order:
            emits = await item_publication.handler(fact, state=state)
            state.apply(emits, topics.MEDIA_STATUS)
            said += [emit.record for emit in emits if isinstance(emit.record, ReviewActed)]
        assert {(each.review_id, each.action) for each in said} == {
            (stable_id("review", upload_event_id(MEDIA), "content_moderation"), "erase" if erase else "withdraw")
        }
        assert len({each.event_id for each in said}) == 1


@pytest.mark.parametrize(("erase", "said"), [(False, []), (True, ["erase"])])
async def test_what_is_erased_leaves_no_case_even_if_it_was_judged_anew(erase: bool, said: list[str]) -> None:
    """The status keeps the newest judgement only; somebody may have been asked for the one before."""
    state, actions = MemoryState(), []
    for fact in (upload(), moderated("review", 2), moderated("approve", 3), withdrawn(erase=erase)):
        emits = await item_publication.handler(fact, state=state)
        state.apply(emits, topics.MEDIA_STATUS)
        actions += [emit.record.action for emit in emits if isinstance(emit.record, ReviewActed)]
    assert actions == said
