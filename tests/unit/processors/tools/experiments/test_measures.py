"""From events to measures: each event once, to the right user and arm; a known effect is found, none is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from processors.serving.experiments.split import bucket_of
from processors.tools.experiments.aa_check import false_alarms
from processors.tools.experiments.measures import RATES, SPREADS, coverage, gini, spread
from processors.tools.experiments.observations import COLUMNS, Observations, join
from processors.tools.experiments.reading import Window, WindowLog, newest_window
from processors.tools.experiments.run import Result, result_of
from schemas.recommendation import ListServed
from schemas.record import Record
from tests.fakes.listeners import Listeners, halves
from tests.fakes.serving import NOW
from tests.unit.processors.tools.experiments.events import at, did, played, served

WINDOW = Window(NOW, NOW + timedelta(hours=1), timedelta(minutes=10))


def observed(events: Iterable[Record], window: Window = WINDOW) -> Observations:
    log = WindowLog(window)
    for event in events:
        log.take(event)
    return join(log)


def row(found: Observations, user: str) -> dict[str, float]:
    [place] = [place for place, each in enumerate(found.user_ids) if each == user]
    return {name: value for name, value in zip(COLUMNS, found.table[place].tolist(), strict=True) if value}


def test_what_a_user_did_is_counted() -> None:
    found = observed(
        [
            served("r1", "ada"),
            served("r2", "ada", minute=5),
            did("clicked", "r1", "ada", "a"),
            did("clicked", "r1", "ada", "a", minute=3),
            played("r1", "ada", "a", completion=0.5),
            played("r1", "ada", "c"),
            did("liked", "r2", "ada", "a", minute=6),
            did("shared", "r2", "ada", "b", minute=6),
            played("", "ada", "elsewhere", minute=7),
        ]
    )
    assert row(found, "ada") == {
        "offered": 6,
        "cold_offered": 2,
        "opened": 2,
        "liked": 1,
        "plays": 2,
        "full_plays": 1,
        "cold_plays": 1,
        "minutes": 3,
    }
    assert found.left_out == {}
    assert (found.items, len(found.offer_items)) == (3, 6)


def test_repeats_count_once_and_late_ones_until_the_grace() -> None:
    once = [served("r1", "ada", minute=59), did("clicked", "r1", "ada", "a", minute=69.9)]
    late = did("clicked", "r1", "ada", "b", minute=70)
    found = observed([*once, *once, late])
    assert row(found, "ada") == {"offered": 3, "cold_offered": 1, "opened": 1}
    assert found.left_out == {"repeated": 2}


def test_what_belongs_to_no_offer_is_left_out_and_said() -> None:
    found = observed(
        [
            served("r1", "ada"),
            served("before", "ada", minute=-1),
            did("clicked", "before", "ada", "a"),
            did("clicked", "r1", "eve", "a"),
            did("clicked", "r1", "ada", "never-offered"),
            did("clicked", "", "ada", "a"),
            played("r1", "eve", "a"),
            played("", "eve", "a"),
        ]
    )
    assert row(found, "ada") == {"offered": 3, "cold_offered": 1}
    assert found.left_out == {"of-another-window": 1, "of-another-user": 2, "not-offered": 1, "of-no-list": 1}


def test_time_counts_for_the_arm_in_force_and_not_before_the_first_list() -> None:
    found = observed(
        [
            served("r1", "ada", "control", minute=10),
            served("r2", "ada", "new", minute=20),
            played("", "ada", "x", minute=5),
            played("", "ada", "x", minute=15),
            played("", "ada", "x", minute=25),
            played("", "ada", "x", minute=26),
        ]
    )
    minutes = {
        dict(arms)["cold-places"]: line[COLUMNS.index("minutes")]
        for arms, line in zip(found.arms, found.table, strict=True)
    }
    assert minutes == {"control": 1, "new": 2}
    samples, mixed = found.by_arm("cold-places")
    assert ({arm: len(sample) for arm, sample in samples.items()}, mixed) == ({"control": 0, "new": 0}, 1)


def test_a_user_from_before_the_experiment_is_in_it_with_what_came_since() -> None:
    found = observed([served("r1", "ada", ""), served("r2", "ada", "new"), served("r3", "bea", "control")])
    samples, mixed = found.by_arm("cold-places")
    assert ({arm: sample.counts["offered"].tolist() for arm, sample in samples.items()}, mixed) == (
        {"control": [3.0], "new": [3.0]},
        0,
    )
    ids, everybody = found.everybody()
    assert (ids, everybody.counts["offered"].tolist()) == (["ada", "bea"], [6.0, 3.0])


def measured(result: Result) -> dict[tuple[str, str], Any]:
    return {(each.measure, each.arm): each for each in result.measured}


def world(**changes: Any) -> Result:
    settings = halves()
    return result_of(settings.defined[0], observed(Listeners(settings, **changes).events()))


def test_a_known_effect_is_found_and_nothing_where_there_is_none() -> None:
    found = measured(world(users=1500, effect=0.08, cold_share={"new": 0.5}))
    assert len(found) == 2 * (len(RATES) + len(SPREADS))
    click = found["click-rate", "new"].difference
    assert click.low < 0.08 < click.high
    assert click.p_value < 1e-6
    assert found["click-rate", "control"].difference is None
    cold = found["cold-offer-share", "new"].difference
    assert cold.value == pytest.approx(0.25)
    assert found["cold-play-share", "new"].difference.p_value < 1e-6
    assert found["completion-rate", "new"].difference.p_value > 0.001


def test_equal_arms_are_found_to_be_equal() -> None:
    result = world(users=1500)
    assert [each.measure for each in result.measured if each.difference and each.difference.p_value < 0.001] == []
    assert not result.broken
    assert sum(result.users.values()) == 1500


def test_arms_that_lose_users_are_a_broken_split() -> None:
    settings = halves()
    events = list(Listeners(settings, users=1500).events())
    lost = {user for user in all_new(events) if int(user.split("-")[-1]) % 4 == 0}
    events = [event for event in events if event.user_id not in lost]
    result = result_of(settings.defined[0], observed(events))
    assert result.broken
    assert result.sample_ratio_p < 1e-3


def all_new(events: Iterable[Any]) -> set[str]:
    return {e.user_id for e in events if isinstance(e, ListServed) and e.arms[2].arm == "new"}


def test_an_arm_without_users_has_no_measures() -> None:
    settings = halves()
    found = result_of(settings.defined[0], observed([served(f"r{n}", f"u{n}", "control") for n in range(9)]))
    assert {each.arm for each in found.measured} == {"control"}
    assert found.users == {"control": 9, "new": 0}
    assert result_of(settings.defined[0], observed([])).measured == []


def test_half_of_the_users_twice_is_found_equal_as_often_as_promised() -> None:
    checks = false_alarms(observed(Listeners(halves(), users=500).events()), 200)
    assert [each.name.split(":")[0] for each in checks] == list(RATES)
    assert [each for each in checks if not each.ok] == []


def test_halves_that_differ_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A split that follows what the users do is no split."""
    found = observed(Listeners(halves(), users=500).events())
    lazy = set(np.array(found.user_ids)[found.table[:, COLUMNS.index("opened")] == 0].tolist())
    monkeypatch.setattr("processors.tools.experiments.aa_check.bucket_of", lambda _salt, user: 999 * (user in lazy))
    assert not next(each for each in false_alarms(found, 20) if each.name.startswith("click-rate")).ok


