"""The merge: any order and any repetition of the facts of an upload end in the same state."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.item_indexing import item_indexing
from processors.item_publication import Fact, catalogue_change, item_publication, merge
from processors.runtime.processor import Milestone, Received
from schemas import topics
from schemas.common import Label, ObjectRef, Reason
from schemas.content import ContentClassified, ContentEmbedded, ContentModerated
from schemas.errors import REJECTION_CODES
from schemas.item import ItemChanged
from schemas.media import MediaAnalysed, MediaRejected, MediaStatus, MediaWithdrawn
from schemas.pipeline import DeadLettered
from schemas.upload import UploadCreated
from tests.fakes.features import MemoryFeatures, MemoryObjects, MemoryVectors
from tests.fakes.runtime import MemoryState, at, codec

MEDIA = str(uuid.uuid5(uuid.NAMESPACE_OID, "m"))
FILE = ObjectRef(key="uploads/aa/x", sha256="aa", size_bytes=1, content_type="video/mp4")
VECTORS = ObjectRef(key="derived/items/x", sha256="bb", size_bytes=1, content_type="application/vnd.safetensors")
THUMBNAIL = ObjectRef(key="derived/aa/x/thumbnail", sha256="cc", size_bytes=1, content_type="image/webp")
LABELS = (Label(name="jazz", score=0.5),)
BLOCKED = Reason(code="text-blocked", text="no")
ORIGINS = {
    "media_analysis": topics.VIDEO_CREATED,
    "content_moderation": topics.MEDIA_ANALYSED,
    "content_embedding": topics.MEDIA_ANALYSED,
    "content_classification": topics.CONTENT_EMBEDDED,
}

# facts


def derived(second: float) -> dict[str, Any]:
    return {"event_id": "r", "source_event_id": "u", "occurred_at": at(0), "produced_at": at(second), "media_id": MEDIA}


def upload(second: float = 0) -> UploadCreated:
    return UploadCreated(
        event_id="u",
        occurred_at=at(second),
        media_id=MEDIA,
        kind="video",
        uploader="alice",
        object=FILE,
        title="Dawn",
        song_id="s1",
        language="en",
    )


def analysed(second: float = 1) -> MediaAnalysed:
    return MediaAnalysed(**derived(second), kind="video", uploader="alice", analyser_version="1", thumbnail=THUMBNAIL)


def moderated(decision: str = "approve", second: float = 2, reasons: tuple[Reason, ...] = ()) -> ContentModerated:
    return ContentModerated(**derived(second), decision=decision, reasons=reasons, model_version="1")  # type: ignore[arg-type]


def embedded(second: float = 3) -> ContentEmbedded:
    return ContentEmbedded(
        **derived(second),
        kind="video",
        has_audio=False,
        has_image=True,
        has_text=False,
        vector=(0.5, 0.5),
        vector_version="v1",
        encoder_versions={},
        vectors=VECTORS,
        model_version="1",
    )


def classified(second: float = 4) -> ContentClassified:
    return ContentClassified(**derived(second), labels=LABELS, model_version="1")


def rejected(stage: str = "media_analysis", second: float = 1, code: str = "media-silent") -> MediaRejected:
    return MediaRejected(**derived(second), stage=stage, reasons=(Reason(code=code, text="t"),))


def withdrawn(second: float = 9, *, erase: bool = False) -> MediaWithdrawn:
    return MediaWithdrawn(event_id="w", occurred_at=at(second), media_id=MEDIA, requested_by="alice", erase=erase)


def dead(capability: str, second: float = 5, topic: str = "", key: str = MEDIA) -> DeadLettered:
    return DeadLettered(
        event_id="d",
        occurred_at=at(second),
        capability=capability,
        key=key,
        origin_topic=topic or ORIGINS[capability].name,
        origin_partition=0,
        origin_offset=0,
        dead_letter_topic="x",
        attempts=2,
        code="redis-away",
        text="secret details",
    )


def blank() -> MediaStatus:
    return MediaStatus(media_id=MEDIA, kind="unknown", state="unknown", seq=0, changed_at=at(0))


def merged(facts: Sequence[Fact], start: MediaStatus | None = None) -> MediaStatus:
    status = start or blank()
    for number, fact in enumerate(facts):
        status = merge(status, fact, at(1000 + number))
    return status


def outcome(status: MediaStatus) -> dict[str, Any]:
    """What may not depend on the order in which facts arrive."""
    return {
        "state": status.state,
        "decision": status.decision,
        "labels": status.labels,
        "reasons": status.reasons,
        "published": status.state == "published",
        "kind": status.kind,
        "uploader": status.uploader,
        "accepted_at": status.accepted_at,
        "thumbnail": status.thumbnail,
        "vector": status.vector,
        "vectors": status.vectors,
        "title": status.title,
        "erased": status.erased,
        "object": status.object,
        "stages": {(e.stage, e.state, e.at, e.reasons) for e in status.timeline if e.stage != "item_publication"},
    }


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """The facts of one upload as the pipeline can produce them, each capability ending once, at any times."""
    seconds = iter(draw(st.permutations([float(s) for s in range(10)])))
    facts: list[Fact] = [upload(next(seconds))]
    first = draw(st.sampled_from(["none", "analysed", "rejected", "dead"]))
    if first == "analysed":
        facts.append(analysed(next(seconds)))
        judged = draw(st.sampled_from(["none", "approve", "reject", "review", "rejected", "dead"]))
        if judged in ("approve", "reject", "review"):
            facts.append(moderated(judged, next(seconds), () if judged == "approve" else (BLOCKED,)))
        elif judged == "rejected":
            facts.append(rejected("content_moderation", next(seconds), "media-limit"))
        elif judged == "dead":
            facts.append(dead("content_moderation", next(seconds)))
        joined = draw(st.sampled_from(["none", "embedded", "embedded", "rejected", "dead"]))
        if joined == "embedded":
            facts.append(embedded(next(seconds)))
            labelled = draw(st.sampled_from(["none", "classified", "dead"]))
            if labelled == "classified":
                facts.append(classified(next(seconds)))
            elif labelled == "dead":
                facts.append(dead("content_classification", next(seconds)))
        elif joined == "rejected":
            facts.append(rejected("content_embedding", next(seconds), "media-silent"))
        elif joined == "dead":
            facts.append(dead("content_embedding", next(seconds)))
    elif first == "rejected":
        facts.append(rejected("media_analysis", next(seconds)))
    elif first == "dead":
        facts.append(dead("media_analysis", next(seconds)))
    if draw(st.booleans()):
        facts.append(withdrawn(next(seconds), erase=draw(st.booleans())))
    return facts


@settings(max_examples=300, deadline=None)
@given(facts=histories(), data=st.data())
def test_any_order_and_any_repetition_end_in_the_same(facts: list[Fact], data: st.DataObject) -> None:
    repeated = facts + data.draw(st.lists(st.sampled_from(facts), max_size=6))
    order = data.draw(st.permutations(repeated))
    assert outcome(merged(order)) == outcome(merged(facts))


@settings(max_examples=200, deadline=None)
@given(facts=histories(), seconds=st.permutations([20.0, 21.0, 22.0]), data=st.data())
def test_an_erasure_wins_over_every_other_fact_in_any_order(
    facts: list[Fact], seconds: list[float], data: st.DataObject
) -> None:
    """Also over a withdrawal that keeps the bytes, whichever of them is newer."""
    facts = [*facts, withdrawn(seconds[0]), withdrawn(seconds[1], erase=True), withdrawn(seconds[2])]
    status = merged(data.draw(st.permutations(facts)))
    assert outcome(status) == outcome(merged(facts))
    assert (status.state, status.erased) == ("deleted", True)
    known = codec()
    told = known.encode(status)
    for trace in (b"alice", b"Dawn", FILE.key.encode(), VECTORS.key.encode(), THUMBNAIL.key.encode(), b"jazz", b"s1"):
        assert trace not in told
    change = catalogue_change(status)
    assert change is None or b"alice" not in known.encode(change)


@settings(max_examples=200, deadline=None)
@given(facts=histories(), data=st.data())
def test_nothing_leaves_a_terminal_state_but_to_be_deleted(facts: list[Fact], data: st.DataObject) -> None:
    status, states = blank(), []
    for fact in data.draw(st.permutations(facts)):
        status = merge(status, fact, at(1000))
        states.append(status.state)
    for before, after in itertools.pairwise(states):
        if before in ("published", "rejected"):
            assert after in (before, "deleted")
        if before == "deleted":
            assert after == "deleted"


@settings(max_examples=200, deadline=None)
@given(facts=histories(), data=st.data())
def test_the_sequence_grows_by_one_with_each_new_fact_and_only_then(facts: list[Fact], data: st.DataObject) -> None:
    status = blank()
    for number, fact in enumerate(data.draw(st.permutations(facts)), start=1):
        new = merge(status, fact, at(1000 + number))
        assert new.seq == number
        assert merge(new, fact, at(2000)) is new
        assert [e.at for e in new.timeline] == sorted(e.at for e in new.timeline)
        status = new


@settings(max_examples=100, deadline=None)
@given(facts=histories(), data=st.data())
def test_what_the_catalogue_hears_is_in_order_and_true(facts: list[Fact], data: st.DataObject) -> None:
    """An item is withdrawn only after it was published, and the last word is the state."""
    status, heard = blank(), []
    for fact in data.draw(st.permutations(facts)):
        status = merge(status, fact, at(1000))
        change = catalogue_change(status)
        if change is not None:
            heard.append(change)
    assert [c.change for c in heard] == sorted((c.change for c in heard), key=["published", "withdrawn"].index)
    if heard:
        assert heard[0].change == "published"
    assert (bool(heard) and heard[-1].change == "published") == (status.state == "published")


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


# what redelivery and replay can make of it


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
