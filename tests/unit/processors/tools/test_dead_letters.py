"""Dead letters without a broker: what is read from headers, which are chosen, where a replay goes."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from processors.catalogue import CAPABILITIES
from processors.play_aggregation.counting import count_plays
from processors.runtime.letters import Letter
from processors.runtime.processor import Capability, Received, RetryPolicy
from processors.tools.dlq.audit import Audit, Run
from processors.tools.dlq.fences import Fences, subject_of
from processors.tools.dlq.letters import EPOCH, DeadLetter, Place, PlaceInvalidError, dead_letter
from processors.tools.dlq.reading import Stored
from processors.tools.dlq.replay import Planned, Refused, destination
from processors.tools.dlq.selection import Selection, SelectionInvalidError, since
from processors.tools.dlq.showing import age
from processors.tools.dlq.values import Decoder
from schemas import topics
from schemas.errors import BadEventError
from schemas.item import ItemChanged
from schemas.media import MediaStatus, MediaWithdrawn
from schemas.play import SongPlayed
from schemas.record import Record
from schemas.user import UserErased
from tests.fakes.runtime import NOW, KafkaRecord, MemoryState, at

BY_NAME = {c.name: c for c in CAPABILITIES}
MODERATION = BY_NAME["content_moderation"]
PLAYS = BY_NAME["play_aggregation"]
PRESENT = sorted(c.dead_letter_topic for c in CAPABILITIES)


def message(headers: list[tuple[str, bytes | None]], **more: Any) -> Message:
    values: dict[str, Any] = {"topic": "x.dead-letter.v1", "partition": 0, "offset": 7, "key": b"k", "value": b"\0v"}
    return Message(headers=headers, timestamp=(1, 1_700_000_000_000), **values | more)


def letter(capability: Capability = MODERATION, offset: int = 0, seconds: float = 0, **more: Any) -> DeadLetter:
    """A letter that the worker wrote."""
    origin = more.pop("origin", Place(capability.consumes[0].name, 5, 77))
    made = DeadLetter(
        place=Place(capability.dead_letter_topic, 0, offset),
        capability=capability.name,
        code="bug",
        text="told to",
        key=b"m1",
        attempts=2,
        origin=origin,
        first_seen=NOW,
        given_up=at(seconds),
        size_bytes=2,
        headers=(),
    )
    return dataclasses.replace(made, **more)


def written(capability: Capability) -> DeadLetter:
    """The same by way of the worker's own headers."""
    record = KafkaRecord(capability.consumes[0].name, b"\0v", b"m1", 5, 77, headers=[("traceparent", b"00-1")])
    failed = Letter.of(record, 1000, retried=False).failed()
    headers: list[tuple[str, bytes | None]] = [*failed.headers(capability.name, BadEventError("no", code="bad"))]
    return dead_letter(message(headers, topic=capability.dead_letter_topic, key=b"m1"))


# what the headers tell


def test_what_the_worker_wrote_is_read() -> None:
    found = written(MODERATION)
    assert (found.capability, found.code, found.text, found.attempts) == ("content_moderation", "bad", "no", 1)
    assert found.origin == Place(MODERATION.consumes[0].name, 5, 77)
    assert found.first_seen == EPOCH + timedelta(seconds=1)
    assert found.given_up == datetime.fromtimestamp(1_700_000_000, UTC)
    assert (found.key_text, found.size_bytes) == ("m1", 2)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["x-origin-topic", "x-origin-partition", "x-origin-offset", "x-first-seen-ms", "x-attempt"]
            ),
            st.one_of(st.none(), st.binary(max_size=20), st.integers(-1, 10**17).map(lambda n: str(n).encode())),
        )
    )
)
def test_headers_of_others_never_hinder(headers: list[tuple[str, bytes | None]]) -> None:
    found = dead_letter(message(headers))
    assert found.place == Place("x.dead-letter.v1", 0, 7)


def test_a_letter_without_headers_has_no_origin() -> None:
    found = dead_letter(message([], key=None, value=None))
    assert (found.origin, found.first_seen, found.key_text, found.size_bytes) == (None, None, "", 0)


@given(st.from_regex(r"[a-z][a-z.-]{0,20}", fullmatch=True), st.integers(0, 99), st.integers(0, 10**17))
def test_a_place_reads_as_it_is_written(topic: str, partition: int, offset: int) -> None:
    place = Place(topic, partition, offset)
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize("text", ["", "t", "t/1", "t/1/2/3", "t/-1/2", "t/1/x", "/1/2", "t/1/²", "t/1/" + "9" * 30])
def test_no_place(text: str) -> None:
    with pytest.raises(PlaceInvalidError, match="is no place"):
        Place.parse(text)


# which are chosen


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_since_an_age(text: str, back: timedelta) -> None:
    assert since(text, NOW) == NOW - back


def test_since_a_time() -> None:
    assert since("2026-03-04T05:06", NOW) == datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    assert since("2026-03-04T05:06+02:00", NOW) == datetime(2026, 3, 4, 3, 6, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "-2h", "2y", "yesterday", "999999w"])
