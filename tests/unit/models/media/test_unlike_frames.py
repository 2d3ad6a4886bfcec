"""Which frames of an animation are judged: by what they show, not by when."""

from __future__ import annotations

import numpy as np
import pytest

from models.media.unlike_frames import ROOM, UnlikeFrames


def grey(level: int) -> np.ndarray:
    return np.full((40, 30, 3), level, np.uint8)


def held(levels: list[int]) -> UnlikeFrames:
    store = UnlikeFrames()
    for number, level in enumerate(levels):
        store.add(number * 10, grey(level))
    return store


def levels_of(store: UnlikeFrames, most: int = 4) -> list[int]:
    return [int(store.images[at][0, 0, 0]) for at in store.chosen(most)]


@pytest.mark.parametrize("place", [1, 7, 250, 998, 999])
def test_one_other_frame_of_a_thousand_is_chosen_wherever_it_stands(place: int) -> None:
    levels = [90] * 1000
    levels[place] = 200
    assert levels_of(held(levels)) == [90, 200]


def test_the_first_is_always_chosen() -> None:
    assert levels_of(held([100, *range(0, 100, 2), *range(101, 255, 2)]))[0] == 100


def test_slow_changes_crowd_nothing_out() -> None:
    levels = [100 + number // 20 for number in range(600)]
    levels[333] = 250
    assert 250 in levels_of(held(levels))


def test_no_more_are_held_than_there_is_room_for() -> None:
    store = held(list(range(256)))
    assert (len(store.times), len(store.images)) == (ROOM, ROOM)
    assert store.times == sorted(store.times)


def test_equal_frames_are_one() -> None:
    assert levels_of(held([5] * 9)) == [5]


def test_a_few_pixels_of_a_large_picture_count() -> None:
    store = UnlikeFrames()
    plain, other = grey(0), grey(0)
    other[10:18, 10:18] = 255
    for number, image in enumerate((plain, other, plain)):
        store.add(number, image)
    assert store.chosen(4) == [0, 1]
