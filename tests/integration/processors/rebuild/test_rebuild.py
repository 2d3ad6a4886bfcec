"""Stores that were emptied and filled from the topics are what they were, row by row."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import redis
import typer
from pymilvus import MilvusClient
from typer.testing import CliRunner

from features.ports import FeatureRow
from features.views import ITEM_CONTENT, ITEM_VECTOR, RECOMMENDER_ITEMS, recommender_items
from models.recommender_bundle import open_bundle
from processors.avatar_publication import avatar_publication
from processors.commands.features_rebuild import features_rebuild
from processors.commands.models import app as models
from processors.item_indexing import item_indexing
from processors.item_mapping import item_mapping
from processors.play_aggregation import play_aggregation
from processors.runtime.wiring import Wiring
from processors.tools.rebuild import groups
from processors.tools.rebuild.run import Rebuilt, in_use, rebuild
from processors.user_profile import user_profile
from tests.bundles import DEBUG

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
FILLING = (item_indexing, item_mapping, play_aggregation, user_profile, avatar_publication)
CONSUMED = {c.group: [t.name for t in c.consumes] for c in FILLING}


DEBUG_VERSION = open_bundle(DEBUG).version
PLACED = recommender_items(DEBUG_VERSION)


def silent(*_: Any) -> None:
    pass


def rebuilt(world: Any, *views: str, comparing: bool = True) -> Rebuilt:
    async def work(wiring: Wiring) -> Rebuilt:
        return await rebuild(wiring, views or await in_use(wiring), silent, comparing=comparing)

    found: Rebuilt = world.run(work)
    return found


def done(world: Any, *names: str) -> bool:
    kafka = world.settings.kafka
    return all(not groups.look(kafka, name, groups.ends(kafka, CONSUMED[name])).lag for name in names)


def promote() -> None:
    """Put the debug recommender in use."""
    for words in (["register", str(DEBUG)], ["promote", DEBUG_VERSION]):
        done = CliRunner().invoke(models, words)
        assert done.exit_code == 0, done.output


def fill(world: Any) -> None:
    """Items first, so that the tastes of later plays know their vectors."""
    world.start(*(c.name for c in FILLING))
    promote()
    world.tell(12)
    world.show(8)
    ids = world.publish(40)
    world.publish(5, has=("joint", "text", "audio", "image"))
    world.publish(ids=ids[:5])
    world.withdraw(ids[5:10])
    world.wait_for(lambda: done(world, "item-indexing"), "indexing")
    world.play(600)
    world.wait_for(lambda: done(world, *CONSUMED), "counting")


def test_rebuilt_is_what_was(world: Any) -> None:
    fill(world)
    world.stop()
    before = world.prints()
    assert set(before["item_content_v1"]) == set(before["content_joint_v1"]) == world.published
    assert [len(before[f"user_{name}_v1"]) for name in ("taste", "profile", "avatar")] == [20, 12, 8]
    placed = {i for i in world.published if world.items[i].labels}
    assert set(before["item_vector_v1"]) == set(before[PLACED.name]) == placed

    found = rebuilt(world)
    assert found.equal, found
    assert (found.mended, found.nothing_before, found.lag) == (0, [], {})
    assert world.prints() == before

    # lost as a whole
    with redis.Redis.from_url(world.settings.redis.url.get_secret_value()) as client:
        client.flushall()
    found = rebuilt(world)
    assert sorted(found.nothing_before) == [
        "item_content_v1",
        "item_plays_v1",
        "item_vector_v1",
        "user_avatar_v1",
        "user_profile_v1",
        "user_taste_v1",
    ]
    assert world.prints() == before
    with closing(MilvusClient(world.settings.milvus.uri)) as client:
        client.drop_alias(RECOMMENDER_ITEMS)
        client.drop_collection(PLACED.name)
    found = rebuilt(world, ITEM_VECTOR.name, PLACED.name)
    assert found.nothing_before == [PLACED.name]
    assert found.equal, found
    assert world.prints() == before
    assert not found.lag
    with closing(MilvusClient(world.settings.milvus.uri)) as client:
        assert client.describe_alias(RECOMMENDER_ITEMS)["collection_name"] == PLACED.name

    # differences are found, each by its name
    lost, other, *_ = sorted(world.published)
    mapped = min(placed)

    async def harm(wiring: Wiring) -> None:
        row = (await wiring.feature_reader.read_old_too(ITEM_CONTENT.name, [other]))[0]
        stored = (await wiring.vector_index.fetch("content_text_v1", [other]))[other]
        await wiring.feature_writer.delete(ITEM_CONTENT.name, [lost, other])
        odd = FeatureRow(other, row.at, {**row.values, "title": "other"})
        await wiring.feature_writer.push(ITEM_CONTENT.name, [odd, FeatureRow("stray", row.at, {"title": "x"})])
        stray = (await wiring.vector_index.fetch(PLACED.name, [mapped]))[mapped]
        await wiring.feature_writer.delete(ITEM_VECTOR.name, [mapped])
        await wiring.vector_index.upsert(PLACED.name, [replace(stray, vector=-stray.vector)])
        # what is not in the state of item_mapping is nobody's
        await wiring.vector_index.upsert(PLACED.name, [replace(stray, id="stray")])
        stored.scalars["kind"] = "video"
        await wiring.vector_index.upsert("content_text_v1", [stored])

    world.run(harm)
    command = typer.Typer()
    command.command()(features_rebuild)
    answer = CliRunner().invoke(command, ["--compare", "--yes"], env={"COLUMNS": "200"})
    assert answer.exit_code == 1, answer.output
    for line in (
        f"item_content_v1: new: {lost}",
        "item_content_v1: missing: stray",
        f"item_content_v1: {other} differs in title",
        f"content_text_v1: {other} differs in kind",
        f"item_vector_v1: new: {mapped}",
        f"{PLACED.name}: {mapped} differs in vector",
        f"{PLACED.name}: missing: stray",
        "not equal to before",
    ):
        assert line in answer.output, answer.output
    assert world.prints() == before
    assert rebuilt(world, "content_text_v1").equal


@pytest.mark.faults
def test_workers_may_go_on(world: Any) -> None:
    """Uploads, withdrawals and plays during the rebuild: no row is lost, none comes back.

    Alone in its run, so on parts of its own.
    """
    fill(world)
    stop = threading.Event()

    def live() -> None:
        while not stop.is_set():
            new = world.publish(3)
            world.withdraw([new[0], *sorted(world.published)[:1]])
            world.play(30)
            stop.wait(0.2)

    traffic = threading.Thread(target=live)
    traffic.start()
    try:
        found = [rebuilt(world), rebuilt(world)]
    finally:
        stop.set()
        traffic.join()
    assert all(f.equal for f in found), found
    assert sum(found[0].moved.values()) > 0
    world.wait_for(lambda: done(world, *CONSUMED), "the rest")
    world.stop()
    after = world.prints()
    assert set(after["item_content_v1"]) == set(after["content_joint_v1"]) == world.published
    again = rebuilt(world)
    # a taste has the vectors of the moment of the last play, and items have come and gone since
    tastes = again.differences.pop("user_taste_v1")
    assert again.equal, again
    assert not tastes.missing
    assert not tastes.added
    assert {name for names in tastes.changed.values() for name in names} <= {"vector", "vector_version"}
    assert again.mended == 0
    fresh = world.prints()
    assert rebuilt(world).equal
    assert world.prints() == fresh
    for each in np.random.default_rng(1).choice(sorted(world.published), 3):
        assert each in fresh["content_text_v1"]
