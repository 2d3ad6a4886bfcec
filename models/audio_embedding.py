"""Music to tags and a vector: musicnn (Pons & Serra 2019, arXiv:1909.06654).

Two networks of the same shape look at three-second patches of a log-mel spectrogram: one was
trained on MagnaTagATune (instruments, genres, voices), one on the Million Song Dataset (genres,
eras, moods). Both data sets are for research: see ``non_commercial_training_data`` on the cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.onnx import CPU, Session, load_session
from models.weights import load

VERSION = "1"
WEIGHTS_MTT = "musicnn-mtt"
WEIGHTS_MSD = "musicnn-msd"

FRAMES = 187
"""Rows of a patch: 187 x 256 / 16000 = 2.99 s."""
MELS = 96
DIM = 200
MAX_PATCHES = 20
"""Patches of a recording, spread evenly over it: the cost of an hour is that of a minute."""
_BATCH = 4

MTT_TAGS = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast",
    "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male",
    "singing", "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman",
    "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice",
    "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice",
    "weird", "country", "metal", "female voice", "choral",
)  # fmt: skip
"""Order of the first network's answer."""

MSD_TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists",
    "classic rock", "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill",
    "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
    "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country",
    "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock",
    "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip
"""Order of the second network's answer."""


@dataclass(frozen=True, slots=True)
class AudioFeatures:
    """What the two networks say of one recording.

    Attributes:
        embedding: float32 [200], norm 1: mean over patches of the MSD network's last hidden layer.
        mtt: float32 [50] in 0..1, mean over patches, in the order of ``MTT_TAGS``.
        msd: float32 [50] in 0..1, mean over patches, in the order of ``MSD_TAGS``.
    """

    embedding: NDArray[np.float32]
    mtt: NDArray[np.float32]
    msd: NDArray[np.float32]

    @property
    def tags(self) -> dict[str, float]:
        """All 100 scores by name, as ``mtt/guitar`` and ``msd/80s``."""
        named = {f"mtt/{tag}": float(v) for tag, v in zip(MTT_TAGS, self.mtt, strict=True)}
        named |= {f"msd/{tag}": float(v) for tag, v in zip(MSD_TAGS, self.msd, strict=True)}
        return named


class AudioEncoder:
    """Encodes recordings. May be used by several threads at once.

    Args:
        providers: ONNX Runtime providers.
        threads: Threads inside an operator.
        folder: Folder of built weights.

    Raises:
        WeightsError, ProviderError: The weights or the provider are unusable.
    """

    def __init__(self, providers: Sequence[str] = CPU, threads: int = 1, folder: Path | None = None) -> None:
        self._mtt: Session = load_session(load(WEIGHTS_MTT, folder), providers, threads)
        self._msd: Session = load_session(load(WEIGHTS_MSD, folder), providers, threads)

    @property
    def version(self) -> str:
        """Weights and code, as it stands in events."""
        return f"{self._mtt.weights.label}+{self._msd.weights.label}/{VERSION}"

    @property
    def providers(self) -> tuple[str, ...]:
        """What really computes."""
        return self._msd.providers

    def encode(self, logmel: NDArray[np.floating]) -> AudioFeatures:
        """Tags and vector of one recording.

        Args:
            logmel: floating [T, 96], T >= 1: log10(1 + 10000 mel power) of mono 16 kHz sound with
                windows of 512 and hops of 256 samples (``models.media.logmel``).

        Raises:
            ValueError: Another shape, no row, or values that are not finite.
        """
        rows = patches(logmel)
        hidden, mtt, msd = [], [], []
        for first in range(0, len(rows), _BATCH):
            batch = rows[first : first + _BATCH]
            mtt.append(self._mtt.run(logmel=batch)["tags"])
            answer = self._msd.run(logmel=batch)
            msd.append(answer["tags"])
            hidden.append(answer["embedding"])
        mean = np.concatenate(hidden).mean(axis=0)
        return AudioFeatures(
            embedding=(mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32),
            mtt=np.concatenate(mtt).mean(axis=0),
            msd=np.concatenate(msd).mean(axis=0),
        )


def patches(logmel: NDArray[np.floating]) -> NDArray[np.float32]:
    """Patches that stand for a recording.

    A short recording is repeated until it fills one (as in training); a long one gives at most
    ``MAX_PATCHES`` that do not overlap, the first at its begin, the last at its end.

    Args:
        logmel: floating [T, 96], T >= 1.

    Returns:
        float32 [P, 187, 96], 1 <= P <= ``MAX_PATCHES``.

    Raises:
        ValueError: Another shape, no row, or values that are not finite.
    """
    if logmel.ndim != 2 or logmel.shape[1] != MELS or len(logmel) == 0:
        raise ValueError(f"[T >= 1, {MELS}] expected, got {logmel.shape}")
    length = len(logmel)
    if length < FRAMES:
        logmel = logmel[np.arange(FRAMES) % length]
        length = FRAMES
    count = min(MAX_PATCHES, length // FRAMES)
    starts = np.linspace(0, length - FRAMES, count).astype(int)
    rows = np.stack([logmel[start : start + FRAMES] for start in starts]).astype(np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("the spectrogram has values that are not finite")
    return rows