def test_since_nonsense(text: str) -> None:
    with pytest.raises(SelectionInvalidError, match="neither"):
        since(text, NOW)


@pytest.mark.parametrize(
    ("selection", "passes"),
    [
        (Selection(), True),
        (Selection(code="bug"), True),
        (Selection(code="bu"), False),
        (Selection(key="m1"), True),
        (Selection(key=""), False),
        (Selection(since=NOW), True),
        (Selection(since=at(1)), False),
        (Selection(places=(letter().place,)), True),
        (Selection(places=(letter(offset=1).place,)), False),
        (Selection(code="bug", key="m2"), False),
    ],
    ids=repr,
)
def test_filters(selection: Selection, passes: bool) -> None:
    assert selection.matches(letter()) is passes


def test_topics_of_a_selection() -> None:
    assert Selection().topics(CAPABILITIES, PRESENT) == PRESENT
    assert Selection(capability="item_indexing").topics(CAPABILITIES, PRESENT) == ["item-indexing.dead-letter.v1"]
    assert Selection(places=(letter().place,)).topics(CAPABILITIES, PRESENT) == ["content-moderation.dead-letter.v1"]
    gone = "long-gone.dead-letter.v1"
    assert gone in Selection().topics(CAPABILITIES, [*PRESENT, gone])


def test_a_selection_of_what_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(SelectionInvalidError, match="no capability 'nonesuch'"):
        Selection(capability="nonesuch").topics(CAPABILITIES, PRESENT)
    with pytest.raises(SelectionInvalidError, match=r"upload\.post\.created\.v1/0/1 lies in no dead-letter topic"):
        Selection(places=(Place("upload.post.created.v1", 0, 1),)).topics(CAPABILITIES, PRESENT)


def test_no_filter_names_nothing() -> None:
    assert not Selection(limit=3).names_anything
    assert Selection(key="").names_anything
    assert Selection(code="bug").names_anything


# where a replay goes


READS = [(c, t) for c in CAPABILITIES for t in c.consumes]


@pytest.mark.parametrize(("reader", "topic"), READS, ids=[f"{c.name} {t.name}" for c, t in READS])
def test_a_replay_goes_where_only_the_capability_reads(reader: Capability, topic: topics.Topic) -> None:
    found = destination(letter(reader, origin=Place(topic.name, 5, 77)), CAPABILITIES)
    by_offset = topic in (topics.SONG_PLAYED, topics.SONG_COUNTED)
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


# what was done with them


def run() -> Run:
    return Run("run", "ada", "why", 1)


def test_states_of_a_letter() -> None:
    audit, found = Audit(), letter()
    assert audit.state(found) == "open"
    audit.add(run().handled(found, "replayed", 1, NOW, Place("t", 0, 1)))
    assert audit.state(found) == "replayed"
    audit.add(run().handled(found, "purged", 1, NOW))
    audit.add(run().handled(found, "replayed", 2, NOW, Place("t", 0, 2)))
    assert audit.state(found) == "purged"
    assert audit.times(found, "replayed") == 2
    assert audit.state(letter(offset=1)) == "open"


def test_an_event_given_up_again_is_linked_to_its_replay() -> None:
    audit, first = Audit(), letter(offset=0)
    audit.add(run().handled(first, "replayed", 1, at(10), Place("content-moderation.retry-2000ms.v1", 5, 0)))
    again = audit.replay_of(letter(offset=3, seconds=11))
    assert again is not None
    assert again.place == str(first.place)
    assert audit.replay_of(first) is None
    assert audit.replay_of(letter(offset=1, seconds=9)) is None, "written before the replay"
    assert audit.replay_of(letter(offset=3, seconds=11, origin=Place(MODERATION.consumes[0].name, 5, 78))) is None
    assert audit.replay_of(letter(offset=3, seconds=11, origin=None)) is None


def test_an_event_with_a_new_origin_is_linked_too() -> None:
    audit, new = Audit(), Place(topics.SONG_PLAYED.name, 5, 500)
    audit.add(run().handled(letter(PLAYS), "replayed", 1, at(10), new))
    again = audit.replay_of(letter(PLAYS, offset=3, seconds=11, origin=new))
    assert again is not None
    assert again.place == str(letter(PLAYS).place)


def test_the_newest_replay_is_the_one() -> None:
    audit = Audit()
    for number, seconds in ((0, 10), (3, 20)):
        audit.add(run().handled(letter(offset=number), "replayed", 1, at(seconds), Place("retry", 0, number)))
    again = audit.replay_of(letter(offset=9, seconds=30))
    assert again is not None
    assert again.place == str(letter(offset=3).place)


@pytest.mark.parametrize(("seconds", "text"), [(-5, "0s"), (59, "59s"), (60, "1m"), (7300, "2h"), (200_000, "2d")])
def test_age(seconds: int, text: str) -> None:
    assert age(timedelta(seconds=seconds)) == text
