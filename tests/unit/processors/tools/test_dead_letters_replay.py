"""Where a replay goes, and who must not be brought back by it."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any, cast

import pytest

from processors.catalogue import CAPABILITIES
from processors.play_aggregation.counting import count_plays
from processors.runtime.letters import Letter
from processors.runtime.processor import Capability, Received, RetryPolicy
from processors.tools.dlq.fences import Fences, subject_of
from processors.tools.dlq.letters import Place
from processors.tools.dlq.reading import Stored
from processors.tools.dlq.replay import Planned, Refused, destination
from processors.tools.dlq.values import Decoder
from schemas import topics
from schemas.errors import BadEventError
from schemas.item import ItemChanged
from schemas.media import MediaStatus, MediaWithdrawn
from schemas.play import SongPlayed
from schemas.record import Record
from schemas.user import UserErased
from tests.fakes.runtime import NOW, KafkaRecord, MemoryState, at
from tests.unit.processors.tools.letters import MODERATION, PLAYS, letter, written

READS = [(c, t) for c in CAPABILITIES for t in c.consumes]


@pytest.mark.parametrize(("reader", "topic"), READS, ids=[f"{c.name} {t.name}" for c, t in READS])
def test_a_replay_goes_where_only_the_capability_reads(reader: Capability, topic: topics.Topic) -> None:
    found = destination(letter(reader, origin=Place(topic.name, 5, 77)), CAPABILITIES)
    batched = (topics.FACE_EMBEDDED, topics.REVIEW_REQUESTED, topics.REVIEW_ACTED)
    by_offset = topic in (topics.SONG_PLAYED, topics.SONG_COUNTED, topics.ITEM_INTERACTED, *batched)
    assert found == (reader, topic.name if by_offset else reader.retry_topics[0][0])
    assert not isinstance(found, Refused)
    readers = [c for c in CAPABILITIES if found[1] in {t.name for t in c.consumes} | {n for n, _ in c.retry_topics}]
    assert readers == [reader]


@pytest.mark.parametrize("topic", [t for t in topics.ALL if t.compacted], ids=lambda t: t.name)
def test_an_old_value_never_goes_to_the_end_of_a_compacted_topic(topic: topics.Topic) -> None:
    counting = dataclasses.replace(PLAYS, consumes=(topic,))
    assert destination(letter(counting), [counting]) == (counting, counting.retry_topics[0][0])


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"place": Place("long-gone.dead-letter.v1", 0, 0)}, "capability-unknown"),
        ({"origin": None}, "origin-unknown"),
        ({"origin": Place("no.such.topic.v1", 0, 0)}, "topic-unknown"),
        ({"origin": Place(topics.SONG_PLAYED.name, 0, 0)}, "topic-unread"),
    ],
    ids=str,
)
def test_letters_that_have_no_way_back_are_named(changed: dict[str, Any], code: str) -> None:
    found = destination(letter(**changed), CAPABILITIES)
    assert isinstance(found, Refused)
    assert found.code == code


def test_without_a_retry_topic_there_is_no_way_back() -> None:
    once = dataclasses.replace(MODERATION, retry=RetryPolicy(()))
    found = destination(letter(once), [once])
    assert isinstance(found, Refused)
    assert found.code == "no-retry-topic"


def test_a_retry_worker_takes_a_replayed_letter_for_new() -> None:
    """The origin is kept, for the schema, the partition and the name in logs; the tries begin anew."""
    found = written(MODERATION)
    sent = Planned(found, MODERATION, MODERATION.retry_topics[0][0], 1)
    assert sorted(name for name, _ in sent.headers) == [
        "traceparent",
        "x-attempt",
        "x-first-seen-ms",
        "x-origin-offset",
        "x-origin-partition",
        "x-origin-topic",
        "x-replay-of",
    ]
    record = KafkaRecord(sent.topic, b"\0v", b"m1", 5, 3, headers=sent.headers)
    taken = Letter.of(record, 999_999, retried=True)
    assert taken.place == found.origin_text
    assert (taken.attempt, taken.first_seen_ms) == (0, 1000)
    assert taken.carried == (("traceparent", b"00-1"),)


def test_a_capability_that_goes_by_offsets_gets_its_letters_at_the_end_of_their_origin() -> None:
    found = letter(PLAYS)
    assert destination(found, CAPABILITIES) == (PLAYS, topics.SONG_PLAYED.name)
    names = [name for name, _ in Planned(written(PLAYS), PLAYS, topics.SONG_PLAYED.name, 1).headers]
    assert names == ["traceparent", "x-replay-of"]


def test_but_not_if_others_read_that_topic() -> None:
    other = dataclasses.replace(MODERATION, name="other", consumes=(topics.SONG_PLAYED,))
    found = destination(letter(PLAYS), [*CAPABILITIES, other])
    assert isinstance(found, Refused)
    assert found.code == "topic-shared"
    assert "other" in found.reason


def test_why_plays_go_to_the_end() -> None:
    """Under its old offset a play counts no more once a later one of the user has counted; under a new one it does,
    and only once."""
    state = MemoryState()
    half_life = timedelta(days=3)

    def hear(event_id: str, offset: int) -> int:
        play = SongPlayed(
            event_id=event_id, occurred_at=NOW, user_id="u", song_id="s", played_ms=9, duration_ms=10, completion=0.9
        )
        users, _ = count_plays([Received(play, topics.SONG_PLAYED.name, 0, offset)], state, half_life)
        state.values["user:u"] = users["u"]
        return users["u"].plays

    assert hear("later", 11) == 1
    assert hear("given-up", 10) == 1, "its old offset"
    assert hear("given-up", 12) == 2, "a new one"
    assert hear("given-up", 13) == 2, "a replay that was killed before it was noted, and run again"


# who must not be brought back


class Decoded:
    """A decoder that has decoded already."""

    def __init__(self, record: Record | None) -> None:
        self._record = record

    def record(self, _value: bytes | None) -> Record:
        if self._record is None:
            raise BadEventError("broken")
        return self._record


def status(state: Any) -> MediaStatus:
    return MediaStatus(media_id="m1", kind="post", state=state, seq=1, changed_at=NOW)


def change(what: Any) -> ItemChanged:
    return ItemChanged(
        event_id="c", occurred_at=NOW, changed_at=NOW, item_id="m1", kind="post", change=what, seq=1, uploader="ada"
    )


def play(user: str = "ada") -> SongPlayed:
    return SongPlayed(
        event_id="p", occurred_at=NOW, user_id=user, song_id="m1", played_ms=1, duration_ms=1, completion=1.0
    )


FENCES = Fences(frozenset({"m1"}), {"ada": NOW})


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (change("published"), "deleted"),
        (status("published"), "deleted"),
        (None, "deleted"),
        (play(), "erased"),
        # what takes away is what the deleted and the erased wait for
        (change("withdrawn"), None),
        (status("deleted"), None),
        (MediaWithdrawn(event_id="w", occurred_at=NOW, media_id="m1", requested_by="ada"), None),
        (UserErased(event_id="e", occurred_at=NOW, user_id="ada", requested_by="ada"), None),
        (play("bob"), None),
        # a new start after the erasure
        (dataclasses.replace(play(), occurred_at=at(1)), None),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_fences(record: Record | None, code: str | None) -> None:
    key = b"m1" if not isinstance(record, SongPlayed) else record.user_id.encode()
    subject = subject_of(Stored(letter(key=key), b""), cast(Decoder, Decoded(record)))
    refusal = FENCES.refusal(subject)
    assert (refusal[0] if refusal else None) == code


def test_an_event_of_an_erased_user_that_does_not_decode() -> None:
    subject = subject_of(Stored(letter(key=b"ada"), b""), cast(Decoder, Decoded(None)))
    refusal = FENCES.refusal(subject)
    assert refusal is not None
    assert refusal[0] == "erased"
    assert "user ada" in refusal[1]
