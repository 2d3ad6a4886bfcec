"""Sounds that the project makes: five kinds, mono, 16 kHz, from numpy alone.

They are sketches of a kind of sound, not recordings. Each kind has two disjoint ranges of its
parameters (``Range``), one to learn from and one to be judged on.

Plucked strings: Karplus & Strong 1983, "Digital synthesis of plucked-string and drum timbres".
Voice: pulses through resonances of vowels, as in Klatt 1980, "Software for a cascade/parallel formant
synthesizer", much simplified.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples a second."""
Kind = Literal["piano", "plucked", "dance", "pad", "voice"]
KINDS: tuple[Kind, ...] = ("piano", "plucked", "dance", "pad", "voice")
Range = Literal["seen", "unseen"]
Wave = NDArray[np.float64]

_SCALES = {
    "seen": ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)),
    "unseen": ((0, 2, 4, 7, 9), (0, 2, 3, 5, 7, 9, 10), (0, 1, 3, 5, 7, 8, 10)),
}
_VOWELS = {
    "seen": ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240)),
    "unseen": ((530, 1840, 2480), (570, 840, 2410), (660, 1720, 2410)),
}


def make(kind: Kind, where: Range, seconds: float, random: np.random.Generator) -> NDArray[np.int16]:
    """One sound, int16 [seconds * RATE], with some noise, of random loudness."""
    length = int(seconds * RATE)
    wave = _MAKERS[kind](where, length, random)
    wave = wave / max(float(np.abs(wave).max()), 1e-9)
    wave = wave + random.normal(0.0, 10.0 ** random.uniform(-4.0, -2.2), length)
    loudness = 10.0 ** random.uniform(-1.0, -0.1)
    samples: NDArray[np.int16] = np.clip(wave * loudness * 32767.0, -32768, 32767).astype(np.int16)
    return samples


def _pick(where: Range, seen: tuple[float, float], unseen: tuple[float, float], random: np.random.Generator) -> float:
    low, high = seen if where == "seen" else unseen
    return float(random.uniform(low, high))


