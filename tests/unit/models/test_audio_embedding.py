"""Patches, tags and vectors of made-up music."""

import numpy as np
import pytest

from models.audio_embedding import (
    FRAMES,
    MAX_PATCHES,
    MELS,
    MSD_TAGS,
    MTT_TAGS,
    AudioEncoder,
    patches,
)
from models.media import logmel as spectrogram


@pytest.fixture(scope="module")
def encoder() -> AudioEncoder:
    return AudioEncoder()


def chord(frequencies: list[float], beats_per_s: float, seconds: float = 7.0) -> np.ndarray:
    """Decaying plucks: float log-mel [T, 96]."""
    t = np.arange(int(16_000 * seconds)) / 16_000
    envelope = np.exp(-4.0 * (t % (1.0 / beats_per_s)))
    sound = sum(np.sin(2 * np.pi * f * t * k) / k for f in frequencies for k in (1, 2, 3))
    pcm = (envelope * sound / (2 * len(frequencies)) * 20_000).astype(np.int16)
    return spectrogram.logmel(pcm)


def noise_beat(seconds: float = 7.0) -> np.ndarray:
    """Four bursts of noise a second."""
    rng = np.random.default_rng(0)
    t = np.arange(int(16_000 * seconds)) / 16_000
    pcm = rng.normal(0, 6000, t.size) * np.exp(-30 * (t % 0.25))
    return spectrogram.logmel(pcm.clip(-32768, 32767).astype(np.int16))


def test_constants_are_those_of_the_spectrogram() -> None:
    assert (spectrogram.SAMPLE_RATE, spectrogram.N_FFT, spectrogram.HOP) == (16_000, 512, 256)
    assert spectrogram.N_MELS == MELS
    assert spectrogram.COMPRESSION == 10_000


def test_vector_and_tags(encoder: AudioEncoder) -> None:
    features = encoder.encode(chord([220.0, 277.2, 329.6], 2.0))
    assert features.embedding.shape == (200,)
    assert features.embedding.dtype == np.float32
    assert np.linalg.norm(features.embedding) == pytest.approx(1.0, abs=1e-5)
    assert len(features.tags) == len(MTT_TAGS) + len(MSD_TAGS) == 100
    assert all(0.0 <= score <= 1.0 for score in features.tags.values())
    assert features.tags["mtt/guitar"] == pytest.approx(float(features.mtt[0]))
    assert features.tags["msd/happy"] == pytest.approx(float(features.msd[-1]))


def test_plucked_chords_are_tagged_as_such(encoder: AudioEncoder) -> None:
    plucked = encoder.encode(chord([220.0, 277.2, 329.6], 2.0)).tags
    beat = encoder.encode(noise_beat()).tags
    strings = ("guitar", "classical", "strings", "harp", "piano", "slow", "synth")
    drums = ("drums", "beat", "beats", "techno", "fast", "loud", "dance")
    tonal = [sum(tags[f"mtt/{name}"] for name in strings) for tags in (plucked, beat)]
    struck = [sum(tags[f"mtt/{name}"] for name in drums) for tags in (plucked, beat)]
    assert tonal[0] > tonal[1]
    assert struck[1] > struck[0]


def test_like_sounds_are_nearer(encoder: AudioEncoder) -> None:
    first = encoder.encode(chord([220.0, 277.2, 329.6], 2.0)).embedding
    second = encoder.encode(chord([246.9, 311.1, 370.0], 2.0)).embedding
    other = encoder.encode(noise_beat()).embedding
    assert first @ second > first @ other + 0.1


def test_short_sound_is_repeated() -> None:
    short = np.arange(10 * MELS, dtype=np.float32).reshape(10, MELS)
    (patch,) = patches(short)
    np.testing.assert_array_equal(patch[:10], short)
    np.testing.assert_array_equal(patch[10:20], short)
    assert patch.shape == (FRAMES, MELS)


@pytest.mark.parametrize(
    ("length", "count"), [(1, 1), (FRAMES, 1), (2 * FRAMES - 1, 1), (2 * FRAMES, 2), (60_000, MAX_PATCHES)]
)
def test_patches_are_bounded_and_spread(length: int, count: int) -> None:
    logmel = np.zeros((length, MELS), np.float16)
    logmel[:, 0] = np.arange(length) / max(length, 1)
    found = patches(logmel)
    assert found.shape == (count, FRAMES, MELS)
    assert found.dtype == np.float32
    if count > 1:
        assert found[0, 0, 0] == 0.0
        assert found[-1, -1, 0] == logmel[-1, 0]


@pytest.mark.parametrize(
    "logmel",
    [
        np.zeros((0, MELS), np.float32),
        np.zeros((10, 64), np.float32),
        np.zeros(96, np.float32),
        np.full((200, MELS), np.nan, np.float32),
    ],
)
def test_other_arrays_are_refused(encoder: AudioEncoder, logmel: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected|finite"):
        encoder.encode(logmel)


def test_silence_has_a_vector(encoder: AudioEncoder) -> None:
    assert np.isfinite(encoder.encode(np.zeros((300, MELS), np.float32)).embedding).all()


def test_version_names_weights_and_code(encoder: AudioEncoder) -> None:
    assert encoder.version == "musicnn-mtt@1.0+musicnn-msd@1.0/1"
