"""Log-mel spectrogram, the input of the audio encoder (constants of musicnn, Pons & Serra 2019).

The numbers are those of ``librosa.feature.melspectrogram`` with its defaults (periodic Hann
window, centred frames with zero padding, power spectrum, Slaney mel scale and area norm), which is
what musicnn was trained on, followed by ``log10(1 + 10000 x)``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hz."""
N_FFT = 512
"""Samples of one window (32 ms)."""
HOP = 256
"""Samples between windows (16 ms, 62.5 rows a second)."""
N_MELS = 96
F_MIN = 0.0
F_MAX = SAMPLE_RATE / 2
COMPRESSION = 10_000.0

_BLOCK_ROWS = 2048


def hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's mel scale: linear under 1 kHz, logarithmic above (Auditory Toolbox, 1998)."""
    linear = hz / (200.0 / 3.0)
    with np.errstate(divide="ignore"):
        logarithmic = 15.0 + np.log(np.maximum(hz, 1e-9) / 1000.0) * (27.0 / np.log(6.4))
    return np.where(hz < 1000.0, linear, logarithmic)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of ``hz_to_mel``."""
    return np.where(mel < 15.0, mel * (200.0 / 3.0), 1000.0 * np.exp((mel - 15.0) * (np.log(6.4) / 27.0)))


@cache
def mel_filters() -> NDArray[np.float32]:
    """Triangles of equal area. Shape [N_MELS, N_FFT // 2 + 1], weight per power bin."""
    low, high = hz_to_mel(np.array([F_MIN, F_MAX]))
    corners = mel_to_hz(np.linspace(low, high, N_MELS + 2))  # [N_MELS + 2] Hz
    bins = np.linspace(0.0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    widths = np.diff(corners)
    ramps = corners[:, None] - bins[None, :]
    rising = -ramps[:-2] / widths[:-1, None]
    falling = ramps[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    triangles *= (2.0 / (corners[2:] - corners[:-2]))[:, None]
    return triangles.astype(np.float32)


@cache
def _window() -> NDArray[np.float32]:
    phase = 2.0 * np.pi * np.arange(N_FFT) / N_FFT
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


def logmel(pcm: NDArray[np.int16]) -> NDArray[np.float16]:
    """Spectrogram of mono 16 kHz sound.

    Args:
        pcm: int16 [T].

    Returns:
        float16 [1 + T // HOP, N_MELS], values from 0 to about 7.4; [0, N_MELS] without sound.
    """
    if pcm.size == 0:
        return np.zeros((0, N_MELS), dtype=np.float16)
    rows = 1 + pcm.size // HOP
    half = N_FFT // 2
    result = np.empty((rows, N_MELS), dtype=np.float16)
    filters = mel_filters().T
    for first in range(0, rows, _BLOCK_ROWS):
        count = min(_BLOCK_ROWS, rows - first)
        begin = first * HOP - half
        end = begin + (count - 1) * HOP + N_FFT
        samples = np.zeros(end - begin, dtype=np.float32)
        inside = pcm[max(begin, 0) : min(end, pcm.size)]
        offset = max(-begin, 0)
        samples[offset : offset + inside.size] = inside
        samples /= 32768.0
        windows = np.lib.stride_tricks.sliding_window_view(samples, N_FFT)[::HOP]
        spectrum = np.fft.rfft(windows * _window(), axis=1)
        power = spectrum.real**2 + spectrum.imag**2  # [count, 257]
        result[first : first + count] = np.log10(1.0 + COMPRESSION * (power @ filters))
    return result