def _pitches(where: Range, count: int, lowest: int, random: np.random.Generator) -> NDArray[np.float64]:
    scales = _SCALES[where]
    scale = np.array(scales[int(random.integers(len(scales)))])
    steps = random.integers(0, 2 * len(scale), count)
    notes = lowest + int(random.integers(12)) + scale[steps % len(scale)] + 12 * (steps // len(scale))
    return 440.0 * 2.0 ** ((notes - 69) / 12.0)


def _add(wave: Wave, at: int, note: Wave) -> None:
    room = max(len(wave) - at, 0)
    wave[at : at + room][: len(note)] += note[:room]


def _piano(where: Range, length: int, random: np.random.Generator) -> Wave:
    wave = np.zeros(length)
    beat = _pick(where, (0.25, 0.4), (0.15, 0.24), random)
    decay = _pick(where, (1.5, 3.0), (3.0, 4.5), random)
    starts = np.arange(0, length, int(beat * RATE))
    for at in starts:
        for pitch in _pitches(where, int(random.integers(1, 4)), 48, random):
            _add(wave, int(at), _struck(pitch, decay, random))
    return wave


def _struck(pitch: float, decay: float, random: np.random.Generator) -> Wave:
    t = np.arange(RATE) / RATE
    note = np.zeros(len(t))
    for k in range(1, 10):
        # stiff strings are sharp in their upper partials
        partial = pitch * k * np.sqrt(1.0 + 0.0004 * k * k)
        if partial < RATE / 2:
            note += np.sin(2 * np.pi * partial * t) * np.exp(-decay * (0.6 + 0.3 * k) * t) / k**1.2
    hammer = random.normal(0.0, 0.4, 160) * np.exp(-np.arange(160) / 40.0)
    note[:160] += hammer
    return note * random.uniform(0.4, 1.0)


def _plucked(where: Range, length: int, random: np.random.Generator) -> Wave:
    wave = np.zeros(length)
    beat = _pick(where, (0.18, 0.3), (0.31, 0.45), random)
    damping = _pick(where, (0.985, 0.995), (0.97, 0.984), random)
    for at in np.arange(0, length, int(beat * RATE)):
        for delay, pitch in enumerate(np.sort(_pitches(where, int(random.integers(1, 4)), 40, random))):
            _add(wave, int(at) + delay * 300, _string(pitch, damping, random))
    return wave


def _string(pitch: float, damping: float, random: np.random.Generator) -> Wave:
    period = max(int(RATE / pitch), 2)
    rows = int(0.9 * RATE) // period
    loop = random.uniform(-1.0, 1.0, period)
    note = np.empty((rows, period))
    for row in range(rows):
        note[row] = loop
        loop = damping * 0.5 * (loop + np.roll(loop, 1))
    return note.ravel()


def _dance(where: Range, length: int, random: np.random.Generator) -> Wave:
    wave = np.zeros(length)
    beat = 60.0 / _pick(where, (116.0, 130.0), (131.0, 148.0), random)
    t = np.arange(int(0.3 * RATE)) / RATE
    low = _pick(where, (45.0, 55.0), (55.0, 65.0), random)
    kick = np.sin(2 * np.pi * (low * t + 5.0 * (1 - np.exp(-t * 30.0)))) * np.exp(-t * 11.0) * 2.0
    hat_noise = np.diff(random.normal(0.0, 1.0, int(0.08 * RATE) + 1))
    hat = hat_noise * np.exp(-np.arange(len(hat_noise)) / 250.0) * 0.3
    roots = _pitches(where, 4, 36, random)
    step = int(beat * RATE)
    for number, at in enumerate(range(0, length, step)):
        _add(wave, at, kick)
        _add(wave, at + step // 2, hat)
        if number % 2:
            _add(wave, at, random.normal(0.0, 0.5, 1600) * np.exp(-np.arange(1600) / 400.0))
        root = roots[(number // 4) % 4]
        bass_t = np.arange(step // 2) / RATE
        _add(wave, at + step // 2, 0.5 * _saw(root, bass_t))
    return wave


def _saw(pitch: float, t: Wave) -> Wave:
    return 2.0 * ((pitch * t) % 1.0) - 1.0


def _pad(where: Range, length: int, random: np.random.Generator) -> Wave:
    t = np.arange(length) / RATE
    wave = np.zeros(length)
    detune = _pick(where, (0.002, 0.006), (0.007, 0.012), random)
    for pitch in _pitches(where, 4, 43, random):
        for shift in (-detune, 0.0, detune):
            wave += _saw(pitch * (1 + shift), t + random.uniform(0, 1))
    cutoff = _pick(where, (400.0, 1000.0), (1000.0, 1800.0), random)
    spectrum = np.fft.rfft(wave)
    spectrum /= 1.0 + (np.fft.rfftfreq(length, 1 / RATE) / cutoff) ** 4
    slow = 0.6 + 0.4 * np.sin(2 * np.pi * random.uniform(0.1, 0.4) * t + random.uniform(0, 6))
    return np.fft.irfft(spectrum, length) * slow


def _voice(where: Range, length: int, random: np.random.Generator) -> Wave:
    wave = np.zeros(length)
    base = _pick(where, (100.0, 140.0), (160.0, 220.0), random)
    vowels = _VOWELS[where]
    at = int(random.integers(0, RATE // 5))
    while at < length:
        size = int(random.uniform(0.12, 0.28) * RATE)
        if random.random() < 0.25:
            noise = np.diff(random.normal(0.0, 0.25, size // 3 + 1))
            _add(wave, at, noise * np.hanning(len(noise)))
        else:
            vowel = vowels[int(random.integers(len(vowels)))]
            _add(wave, at, _syllable(base * random.uniform(0.85, 1.25), vowel, size, random))
        at += size
        if random.random() < 0.15:
            at += int(random.uniform(0.1, 0.4) * RATE)
    return wave


def _syllable(pitch: float, vowel: tuple[int, ...], size: int, random: np.random.Generator) -> Wave:
    t = np.arange(size) / RATE
    glide = pitch * (1.0 + random.uniform(-0.15, 0.15) * t / t[-1])
    pulses = (np.cumsum(glide) / RATE % 1.0 < glide / RATE * 2).astype(float)
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    response = sum(1.0 / (1.0 + ((frequency - f) / (60.0 + 40.0 * k)) ** 2) / (k + 1) for k, f in enumerate(vowel))
    return np.fft.irfft(np.fft.rfft(pulses) * response, size) * np.hanning(size)


_MAKERS: dict[Kind, Callable[[Range, int, np.random.Generator], Wave]] = {
    "piano": _piano,
    "plucked": _plucked,
    "dance": _dance,
    "pad": _pad,
    "voice": _voice,
}