def test_spread_over_the_items() -> None:
    assert coverage(np.array([1, 0, 3, 0])) == 0.5
    assert gini(np.array([5, 5, 5, 5])) == pytest.approx(0.0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(0.75)
    assert gini(np.array([1, 2, 3])) == pytest.approx(2 / 9)  # 8 / (2 * 3 * 3 * 2)
    assert gini(np.array([0, 0])) == 0.0


def test_an_arm_of_few_users_is_compared_with_as_few_of_the_other() -> None:
    """Ten times the users offer more items; that alone is no difference."""
    settings = halves()
    events = list(Listeners(settings, users=1500).events())
    left = set(sorted(all_new(events))[70:])
    kept = [event for event in events if event.user_id not in left]
    found = measured(result_of(settings.defined[0], observed(kept)))
    for name in SPREADS:
        difference = found[name, "new"].difference
        assert difference.low < 0 < difference.high


@pytest.mark.parametrize("name", list(SPREADS))
def test_arms_of_different_sizes_differ_as_much_as_their_errors_say(name: str) -> None:
    """Thirds of the same users against the rest: differences by their errors are around 0, about 1 apart."""
    ids, everybody = observed(Listeners(halves(), users=150, warm=400, cold=200).events()).everybody()
    found = []
    for turn in range(30):
        first = np.array([bucket_of(f"thirds-{turn}", user) < 333 for user in ids], np.bool_)
        one, other = (everybody.users(np.flatnonzero(mine)) for mine in (first, ~first))
        few = min(len(one), len(other)) // 2
        difference = spread(one, name, few).minus(spread(other, name, few))
        found.append(difference.value / difference.error)
    assert abs(np.mean(found)) < 0.6
    assert 0.5 < np.std(found) < 1.5


def test_windows_are_whole_and_over() -> None:
    hour, grace = timedelta(hours=1), timedelta(minutes=10)
    assert newest_window(hour, grace, at(9.9)) == Window(at(-120), at(-60), grace)
    assert newest_window(hour, grace, at(10)) == Window(at(-60), at(0), grace)
    assert dataclasses.replace(WINDOW, begin=at(5)).closed == at(70)
