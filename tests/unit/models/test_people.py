"""Which faces are compared, and what is said of who appears."""

from __future__ import annotations

import numpy as np
import pytest

from models.face_detection import Face
from models.people import EMBEDDED, LEAST_SIDE, PICTURES, Sighting, appearances, spread, worth_comparing


def face(side: float, x: float = 0.0) -> Face:
    return Face(x=x, y=0.0, width=side, height=side, score=0.9, keypoints=((0.0, 0.0),) * 6)


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [0]), (3, [0, 1, 2]), (8, list(range(8)))])
def test_few_pictures_are_all_searched(count: int, expected: list[int]) -> None:
    assert spread(count) == expected


def test_of_many_pictures_some_are_searched_first_and_last_among_them() -> None:
    found = spread(16)
    assert len(found) == PICTURES
    assert (found[0], found[-1]) == (0, 15)


def test_a_crowd_in_one_picture_does_not_hide_the_person_in_another() -> None:
    crowd = [(0, face(100.0 + x, x)) for x in range(30)]
    alone = (1, face(40.0))
    chosen = worth_comparing([*crowd, alone])
    assert len(chosen) == EMBEDDED
    assert alone in chosen
    assert chosen[0][1].width == 129.0


def test_faces_too_small_to_tell_apart_are_left_out() -> None:
    assert worth_comparing([(0, face(LEAST_SIDE - 1))]) == []


def test_a_person_is_one_appearance_with_the_first_place_and_the_best_likeness() -> None:
    times = np.array([0, 400, 800], dtype=np.int64)
    seen = [Sighting(2, "ada", 0.8), Sighting(1, "ada", 0.9), Sighting(1, "ada", 0.7), Sighting(0, "bo", 0.95)]
    first, second = appearances(seen, times)
    assert (first.person, first.likeness, first.pictures, first.first_ms) == ("bo", 0.95, 1, 0)
    assert (second.person, second.likeness, second.pictures, second.first_ms) == ("ada", 0.9, 2, 400)
