"""Ids are the same for ever, and different facts have different ones."""

from __future__ import annotations

import uuid

from hypothesis import assume, given
from hypothesis import strategies as st

from schemas import ids

PARTS = st.lists(st.text(max_size=5), max_size=4)


@given(PARTS, PARTS)
def test_other_parts_have_another_id(one: list[str], other: list[str]) -> None:
    assume(one != other)
    assert ids.stable_id(*one) != ids.stable_id(*other)


@given(PARTS)
def test_it_is_a_version_5_uuid_and_stays_the_same(parts: list[str]) -> None:
    found = ids.stable_id(*parts)
    assert found == ids.stable_id(*parts)
    assert uuid.UUID(found).version == 5


def test_moving_a_border_changes_the_id() -> None:
    assert ids.stable_id("ab", "c") != ids.stable_id("a", "bc")
    assert ids.stable_id("1:a") != ids.stable_id("", "a")


def test_golden_ids() -> None:
    """These are out in the world: another value would make every redelivery a new event."""
    media = ids.media_id("u1", "k1")
    assert media == "284b24b2-a090-5ece-a9f3-eae5ee05148a"
    assert ids.upload_event_id(media) == "bee90a13-7d87-5952-90d7-ccc42f50204b"
    assert ids.result_id("e1", "content_moderation", "1") == "5959cb51-3ef8-5a91-a589-8a4ca740f1c4"
