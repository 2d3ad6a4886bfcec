"""Dead letters without a broker: what is read from headers, which are chosen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.catalogue import CAPABILITIES
from processors.tools.dlq.letters import EPOCH, Place, PlaceInvalidError, dead_letter
from processors.tools.dlq.selection import Selection, SelectionInvalidError, since
from processors.tools.dlq.showing import age
from tests.fakes.runtime import NOW, at
from tests.unit.processors.tools.letters import MODERATION, letter, message, written

PRESENT = sorted(c.dead_letter_topic for c in CAPABILITIES)


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


# how they are shown


@pytest.mark.parametrize(("seconds", "text"), [(-5, "0s"), (59, "59s"), (60, "1m"), (7300, "2h"), (200_000, "2d")])
def test_age(seconds: int, text: str) -> None:
    assert age(timedelta(seconds=seconds)) == text
