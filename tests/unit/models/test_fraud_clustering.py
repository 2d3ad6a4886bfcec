"""Rings of accounts with one face: what is found, what is not, and that no order changes it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fraud_clustering.likeness_graph import COSINE_UNIT, SCALE, LikenessGraph, likeness, rounded
from models.fraud_clustering.rings import FaceRings, Ring, Rules
from schemas.errors import BadEventError
from schemas.ids import stable_id
from schemas.user import FaceEmbedded
from tests.fakes.faces import SIZE, Space, embedded, unit
from tests.fakes.runtime import at


def angle(degrees: float) -> list[float]:
    """A unit vector of two numbers; 16.3 degrees apart is alike."""
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def face(user: str, degrees: float, second: float = 0, **other: Any) -> FaceEmbedded:
    return embedded(user, at(second), angle(degrees), **other)


def rings(faces: Iterable[FaceEmbedded], rules: Rules | None = None) -> list[Ring]:
    found = FaceRings(rules or Rules())
    found.update({each.user_id: each for each in faces})
    return list(found.standing.values())


def members(faces: Iterable[FaceEmbedded], rules: Rules | None = None) -> list[tuple[str, ...]]:
    return sorted(ring.members for ring in rings(faces, rules))


# the search


@pytest.mark.parametrize("size", [1, 2, 128, 512])
def test_products_are_whole_numbers_whatever_the_blas_does(size: int) -> None:
    rng = np.random.default_rng(size)
    drawn = unit(np.vstack([rng.normal(size=(20, size)), np.ones((2, size)), np.eye(1, size), -np.ones((1, size))]))
    vectors = np.stack([rounded(each) for each in drawn])
    exact = vectors.astype(np.int64) @ vectors.T.astype(np.int64)
    floats = vectors.astype(np.float32)
    assert ((floats @ floats.T).astype(np.int64) == exact).all()
    assert np.abs(exact).max() < 2**24
    off = np.abs(exact / COSINE_UNIT - drawn @ drawn.T)
    assert off.max() < 1.1 * np.sqrt(size) / SCALE
    assert size < 3 or off[:20, :20].max() < 1e-3


@pytest.mark.parametrize(
    "vector", [[], [0.0, 0.0], [1.0, 1.0], [float("nan"), 1.0], [float("inf"), 0.0], [[1.0]], [1 / 30] * 900]
)
def test_what_is_no_unit_vector_is_refused(vector: list[Any]) -> None:
    with pytest.raises(ValueError, match="a vector of"):
        rounded(vector)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), most=st.sampled_from([1, 3, 8, 64]))
def test_links_are_those_of_a_search_from_scratch(seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    # few directions: crowds, and the same products again and again
    every = {tuple(rounded(unit(rng.normal(size=(1, 3)))[0]).tolist()) for _ in range(60)}
    left = [np.array(each, dtype=np.int16) for each in sorted(every)]
    graph, held = LikenessGraph(3, 0.9, most), {}
    for _ in range(6):
        gone = [row for row in held if rng.random() < 0.3]
        come = [left.pop() for _ in range(min(len(left), int(rng.integers(0, 15))))]
        for row in gone:
            left.insert(0, held.pop(row))
        before = {row: dict(graph.links[row]) for row in held}
        rows, touched = graph.replace(gone, come)
        held |= dict(zip(rows, come, strict=True))
        fresh = LikenessGraph(3, 0.9, most)
        places = dict(zip(held, fresh.replace([], list(held.values()))[0], strict=True))
        for row, place in places.items():
            assert {places[other]: key for other, key in graph.links[row].items()} == fresh.links[place]
            assert row in touched or before[row] == graph.links[row]
        assert all(len(links) <= most for links in graph.links)


def test_a_link_says_the_cosine() -> None:
    graph = LikenessGraph(2, 0.9, 4)
    one, other = graph.replace([], [rounded(angle(0)), rounded(angle(10))])[0]
    assert likeness(graph.links[one][other]) / COSINE_UNIT == pytest.approx(np.cos(np.radians(10)), abs=1e-3)


# the rules


def test_three_accounts_with_one_face_are_a_ring() -> None:
    [ring] = rings([face("b", 0, 5), face("a", 3, 9), face("c", 6, 7), face("stranger", 90)])
    assert ring.members == ("a", "b", "c")
    assert ring.ring_id == stable_id("ring", at(5).isoformat(), "b")
    assert (ring.accounts, ring.first_at, ring.last_at, ring.shared) == (3, at(5), at(9), {})
    assert ring.likeness == pytest.approx(np.cos(np.radians([3, 3, 6])).mean(), abs=1e-3)
    assert ring.score == 0.5


def test_strangers_alike_by_chance_are_not_chained() -> None:
    assert rings([face(f"u{number}", 12 * number) for number in range(20)]) == []


def test_two_rings_with_one_link_between_them_stay_two() -> None:
    left = [face(f"l{number}", number) for number in (0, 1, 2, 14)]
    right = [face(f"r{number}", number) for number in (30, 42, 43, 44)]
    assert members([*left, *right]) == [("l0", "l1", "l14", "l2"), ("r30", "r42", "r43", "r44")]


def test_two_rings_with_a_face_between_them_stay_two() -> None:
    left = [face(f"l{number}", number) for number in (0, 0.2, 0.4, 0.6, 9, 9.2)]
    right = [face(f"r{number}", number) for number in (25, 34, 34.2, 34.4, 34.6, 34.8)]
    assert [len(each) for each in members([*left, *right])] == [6, 6]
    assert [len(each) for each in members([*left, *right], Rules(overlap=0.0))] == [12]


def test_an_account_more_ties_a_face_to_a_ring_that_stood() -> None:
    found = FaceRings(Rules())
    found.update({each.user_id: each for each in [face("a", 0), face("b", 1), face("c", 3), face("u", 18)]})
    assert [ring.members for ring in found.standing.values()] == [("a", "b", "c")]
    found.update({"v": face("v", 18)})
    assert [ring.members for ring in found.standing.values()] == [("a", "b", "c", "u", "v")]


@pytest.mark.parametrize(
    ("signals", "found"),
    [({}, 0), ({"device": "d"}, 1), ({"network": "n"}, 0), ({"picture_sha256": "p"}, 0)],
)
def test_two_accounts_need_a_device_in_common(signals: dict[str, str], found: int) -> None:
    assert len(rings([face("a", 0, **signals), face("b", 5, **signals)])) == found


def test_two_accounts_with_one_picture_are_a_ring() -> None:
    [ring] = rings([face("a", 0, picture_sha256="p"), face("b", 0, picture_sha256="p")])
    assert (ring.members, ring.shared) == (("a", "b"), {"picture": 1.0})


def test_a_third_account_with_one_of_two_pictures_supports_their_likeness() -> None:
    assert members([face("a", 0), face("b", 0), face("c", 5)]) == [("a", "b", "c")]


def test_more_accounts_can_be_asked_for() -> None:
    faces = [face(name, 0, number, device="d" if number < 2 else "") for number, name in enumerate("abcd")]
    rules = Rules(accounts=5, accounts_with_signal=4)
    assert members(faces, rules) == [("a", "b", "c", "d")]
    assert members([*faces[1:], face("e", 0)], rules) == []


@pytest.mark.parametrize(
    ("signals", "score"),
    [
        ({}, 0.5),
        ({"network": "n"}, 1 - 0.5 * 0.7),
        ({"device": "d"}, 1 - 0.5 * 0.3),
        ({"picture_sha256": "p", "device": "d", "network": "n"}, 1 - 0.5 * 0.5 * 0.3 * 0.7),
    ],
)
def test_signals_raise_the_score(signals: dict[str, str], score: float) -> None:
    [ring] = rings([face(name, 0, **signals) for name in "abc"])
    assert ring.score == pytest.approx(score)


def test_more_accounts_raise_the_score() -> None:
    scores = [rings([face(f"u{number}", 0) for number in range(size)])[0].score for size in (3, 4, 9, 50)]
    assert scores == sorted(scores)
    assert scores[-1] < 1


def test_a_large_ring_names_its_earliest_accounts() -> None:
    [ring] = rings([face(f"u{number}", 0, -number) for number in range(9)], Rules(listed=4))
    assert (ring.accounts, ring.members) == (9, ("u5", "u6", "u7", "u8"))


def test_vectors_of_two_versions_are_not_compared() -> None:
    faces = [face("a", 0, device="d"), face("b", 0, device="d"), face("c", 0, vector_version="test-2", device="d")]
    assert members(faces) == [("a", "b")]


def test_a_crowd_is_one_ring_and_costs_so_many_links_a_face() -> None:
    rng = np.random.default_rng(3)
    space = Space(rng)
    crowd = space.faces(np.repeat(space.people(1), 500, axis=0), 400.0)
    [ring] = rings(
        [embedded(f"u{number}", at(number), each) for number, each in enumerate(crowd)], Rules(neighbours=16)
    )
    assert ring.accounts >= 450


@pytest.mark.parametrize("wrong", [{"vector": (1.0, 1.0)}, {"vector_version": ""}, {"vector": (float("nan"), 0.0)}])
def test_an_impossible_face_changes_nothing(wrong: dict[str, Any]) -> None:
    found = FaceRings(Rules())
    found.update({name: face(name, 0) for name in "abc"})
    before = dict(found.standing)
    bad = FaceEmbedded(
        **{"event_id": "e", "source_event_id": "s", "occurred_at": at(0), "user_id": "b", "vector": (1.0,)}
        | {"vector_version": "test-1"}
        | wrong
    )
    with pytest.raises(BadEventError):
        found.update({"a": None, "b": bad})
    assert (found.standing, len(found)) == (before, 3)


# as a whole


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), neighbours=st.sampled_from([2, 64]))
def test_rings_are_those_of_the_faces_held_whatever_came_before(seed: int, neighbours: int) -> None:
    chance, rules = random.Random(seed), Rules(neighbours=neighbours)
    found, held = FaceRings(rules), {}
    for _ in range(8):
        change: dict[str, FaceEmbedded | None] = {}
        for user in chance.sample([f"u{number}" for number in range(24)], chance.randrange(12)):
            gone = chance.random() < 0.3
            degrees = chance.choice([0, 40, 50, 120]) + chance.choice([0, 0, 1, 3, 5, 8, 11])
            device = chance.choice(["", "", "d1", "d2"])
            change[user] = None if gone else face(user, degrees, chance.randrange(9), device=device)
        found.update(change)
        held = {user: each for user, each in (held | change).items() if each is not None}
        afresh = FaceRings(rules)
        afresh.update(held)
        assert found.standing == afresh.standing
        assert len(found) == len(held)


def test_planted_people_are_found_among_strangers() -> None:
    rng = np.random.default_rng(1)
    space = Space(rng)
    sizes = [3, 4, 5, 8, 13, 21, 34]
    who = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.arange(len(sizes), 3000)])
    vectors = space.faces(space.people(3000)[who])
    faces = [embedded(f"{person}-{number}", at(number), vectors[number]) for number, person in enumerate(who)]
    assert vectors.shape == (len(who), SIZE)
    found = rings(faces)
    together = sum(ring.accounts * (ring.accounts - 1) / 2 for ring in found)
    people = [[user.split("-")[0] for user in ring.members] for ring in found]
    right = sum(n * (n - 1) / 2 for each in people for n in (each.count(person) for person in set(each)))
    planted = sum(size * (size - 1) / 2 for size in sizes)
    assert right / together > 0.98
    assert right / planted > 0.93
