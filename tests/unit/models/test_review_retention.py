"""Which closed cases are named as old enough, and when again."""

from __future__ import annotations

import dataclasses

from models.review_retention import ClosedCases, last_heard
from schemas.review import CaseState, ReviewCase
from tests.fakes.runtime import at
from tests.unit.processors.test_review_settlement import request


def case(number: str, second: float, state: CaseState = "decided") -> ReviewCase:
    return ReviewCase(review_id=number, seq=1, state=state, changed_at=at(second))


def test_content_that_was_judged_anew_counts_from_then() -> None:
    assert last_heard(case("a", 3)) == at(3)
    assert last_heard(dataclasses.replace(case("a", 3), request=request(produced_at=at(7)))) == at(7)


def test_the_oldest_first_and_none_that_is_open_young_or_spared() -> None:
    known = {each.review_id: each for each in (case("b", 2), case("a", 1), case("c", 3), case("d", 1, "second"))}
    closed = ClosedCases()
    for each in known.values():
        closed.note(each)
        closed.note(each)
    assert closed.before(at(3), known.get, "") == ["a", "b"]
    # what could not be forgotten is named again, and what is gone is not
    del known["a"]
    assert closed.before(at(4), known.get, "c") == ["b"]
    del known["b"]
    assert closed.before(at(4), known.get, "") == ["c"]
    del known["c"]
    assert closed.before(at(9), known.get, "") == []


def test_a_case_that_changed_is_as_old_as_its_change() -> None:
    closed, known = ClosedCases(), {"a": case("a", 5)}
    closed.note(case("a", 1))
    closed.note(known["a"])
    assert closed.before(at(5), known.get, "") == []
    assert closed.before(at(6), known.get, "") == ["a"]
