"""The chain of the audit log: a change shows, and what a crash leaves behind does not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.review_audit import GENESIS, Entry, Head, Verdict, chained, digest, verify
from schemas.review import ReviewAudited
from tests.fakes.runtime import at


def entry(number: int, what: str = "approve") -> Entry:
    return Entry(at(number), f"r{number}", "key:a", what)


def branch(head: Head, *entries: Entry) -> list[ReviewAudited]:
    """``entries`` chained to ``head``."""
    found = []
    for each in entries:
        found.append(chained(head, each))
        head = Head(found[-1].seq, found[-1].hash)
    return found


def log(numbers: list[int], head: Head | None = None) -> list[ReviewAudited]:
    return branch(head or Head(), *map(entry, numbers))


def test_a_good_log() -> None:
    good = log([1, 2, 3])
    assert verify(good) == Verdict(3, 0, 0, Head(3, good[-1].hash))
    assert verify([]) == Verdict(0, 0, 0, Head(0, GENESIS))
    assert [each.seq for each in good] == [1, 2, 3]
    assert log([1, 2, 3]) == good


CHANGES: list[dict[str, Any]] = [
    {"moderator": "key:b"},
    {"what": "reject"},
    {"detail": "x"},
    {"review_id": "other"},
    {"occurred_at": at(99)},
    {"event_id": "x"},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
@given(place=st.integers(0, 4), rehashed=st.booleans())
def test_a_changed_entry_is_named(change: dict[str, Any], place: int, rehashed: bool) -> None:
    bad = log([1, 2, 3, 4, 5])
    bad[place] = dataclasses.replace(bad[place], **change)
    if rehashed:
        bad[place] = dataclasses.replace(bad[place], hash=digest(bad[place]))
    broken = verify(bad).broken
    # with a hash that fits it, the next entry is the first that does not
    last = rehashed and place == 4
    assert last or broken.startswith(f"entry {place + 2 if rehashed else place + 1} ")


@given(place=st.integers(0, 3))
def test_a_missing_entry_is_named(place: int) -> None:
    bad = log([1, 2, 3, 4, 5])
    del bad[place]
    assert verify(bad).broken.startswith(f"entry {place + 2} ")


def test_swapped_entries_are_named() -> None:
    bad = log([1, 2, 3])
    bad[0], bad[1] = bad[1], bad[0]
    assert verify(bad).broken.startswith("entry 2 ")


def test_what_a_crash_leaves_behind_is_let_through() -> None:
    good = log([1, 2, 3])
    # written, not remembered, and written again word for word
    assert verify([*good[:2], *good[1:]]) == Verdict(3, 1, 0, Head(3, good[-1].hash))
    # or after something else
    again = log([3, 2], Head(1, good[0].hash))
    found = verify([*good, *again])
    assert (found.entries, found.retold, found.broken) == (3, 2, "")
    assert found.head == Head(3, again[-1].hash)


def test_an_entry_that_is_replaced_for_good_is_named() -> None:
    good = log([1, 2, 3])
    forged = log([3], Head(1, good[0].hash))
    assert verify([*good[:2], *forged]).broken.startswith("entry 2 ")


def test_a_verdict_told_otherwise_beside_the_chain_is_named() -> None:
    """Who may append could tell the log anew from any entry on, with another word of the same moderator."""
    told = [Entry(at(0), "c1", "system:a", "requested"), entry(1), Entry(at(2), "c2", "key:b", "reject", "image-nsfw")]
    good = branch(Head(), *told)
    forged = dataclasses.replace(told[1], what="reject", detail="avatar-public-figure")
    head = Head(1, good[0].hash)
    assert verify([*good, *branch(head, forged, told[2])]).broken.startswith("entry 2 ")
    told[1] = dataclasses.replace(told[1], what="reject", detail="image-nsfw")
    good = branch(Head(), *told)
    other = dataclasses.replace(told[1], detail="avatar-public-figure")
    assert verify([*good, *branch(Head(1, good[0].hash), other, told[2])]).broken.startswith("entry 2 ")


def test_a_third_start_may_go_on_as_the_first_did() -> None:
    """Two crashes: the topics are mixed one way, the other way, and the first way again."""
    one, two, three = (entry(number) for number in range(3))
    log = [*branch(Head(), one, two), *branch(Head(), two, one), *branch(Head(), one, two, three)]
    found = verify(log)
    assert (found.entries, found.repeats, found.retold, found.broken) == (3, 2, 2, "")
