"""Our own world, and content by the rule that is stated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.content_vector import ContentVectoriser
from models.dataset import FINISHED, DatasetError, check
from models.training.data import multimodal
from models.training.data.generated import GENRES, Config, generate

SMALL = Config(users=200, items=150, plays=4000, days=30)


def test_the_same_seed_is_the_same_world() -> None:
    assert generate(Config.debug()).version == generate(Config.debug()).version
    assert generate(Config.debug()).version != generate(Config(30, 40, 300, seed=2, days=10)).version


def test_a_world_is_consistent_and_nobody_plays_a_song_twice() -> None:
    world = generate(SMALL)
    check(world)
    rows = world.interactions
    assert len(np.unique(rows.user.astype(np.int64) << 32 | rows.item)) == len(rows)
    assert (np.diff(rows.at_ms) >= 0).all()
    assert (rows.completion >= 0).all()
    assert (rows.completion <= 1).all()
    assert (rows.completion[rows.liked] >= FINISHED).all()
    assert abs(len(rows) - SMALL.plays) < SMALL.plays // 5
    assert not world.non_commercial


def test_few_songs_are_played_much_and_those_of_a_users_cohort_more() -> None:
    world = generate(SMALL)
    rows, items, users = world.interactions, world.items, world.users
    counts = np.sort(np.bincount(rows.item, minlength=len(items)))[::-1]
    assert counts[:15].sum() > 0.2 * counts.sum()
    born = 2025 - users.age[rows.user].astype(float)
    middle = np.array([year for year, _ in GENRES.values()])
    cohort = (items.tagged * middle).sum(axis=1) / items.tagged.sum(axis=1)
    assert np.corrcoef(born, cohort[rows.item])[0, 1] > 0.1


@pytest.mark.parametrize("config", [Config(users=0), Config(users=10, items=10, plays=51)])
def test_a_world_that_cannot_be_is_refused(config: Config) -> None:
    with pytest.raises(DatasetError, match="generated"):
        generate(config)


def test_styles_follow_a_tag_as_often_as_stated() -> None:
    world = generate(Config(users=10, items=4000, plays=100))
    styles = multimodal.styles_of(world.items, seed=1)
    assert world.items.tagged[np.arange(4000), styles.tag].all()
    for of_item, count in ((styles.sound, 10), (styles.picture, 14)):
        common = [
            np.bincount(of_item[styles.tag == tag]).max() / (styles.tag == tag).sum() for tag in range(len(GENRES))
        ]
        expected = multimodal.FOLLOWS + (1 - multimodal.FOLLOWS) / count
        assert abs(np.mean(common) - expected) < 0.02
    both = (styles.sound, styles.picture)
    assert all((a == b).all() for a, b in zip(both, _pair(multimodal.styles_of(world.items, seed=1)), strict=True))


def _pair(styles: multimodal.Styles) -> tuple[np.ndarray, np.ndarray]:
    return styles.sound, styles.picture


def test_each_item_gets_three_parts_by_the_real_encoders(tmp_path: Path) -> None:
    world, heard = generate(Config(users=5, items=6, plays=15, days=3)), list[tuple[int, int]]()
    found = multimodal.with_content(world, watch=lambda *told: heard.append(told), cache=tmp_path)
    check(found)
    assert heard[-1] == (18, 18)
    assert (found.name, found.items.content_version) == ("generated-music-semi-synthetic", ContentVectoriser().version)
    assert "semi-synthetic" in found.source
    assert set(found.items.parts) == {"audio", "image", "text"}
    for part in found.items.parts.values():
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1.0, atol=1e-5)
        assert len(np.unique(part.round(3), axis=0)) == 6
    heard.clear()
    again = multimodal.with_content(world, watch=lambda *told: heard.append(told), cache=tmp_path)
    assert again.version == found.version
    assert heard == [(6, 18), (12, 18), (18, 18)]
    with pytest.raises(DatasetError, match="content already"):
        multimodal.with_content(found, cache=tmp_path)
