"""From a world to the topics and back: the data set is the one that was told, whatever the topics add and repeat."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.feature_reader import RedisFeatureReader
from features.views import ITEM_PLAYS, USER_TASTE
from models.content_vector import DIM, ContentVectoriser, split
from models.dataset import Dataset, read
from models.training.data.generated import Config, generate
from processors.play_aggregation import play_aggregation
from processors.runtime.processor import Emit, Received
from processors.runtime.wiring import Wiring
from processors.tools.dataset import point_in_time
from processors.tools.dataset.build import Lineage, build, find, folder_of, key_path, lineages
from processors.tools.dataset.pseudonyms import pseudonym, read_key
from processors.tools.erase.logs import dataset_traces
from processors.tools.world.events import Plan, events, shift_ms
from processors.tools.world.load import load
from processors.tools.world.names import item_id, user_id
from schemas import topics
from schemas.interaction import ItemInteracted
from schemas.item import ItemChanged
from schemas.play import SongCounted, SongPlayed
from schemas.user import ProfileChanged, UserErased
from tests.fakes.runtime import MemoryState

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
UNTIL = datetime(2026, 11, 20, 20, tzinfo=UTC)
PLAN = Plan(UNTIL, exposures=2)
PARTITIONS = 3
ERASED, RETURNED = "erna", "rita"


@dataclass(frozen=True)
class Told:
    """What was told, and what came of it."""

    dataset: Dataset
    built: Dataset
    lineage: Lineage
    place: Path
    renamed: dict[str, str]


def world() -> Dataset:
    """A handful of users and songs, most of them with two of three parts of content."""
    made = generate(Config.debug())
    random_ = np.random.default_rng(3)
    joint = random_.normal(size=(len(made.items), DIM)).astype(np.float32)
    joint[:, 64:128] = 0
    joint[::5] = 0
    made = made.with_parts(*split(joint))
    return replace(made, items=replace(made.items, content_version=ContentVectoriser().version))


def odd_events(shown: str) -> list[Emit]:
    """What a topic may hold beside the world: erased users, unknown and withdrawn items, impossible values."""

    def play(number: int, user: str, item: str = shown, **more: Any) -> Emit:
        values = {"played_ms": 1000, "duration_ms": 2000, "completion": 0.5} | more
        at = values.pop("at", UNTIL - timedelta(hours=9))
        record = SongPlayed(event_id=f"odd-{number}", occurred_at=at, user_id=user, song_id=item, **values)
        return Emit(topics.SONG_PLAYED, user, record)

    def item(name: str, change: Any, seq: int, **more: Any) -> Emit:
        at = UNTIL - timedelta(days=5)
        record = ItemChanged(
            event_id=f"{name}-{seq}",
            occurred_at=at,
            changed_at=at,
            item_id=name,
            kind="audio",
            change=change,
            seq=seq,
            **more,
        )
        return Emit(topics.ITEM_CHANGED, name, record)

    erased_at = UNTIL - timedelta(hours=5)
    profile = ProfileChanged(event_id="p", occurred_at=erased_at - timedelta(days=1), user_id=ERASED, birth_year=1980)
    like = ItemInteracted(
        event_id="l", occurred_at=UNTIL - timedelta(hours=1), user_id=RETURNED, item_id=shown, action="liked"
    )
    followed = replace(like, event_id="f", action="followed")
    return [
        play(1, ERASED),
        play(2, RETURNED),
        play(3, RETURNED, at=UNTIL - timedelta(hours=1)),
        play(4, "ute", item="never-heard-of"),
        play(5, "ute", item="gone"),
        play(6, "ute", completion=float("nan")),
        play(7, "ute", played_ms=-1),
        play(8, "ute", at=datetime(2099, 1, 1, tzinfo=UTC)),
        Emit(topics.ITEM_INTERACTED, RETURNED, like),
        Emit(topics.ITEM_INTERACTED, RETURNED, followed),
        Emit(topics.PROFILE_CHANGED, ERASED, profile),
        item("gone", "withdrawn", 2),
        item("gone", "published", 1, title="late"),
        item("spoilt", "published", 1, vector=(float("nan"),) * DIM, vector_version="v"),
        item("other-space", "published", 1, vector=(0.1,) * DIM, vector_version="v0"),
        *(
            Emit(
                topics.USER_ERASED,
                user,
                UserErased(event_id=user, occurred_at=erased_at, user_id=user, requested_by="test"),
            )
            for user in (ERASED, RETURNED)
        ),
    ]


@pytest.fixture(scope="module")
def told(wiring: Wiring) -> Told:
    dataset = world()
    twice = [*events(dataset, PLAN), *odd_events(item_id(dataset.name, dataset.items.ids[0]))] * 2
    random.Random(5).shuffle(twice)

    async def publish() -> None:
        await wiring.publisher.publish(twice)
        await wiring.publisher.send(topics.SONG_PLAYED.name, b"x", b"no record")

    asyncio.run(publish())
    lineage = build(wiring, lambda *_: None)
    place = folder_of(wiring.settings) / lineage.version
    key = read_key(key_path(wiring.settings))
    users = [*(user_id(dataset.name, each) for each in dataset.users.ids), ERASED, RETURNED, "ute"]
    return Told(dataset, read(place), lineage, place, {user: pseudonym(user, key) for user in users})


def as_rows(dataset: Dataset, users: list[str], items: list[str], shift: int = 0) -> list[tuple[Any, ...]]:
    rows = dataset.interactions
    columns = (rows.at_ms + shift, rows.clicked, rows.liked, rows.completion, rows.played_ms)
    named = ([users[row] for row in rows.user], [items[row] for row in rows.item])
    return sorted(zip(*named, *(column.tolist() for column in columns), strict=True))


def test_plays_likes_and_completions_are_those_of_the_world(told: Told) -> None:
    """Though all came twice and in no order."""
    source, built = told.dataset, told.built
    users = [told.renamed[user_id(source.name, each)] for each in source.users.ids]
    items = [item_id(source.name, each) for each in source.items.ids]
    expected = as_rows(source, users, items, shift_ms(source, PLAN))
    clicked = built.interactions.clicked
    played = replace(built, interactions=built.interactions.take(clicked))
    found = as_rows(played, list(built.users.ids), list(built.items.ids))
    assert [row for row in found if row[0] != told.renamed[RETURNED]] == expected
    assert (np.diff(built.interactions.at_ms) >= 0).all()


def test_users_are_those_of_the_world_under_other_names(told: Told) -> None:
    source, built = told.dataset, told.built
    place = {name: row for row, name in enumerate(built.users.ids)}
    rows = [place[told.renamed[user_id(source.name, each)]] for each in source.users.ids]
    assert (built.users.age[rows] == source.users.age).all()
    assert (built.users.gender[rows] == source.users.gender).all()
    # of thirty users no twenty told the same, so none of the words is kept
    assert set(built.users.occupation[rows].tolist()) == {0}
    assert built.users.occupations == ("",)
    assert not {each for each in told.renamed if any(each.encode() in p.read_bytes() for p in files(told.place))}


def files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()]


def test_items_are_those_of_the_world_with_their_content(told: Told) -> None:
    source, built = told.dataset.items, told.built.items
    place = {name: row for row, name in enumerate(built.ids)}
    rows = [place[item_id(told.dataset.name, each)] for each in source.ids]
    assert [built.titles[row] for row in rows] == list(source.titles)
    assert (built.year[rows] == source.year).all()
    used = source.tagged.any(axis=0)
    assert built.tags == tuple(sorted(tag for tag, each in zip(source.tags, used, strict=True) if each))
    assert (built.tagged[rows] == source.tagged[:, used]).all()
    assert built.content_version == source.content_version
    for name, part in source.parts.items():
        assert (built.present[name][rows] == source.present[name]).all()
        np.testing.assert_allclose(built.parts[name][rows], part, atol=1e-6)
    strangers = [place["spoilt"], place["other-space"]]
    assert not any(mask[strangers].any() for mask in built.present.values())


def test_what_was_shown_and_not_clicked_is_there_too(told: Told) -> None:
    rows, source = told.built.interactions, told.dataset.interactions
    assert 0 < (~rows.clicked).sum() <= PLAN.exposures * len(source)
    assert not rows.liked[~rows.clicked].any()
    assert not rows.completion[~rows.clicked].any()
    assert set(rows.position.tolist()) == {-1, 0, 1, 2}


def test_the_erased_are_left_out_and_what_they_do_afterwards_is_not(told: Told) -> None:
    users = list(told.built.users.ids)
    assert told.renamed[ERASED] not in users
    row = users.index(told.renamed[RETURNED])
    (at,) = np.flatnonzero(told.built.interactions.user == row)
    assert told.built.users.age[row] == -1
    assert (told.built.interactions.clicked[at], told.built.interactions.liked[at]) == (True, True)


def test_an_erasure_names_the_data_sets_that_hold_the_user(told: Told, wiring: Wiring) -> None:
    """They were built before it; what is left out of them is not named."""
    held = user_id(told.dataset.name, told.dataset.users.ids[0])
    assert [trace.path for trace in dataset_traces(wiring.settings, held)] == [told.place]
    assert dataset_traces(wiring.settings, ERASED) == []


def test_the_lineage_says_where_it_comes_from_and_what_was_left_out(told: Told, wiring: Wiring) -> None:
    lineage = told.lineage
    assert lineage.source.endswith("told by `overture world load`: generated")
    folder = folder_of(wiring.settings)
    assert lineages(folder) == [replace(lineage, topics=lineages(folder)[0].topics)]
    assert find(folder, lineage.version[:6]) == told.place
    records = {t: sum(end - first for first, end in spans.values()) for t, spans in lineage.topics.items()}
    assert records["play.song.played.v1"] == 2 * (len(told.dataset.interactions) + 8) + 1
    assert set(records) == {
        t.name
        for t in (
            topics.SONG_PLAYED, topics.ITEM_INTERACTED, topics.ITEM_CHANGED, topics.PROFILE_CHANGED, topics.USER_ERASED
        )
    }  # fmt: skip
    left = dict(lineage.left_out)
    assert left.pop("repeated") == sum(records[t] for t in ("play.song.played.v1", "user.item.interacted.v1")) // 2
    assert left == {
        "action followed": 1,
        "content vectors not finite or of another length": 1,
        "content vectors of another version": 1,
        "from the future": 1,
        "impossible plays": 2,
        "of erased users": 2,
        "of items not published": 2,
        "play.song.played.v1: unreadable": 1,
        "users without a profile (kept)": 1,
    }


def test_told_again_the_data_set_is_the_same(told: Told, wiring: Wiring) -> None:
    """Another list of exposures for the same requests would be more of them; the same plan adds nothing."""
    counts = asyncio.run(load(told.dataset, PLAN, wiring.publisher, lambda *_: None))
    assert counts.events["play.song.played.v1"] == len(told.dataset.interactions)
    assert build(wiring, lambda *_: None).version == told.lineage.version


class Online:
    """`play_aggregation` as workers run it, three partitions of plays, with Feast's store."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.redis = wiring.redis
        self.reader = RedisFeatureReader(
            self.redis, wiring.settings.feast.project, now=lambda: UNTIL, aliases=wiring.view_aliases
        )
        self.states: dict[int, MemoryState] = defaultdict(MemoryState)
        self.offsets: dict[int, int] = defaultdict(int)

    async def hear(self, play: SongPlayed) -> None:
        partition = sum(play.user_id.encode()) % PARTITIONS
        self.offsets[partition] += 1
        received = Received(play, topics.SONG_PLAYED.name, partition, self.offsets[partition])
        for emit in await self._work(partition, received):
            if isinstance(emit.record, SongCounted):
                await self._work(-1, Received(emit.record, topics.SONG_COUNTED.name, 0, 0))

    async def _work(self, partition: int, received: Received[Any]) -> list[Emit]:
        emits = await play_aggregation.handler(
            [received],
            state=self.states[partition],
            feature_writer=self.wiring.feature_writer,
            feature_reader=self.reader,
            taste_half_life=self.wiring.taste_half_life,
        )
        self.states[partition].apply(emits, topics.PLAY_AGGREGATED)
        return list(emits)

    async def known(self, user: str, item: str) -> dict[str, float]:
        """Values as a request would get them, by ``<view>.<field>``."""
        found = {}
        for view, entity in ((USER_TASTE.name, user), (ITEM_PLAYS.name, item)):
            (row,) = await self.reader.read(view, [entity])
            found |= {f"{view}.{f}": np.nan if row is None else row.values[f] for f in point_in_time.FIELDS[view]}
        return found


