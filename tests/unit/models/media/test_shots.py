"""Shots of made clips: cuts on the frame, no cut for flashes, motion and slow changes."""

import make_hostile as make
import numpy as np
import pytest

from models.media.analysers.base import FrameView
from models.media.analysers.frame_statistics import FrameStatistics
from models.media.analysers.samples import CandidateStore, choose_times


def starts(pictures):
    statistics = FrameStatistics()
    for number, picture in enumerate(pictures):
        statistics.feed(FrameView.made(number * 40, picture))
    shots = statistics.finish(len(pictures) * 40, {})["shots"]
    assert shots[0, 0] == 0
    assert shots[-1, 1] == len(pictures) * 40
    assert (shots[1:, 0] == shots[:-1, 1]).all()
    return [start // 40 for start in shots[:, 0].tolist()]


def scene(number, length, speed=1):
    """A panning picture with noise."""
    wide = make.noise(number, 128, 36)
    noise = np.random.default_rng(number + 1000)
    for i in range(length):
        part = np.roll(wide, i * speed, axis=1)[:, :64].astype(np.int16)
        yield np.clip(part + noise.integers(-6, 7, part.shape), 0, 255).astype(np.uint8)


def joined(*lengths, speed=1):
    return [picture for number, length in enumerate(lengths) for picture in scene(number, length, speed)]


@pytest.mark.parametrize("speed", [0, 1, 3])
def test_hard_cuts_on_the_frame(speed):
    pictures = joined(31, 40, 12, 64, 9, 80, speed=speed)
    assert starts(pictures) == [0, 31, 71, 83, 147, 156]


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("flash", [255, 0])
def test_flash_is_no_cut(length, flash):
    pictures = joined(60, 60)
    for start in (20, 90):
        for i in range(start, start + length):
            pictures[i] = np.full_like(pictures[i], flash)
    assert starts(pictures) == [0, 60]


def test_fast_motion_is_no_cut():
    assert starts(list(scene(4, 100, speed=6))) == [0]


def test_change_of_brightness_is_no_cut():
    pictures = joined(80)
    faded = [(p * (0.4 + 0.6 * abs(np.sin(i / 12)))).astype(np.uint8) for i, p in enumerate(pictures)]
    assert starts(faded) == [0]


def test_fade_through_black_is_a_boundary():
    first, second = list(scene(1, 50)), list(scene(2, 50))
    for i in range(15):
        first[35 + i] = (first[35 + i] * ((14 - i) / 14)).astype(np.uint8)
        second[i] = (second[i] * (i / 14)).astype(np.uint8)
    found = starts(first + second)
    assert len(found) == 2
    assert abs(found[1] - 50) <= 3


def test_statistics_of_known_frames():
    statistics = FrameStatistics()
    for number, level in enumerate((0, 255, 255)):
        statistics.feed(FrameView.made(number * 40, np.full((36, 64, 3), level, np.uint8)))
    stats = statistics.finish(120, {})["stats"]
    # luma_mean, luma_std, saturation, histogram_distance, difference, motion
    assert stats.tolist() == pytest.approx(
        np.array([[0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 1, 0], [1, 0, 0, 0, 0, 0]]), abs=1e-5
    )


def test_samples_are_shared_fairly():
    shots = np.array([[0, 1000], [1000, 21_000], [21_000, 22_000]])
    chosen = choose_times(shots, 16)
    assert [shot for shot, _ in chosen] == [0, *[1] * 10, 2]
    assert chosen[0][1] == 500
    assert len(choose_times(shots, 6)) == 6
    many = np.array([[i * 1000, i * 1000 + 1000] for i in range(100)])
    picked = [shot for shot, _ in choose_times(many, 16)]
    assert len(picked) == 16
    assert picked[0] == 0
    assert picked[-1] == 99
    assert np.ptp(np.diff(picked)) <= 1


def test_candidates_stay_few_and_even():
    store = CandidateStore(16, 100)
    for time in range(0, 60_000, 40):
        store.add(FrameView.made(time, np.zeros((1, 1, 3), np.uint8)))
    assert 8 <= len(store.times) <= 16
    gaps = np.diff(store.times)
    assert gaps.max() < 2.5 * gaps.min()
