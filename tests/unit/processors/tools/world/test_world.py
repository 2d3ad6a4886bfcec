"""A data set as events: the same each time, and made-up exposures by the rule that is stated."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from models.dataset import DatasetError
from models.training.data import ml100k
from models.training.data.generated import Config, generate
from processors.tools.world.events import Plan, event_count, events
from processors.tools.world.exposures import unclicked
from processors.tools.world.load import load
from processors.tools.world.names import is_research_only, item_id, world_of
from schemas.interaction import ItemInteracted
from schemas.item import ItemChanged
from schemas.play import SongPlayed
from schemas.user import ProfileChanged
from tests.fakes.runtime import codec
from tests.fakes.serving import MemoryPublisher

UNTIL = datetime(2026, 11, 20, tzinfo=UTC)
WORLD = generate(Config.debug())


def told(plan: Plan) -> list[Any]:
    return [emit.record for emit in events(WORLD, plan)]


def test_every_event_fits_its_contract_and_its_key() -> None:
    encode = codec().encode
    for emit in events(WORLD, Plan(UNTIL)):
        assert encode(emit.record)
        record: Any = emit.record
        assert emit.key == (record.item_id if isinstance(record, ItemChanged) else record.user_id)
        assert emit.key.startswith("world-generated-")


def test_told_twice_every_event_has_its_id_again() -> None:
    first, second = ([r.event_id for r in told(Plan(until))] for until in (UNTIL, UNTIL + timedelta(days=3)))
    assert first == second
    assert len(set(first)) == len(first)


def test_the_newest_play_is_at_the_end_and_nobody_meets_an_item_before_it_is_there() -> None:
    records = told(Plan(UNTIL, exposures=4))
    plays = [r for r in records if isinstance(r, SongPlayed)]
    assert max(play.occurred_at for play in plays) == UNTIL
    there = {r.item_id: r.occurred_at for r in records if isinstance(r, ItemChanged)}
    assert all(r.occurred_at > there[r.item_id] for r in records if isinstance(r, ItemInteracted))
    begin = min(r.occurred_at for r in records if isinstance(r, ProfileChanged))
    assert all(r.occurred_at > begin for r in records if isinstance(r, ItemInteracted | SongPlayed))


def test_each_play_has_a_list_of_its_own_in_which_places_are_taken_once() -> None:
    records = told(Plan(UNTIL, exposures=3))
    shown = [r for r in records if isinstance(r, ItemInteracted) and r.action == "exposed"]
    places = Counter((r.exposure.request_id, r.exposure.position) for r in shown if r.exposure)
    assert max(places.values()) == 1
    assert {place for _, place in places} == {0, 1, 2, 3}
    assert len({request for request, _ in places}) == len(WORLD.interactions)
    counts = Counter(r.action for r in records if isinstance(r, ItemInteracted))
    assert counts["clicked"] == len(WORLD.interactions)
    assert counts["liked"] == WORLD.interactions.liked.sum()
    assert len(records) <= event_count(WORLD, Plan(UNTIL, exposures=3))


def test_nothing_that_the_user_plays_at_any_time_counts_as_passed_over() -> None:
    rows = WORLD.interactions
    published = np.full(len(WORLD.items), rows.at_ms.min() - 1)
    lists = unclicked(WORLD, published, 5, seed=2)
    played = set(zip(rows.user.tolist(), rows.item.tolist(), strict=True))
    for user, own, listed in zip(rows.user.tolist(), lists.own.tolist(), lists.items.tolist(), strict=True):
        shown = [item for item in listed if item >= 0]
        assert not {(user, item) for item in shown} & played
        assert len(set(shown)) == len(shown)
        assert listed[own] == -1
    assert (unclicked(WORLD, published, 5, seed=2).items == lists.items).all()
    assert (unclicked(WORLD, published, 5, seed=3).items != lists.items).any()


def test_what_is_played_often_is_shown_often() -> None:
    world = generate(Config(users=200, items=300, plays=3000, days=10))
    rows = world.interactions
    published = np.full(len(world.items), rows.at_ms.min() - 1)
    shown = unclicked(world, published, 4, seed=2).items
    popularity = np.bincount(rows.item, minlength=len(world.items))
    counts = np.bincount(shown[shown >= 0], minlength=len(world.items))
    assert np.corrcoef(popularity, counts)[0, 1] > 0.8
    later = np.where(popularity == popularity.max(), rows.at_ms.max() + 1, published)
    assert not np.isin(unclicked(world, later, 4, seed=2).items, np.flatnonzero(popularity == popularity.max())).any()


def test_without_exposures_a_play_is_shown_where_the_data_set_says() -> None:
    positions = {r.exposure.position for r in told(Plan(UNTIL, exposures=0)) if isinstance(r, ItemInteracted)}
    assert positions == {-1}


def test_age_gender_and_occupation_come_through() -> None:
    records = {r.user_id: r for r in told(Plan(UNTIL)) if isinstance(r, ProfileChanged)}
    users = WORLD.users
    for row, name in enumerate(users.ids):
        record = records[f"world-generated-u{name}"]
        assert UNTIL.year - (record.birth_year or 0) == users.age[row]
        assert record.occupation == users.occupations[users.occupation[row]]
    assert Counter(r.gender for r in records.values())["unknown"] == (users.gender == 0).sum()


async def test_loading_publishes_all_and_says_how_far_it_is() -> None:
    publisher, heard = MemoryPublisher(), list[int]()
    loaded = await load(WORLD, Plan(UNTIL), publisher, lambda _what, done, _total: heard.append(done))
    assert sum(loaded.events.values()) == len(publisher.events) == heard[-1]


async def test_a_spoilt_data_set_is_refused_before_anything_is_sent() -> None:
    spoilt = WORLD.with_parts(
        {"audio": np.full((len(WORLD.items), 64), np.nan, np.float32)}, {"audio": np.ones(len(WORLD.items), np.bool_)}
    )
    publisher = MemoryPublisher()
    with pytest.raises(DatasetError, match="part audio of item s0 is not finite"):
        await load(spoilt, Plan(UNTIL), publisher, lambda *_: None)
    assert not publisher.events


def test_an_item_says_which_world_it_is_of() -> None:
    for world in ("generated", "ml-100k-music-semi-synthetic"):
        assert world_of(item_id(world, "s7")) == world
    assert world_of("5b0e6a8a-1c9a-5b0e-9d8e-0f3b1c9a7e42") == ""


def test_items_of_a_research_only_data_set_say_so() -> None:
    assert is_research_only(item_id(ml100k.load().name, "1"))
    assert is_research_only(item_id("ml-100k-music-semi-synthetic", "1"))
    assert not is_research_only(item_id("generated", "1"))
    assert not is_research_only(replace(WORLD, name="x").name)
