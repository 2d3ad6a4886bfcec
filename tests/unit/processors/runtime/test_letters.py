"""The story of an event in its headers, over any number of tries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.runtime.letters import TEXT_LIMIT, Letter
from processors.runtime.transport import NOT_BEFORE_HEADER, not_before
from schemas.errors import BadEventError, UnavailableError
from tests.fakes.runtime import KafkaRecord

ERROR = UnavailableError("Redis is away", code="redis-away")


def record(**more: Any) -> KafkaRecord:
    values: dict[str, Any] = {"value": b"\0v", "key": b"m1", "partition": 5, "offset": 77}
    return KafkaRecord("media.upload.analysed.v1", **values | more)


def retried(letter: Letter, **more: Any) -> KafkaRecord:
    """The record that the retry topic gives for a letter."""
    headers = letter.headers("tally", ERROR, 123_456)
    values: dict[str, Any] = {"key": letter.key, "value": letter.value, "offset": 2, "headers": headers}
    values["partition"] = letter.partition
    return KafkaRecord("tally.retry-2000ms.v1", **values | more)


def test_a_fresh_record_is_its_own_origin() -> None:
    letter = Letter.of(record(), 1000, retried=True)
    assert letter.place == "media.upload.analysed.v1/5/77"
    assert (letter.attempt, letter.first_seen_ms) == (0, 1000)
    assert (letter.key, letter.value, letter.key_text) == (b"m1", b"\0v", "m1")


def test_origin_and_story_survive_every_retry_topic() -> None:
    first = Letter.of(record(headers=[("traceparent", b"00-1"), ("other", b"x")]), 1000, retried=True)
    letter = first
    for attempt in range(1, 4):
        letter = Letter.of(retried(letter.failed()), 9_999_999, retried=True)
        assert letter.attempt == attempt
    assert (letter.place, letter.first_seen_ms) == (first.place, 1000)
    assert (letter.key, letter.value) == (first.key, first.value)
    assert letter.carried == (("traceparent", b"00-1"),)


def test_headers_tell_the_story() -> None:
    headers = dict(Letter.of(record(), 1000, retried=True).failed().headers("tally", ERROR, 123))
    assert headers.pop("x-worker-version")
    assert headers == {
        "x-origin-topic": b"media.upload.analysed.v1",
        "x-origin-partition": b"5",
        "x-origin-offset": b"77",
        "x-attempt": b"1",
        "x-first-seen-ms": b"1000",
        "x-error-code": b"redis-away",
        "x-error-class": b"UnavailableError",
        "x-error-text": b"Redis is away",
        "x-capability": b"tally",
        NOT_BEFORE_HEADER: b"123",
    }


def test_a_dead_letter_is_due_at_once() -> None:
    assert NOT_BEFORE_HEADER not in dict(Letter.of(record(), 0, retried=True).headers("tally", ERROR))


def test_the_transport_reads_when_it_is_due() -> None:
    assert not_before(retried(Letter.of(record(), 0, retried=True))) == 123.456


def test_a_long_text_is_cut() -> None:
    headers = dict(Letter.of(record(), 0, retried=True).headers("tally", BadEventError("x" * 10_000)))
    assert headers["x-error-text"] == b"x" * TEXT_LIMIT


@given(st.text(max_size=20))
def test_any_text_fits_into_a_header(text: str) -> None:
    assert isinstance(
        dict(Letter.of(record(), 0, retried=True).headers("tally", BadEventError(text)))["x-error-text"], bytes
    )


def test_a_text_with_half_a_character_fits_too() -> None:
    """Such a text cannot be encoded as it is; raised here, the event could not even be given up."""
    dict(Letter.of(record(), 0, retried=True).headers("tally", BadEventError("broken \udc80 name")))


@pytest.mark.parametrize(
    "value", [b"", b"x", b"-1", b"1.5", "²".encode(), b"9" * 5000, None], ids=lambda v: repr(v)[:8]
)
@pytest.mark.parametrize("name", ["x-attempt", "x-origin-offset", "x-origin-partition", "x-first-seen-ms"])
def test_a_header_that_is_not_ours_is_passed_over(name: str, value: bytes | None) -> None:
    letter = Letter.of(record(headers=[(name, value)]), 1000, retried=True)
    assert (letter.attempt, letter.offset, letter.partition, letter.first_seen_ms) == (0, 77, 5, 1000)


def test_an_origin_without_a_value_is_passed_over() -> None:
    assert Letter.of(record(headers=[("x-origin-topic", None)]), 0, retried=True).topic == "media.upload.analysed.v1"


def test_headers_may_be_a_dict_or_nothing() -> None:
    assert Letter.of(record(headers={"x-attempt": b"2"}), 0, retried=True).attempt == 2
    assert Letter.of(record(headers=None), 0, retried=True).attempt == 0


@pytest.mark.parametrize(("key", "text"), [(None, ""), (b"", ""), (b"\xff", "�")])
def test_a_key_that_is_no_text_can_be_shown(key: bytes | None, text: str) -> None:
    letter = Letter.of(record(key=key), 0, retried=True)
    assert letter.key_text == text
    assert letter.key == key
