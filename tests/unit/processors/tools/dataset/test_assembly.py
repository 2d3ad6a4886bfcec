"""Signals to rows, histories to data sets, users to pseudonyms."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.dataset import DatasetError, check
from processors.tools.dataset.assemble import TOLD_BY, assemble
from processors.tools.dataset.build import find, lineages, read_lineage
from processors.tools.dataset.history import History, Signal
from processors.tools.dataset.pseudonyms import PseudonymKeyError, pseudonym, read_key
from processors.tools.dataset.rows import SESSION_MS, joined
from processors.tools.dataset.statistics import statistics
from schemas.common import Label
from schemas.item import ItemChanged
from schemas.user import ProfileChanged

KEY = b"k" * 32
USERS, ITEMS = {"u0": 0, "u1": 1}, {"i0": 0, "i1": 1}
AT = datetime(2026, 11, 1, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)


def signal(
    kind: str, at_ms: int = 0, item: str = "i0", request: str = "", user: str = "u0", position: int = -1
) -> Signal:
    played = (0.5, 700) if kind == "played" else (0.0, 0)
    return Signal(user, item, request, at_ms, kind, position, *played)


def test_what_carries_a_request_is_one_row_however_long_it_takes() -> None:
    late = SESSION_MS * 10
    rows = joined(
        [
            signal("liked", late, request="r"),
            signal("exposed", 5, request="r", position=2),
            signal("played", 9, request="r"),
        ],
        USERS,
        ITEMS,
    )
    assert len(rows) == 1
    assert (rows.at_ms[0], rows.clicked[0], rows.liked[0], rows.position[0], rows.played_ms[0]) == (
        5,
        True,
        True,
        2,
        700,
    )


def test_another_request_user_or_item_is_another_row() -> None:
    base = signal("exposed", request="r")
    others = [
        signal("exposed", request="s"),
        signal("exposed", request="r", user="u1"),
        signal("exposed", request="r", item="i1"),
    ]
    assert len(joined([base, *others], USERS, ITEMS)) == 4


def test_without_a_request_half_an_hour_holds_together_and_a_second_play_is_a_row_of_its_own() -> None:
    near, far = SESSION_MS, SESSION_MS + 1
    assert len(joined([signal("exposed"), signal("played", near)], USERS, ITEMS)) == 1
    assert len(joined([signal("exposed"), signal("played", far)], USERS, ITEMS)) == 2
    rows = joined([signal("played"), signal("liked", 10), signal("played", 20), signal("liked", 30)], USERS, ITEMS)
    assert (rows.at_ms.tolist(), rows.liked.tolist(), rows.clicked.tolist()) == ([0, 20], [True, True], [True, True])


def test_only_shown_is_not_clicked() -> None:
    rows = joined([signal("exposed", request="r", position=40_000)], USERS, ITEMS)
    assert (rows.clicked[0], rows.liked[0], rows.completion[0], rows.position[0]) == (False, False, 0, 32_767)


def test_of_two_places_in_one_list_the_upper_counts_whichever_came_first() -> None:
    both = [signal("exposed", request="r", position=place) for place in (3, 1)]
    for found in (both, both[::-1]):
        assert joined(found, USERS, ITEMS).position.tolist() == [1]


signals = st.builds(
    signal,
    st.sampled_from(("exposed", "clicked", "liked", "played")),
    st.sampled_from((0, 10, SESSION_MS, SESSION_MS + 1, 3 * SESSION_MS)),
    st.sampled_from(tuple(ITEMS)),
    st.sampled_from(("", "r", "s")),
    st.sampled_from(tuple(USERS)),
    st.integers(-1, 3),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(signals, min_size=1, max_size=12), st.integers())
def test_the_order_of_arrival_does_not_matter(found: list[Signal], seed: int) -> None:
    shuffled = list(found)
    random.Random(seed).shuffle(shuffled)
    one, other = joined(found, USERS, ITEMS), joined(shuffled, USERS, ITEMS)
    for name in type(one).__slots__:
        assert (getattr(one, name) == getattr(other, name)).all(), name
    assert one.played_ms.sum() == 700 * sum(each.kind == "played" for each in found)


def published(name: str, **more: object) -> ItemChanged:
    fixed = {"event_id": name, "occurred_at": AT, "changed_at": AT, "item_id": name, "kind": "audio", "seq": 1}
    return ItemChanged(**fixed | {"change": "published"} | more)  # type: ignore[arg-type]


def history(**more: object) -> History:
    items = {
        name: published(name, labels=(Label(name="pop", score=0.9), Label(name="jazz", score=0.4))) for name in ITEMS
    }
    return History(items=items, signals=[signal("played", AT_MS)], **more)  # type: ignore[arg-type]


def test_a_user_who_told_nothing_is_unknown_and_counted() -> None:
    found = history()
    dataset = assemble(found, KEY)
    check(dataset)
    assert (dataset.users.age[0], dataset.users.gender[0], dataset.users.occupation[0]) == (-1, 0, 0)
    assert found.left_out["users without a profile (kept)"] == 1
    assert dataset.items.tags == ("pop",)
    assert dataset.items.parts == {}
    assert dataset.items.published_ms is not None
    assert dataset.items.published_ms.tolist() == [AT_MS, AT_MS]


@pytest.mark.parametrize(("birth_year", "age"), [(1990, 36), (None, -1), (2030, -1), (1800, -1)])
def test_age_is_that_of_the_newest_interactions_year(birth_year: int | None, age: int) -> None:
    profile = ProfileChanged(event_id="p", occurred_at=AT, user_id="u0", birth_year=birth_year, gender="other")
    dataset = assemble(history(profiles={"u0": profile}), KEY)
    assert (dataset.users.age[0], dataset.users.gender[0]) == (age, 0)


@pytest.mark.parametrize("change", ["withdrawn", "unknown"])
def test_nothing_to_learn_from_is_a_clear_error(change: str) -> None:
    with pytest.raises(DatasetError, match="the history is empty: 0 records, nothing left out"):
        assemble(History(), KEY)
    gone = history()
    gone.items = {name: published(name, change=change) for name in ITEMS}
    with pytest.raises(DatasetError, match="1 of items not published"):
        assemble(gone, KEY)


def test_counts_after_each_play_are_those_of_all_before_it() -> None:
    """Of two plays in one moment the second tells what holds from then on."""
    plays = [signal("played", at) for at in (0, 1000, 1000, 5000)] + [
        signal("played", 3, user="u1"),
        signal("liked", 4),
    ]
    found = statistics(plays, USERS, lambda each: each.user, timedelta(seconds=1))
    assert found.entity.tolist() == [0, 0, 0, 1]
    assert (found.at_ms.tolist(), found.plays.tolist()) == ([0, 1000, 5000, 3], [1, 3, 4, 1])
    assert found.played_ms.tolist() == [700, 2100, 2800, 700]
    np.testing.assert_allclose(found.decayed_plays, [1, 2.5, 2.5 / 16 + 1, 1])


def test_a_pseudonym_needs_its_key(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "key"
    key = read_key(path)
    assert read_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert pseudonym("ada", key) == pseudonym("ada", key) != pseudonym("ada", KEY)
    assert len({pseudonym(user, key) for user in ("ada", "bob", "", "用户")}) == 4


def test_a_key_that_others_could_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(0o640)
    with pytest.raises(PseudonymKeyError, match="mode 0640"):
        read_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(PseudonymKeyError, match="is no key"):
        read_key(path)


def test_a_version_must_name_one_data_set(tmp_path: Path) -> None:
    for name in ("abc1", "abc2"):
        (tmp_path / name).mkdir()
    assert find(tmp_path, "abc1").name == "abc1"
    for wrong in ("abc", "zz", ""):
        with pytest.raises(DatasetError, match="data sets have a version"):
            find(tmp_path, wrong)
    assert lineages(tmp_path / "none") == []
    with pytest.raises(DatasetError, match="lineage"):
        read_lineage(tmp_path / "abc1")


def test_an_occupation_that_few_users_told_is_unknown() -> None:
    told = ["nurse"] * TOLD_BY + ["heir to a throne"] * (TOLD_BY - 1) + [""]
    profiles = {
        f"u{place}": ProfileChanged(event_id=f"p{place}", occurred_at=AT, user_id=f"u{place}", occupation=name)
        for place, name in enumerate(told)
    }
    users = assemble(history(profiles=profiles), KEY).users
    assert users.occupations == ("", "nurse")
    named = [users.occupations[each] for each in users.occupation]
    assert (named.count("nurse"), named.count("")) == (TOLD_BY, TOLD_BY)


@pytest.mark.parametrize(
    ("told", "kept"), [(1959, 1959), (9999, 9999), (None, 0), (0, 0), (-5, 0), (10_000, 0), (70_000, 0)]
)
def test_a_year_that_cannot_be_is_unknown(told: int | None, kept: int) -> None:
    found = history()
    found.items["i0"] = published("i0", release_year=told)
    assert assemble(found, KEY).items.year.tolist() == [kept, 0]
