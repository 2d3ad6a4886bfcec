"""Against values that librosa 0.11 gave for the same samples (recorded, librosa is no dependency)."""

import numpy as np
import pytest

from models.media.logmel import N_MELS, logmel, mel_filters

_RECORDED = {
    (0, 0): 2.8626,
    (0, 14): 4.7312,
    (0, 16): 3.5779,
    (0, 40): 0.3294,
    (0, 67): 2.6707,
    (0, 95): 0.2668,
    (15, 0): 0.0002,
    (15, 14): 5.0521,
    (15, 15): 3.8667,
    (15, 16): 1.024,
    (31, 14): 4.9825,
    (31, 68): 1.9851,
    (31, 95): 0.209,
}


def test_recorded_values():
    n = np.arange(8000)
    tones = 8000 * np.sin(2 * np.pi * 440 * n / 16000) + 4000 * np.sin(2 * np.pi * 3000 * n / 16000)
    result = logmel(tones.astype(np.int16))
    assert result.shape == (32, N_MELS)
    assert result.dtype == np.float16
    for (row, band), value in _RECORDED.items():
        assert float(result[row, band]) == pytest.approx(value, abs=2e-3)


def test_filters_cover_the_band_with_equal_area():
    areas = mel_filters().sum(axis=1) * (16_000 / 512)
    # triangles narrower than a few bins are sampled coarsely
    assert areas[60:] == pytest.approx(np.ones(N_MELS - 60), abs=0.02)


def test_blocks_do_not_show():
    pcm = np.random.default_rng(0).integers(-3000, 3000, 256 * 2100, dtype=np.int16)
    whole = logmel(pcm)
    part = logmel(pcm[256 * 2000 :])
    np.testing.assert_array_equal(whole[2002:2100], part[2:100])


def test_no_sound():
    assert logmel(np.zeros(0, np.int16)).shape == (0, N_MELS)
    assert not logmel(np.zeros(1, np.int16)).any()