async def test_training_sees_what_serving_would_have_seen(told: Told, wiring: Wiring) -> None:
    """At moments of interactions: the values joined by Feast, those by search, and those of the online view."""
    plays = sorted(
        (e.record for e in events(told.dataset, PLAN) if isinstance(e.record, SongPlayed)),
        key=lambda play: play.occurred_at,
    )
    rows = np.linspace(5, len(told.built.interactions) - 1, 40).astype(np.int64)
    interactions, users, items = told.built.interactions, told.built.users.ids, told.built.items.ids
    real = {name: user for user, name in told.renamed.items()}
    rows = np.array([row for row in rows if real[users[interactions.user[row]]] != RETURNED])
    joined = point_in_time.by_feast(told.place, told.built, rows)
    searched = point_in_time.by_search(told.place, told.built, rows)
    online, heard = Online(wiring), 0
    for place, row in enumerate(rows):
        moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(interactions.at_ms[row]))
        while heard < len(plays) and plays[heard].occurred_at < moment:
            await online.hear(plays[heard])
            heard += 1
        user, item = real[users[interactions.user[row]]], items[interactions.item[row]]
        for name, value in (await online.known(user, item)).items():
            np.testing.assert_array_equal(joined[name][place], searched[name][place])
            if name.endswith("decayed_plays"):
                # partitions are summed in another order than time
                np.testing.assert_allclose(joined[name][place], value, rtol=1e-12)
            else:
                np.testing.assert_array_equal(joined[name][place], value, err_msg=f"{name} at {moment}")
    await online.redis.aclose()
    assert np.isnan(joined["item_plays_v1.plays"]).any(), "new items are among them"
    assert heard > len(plays) // 2
