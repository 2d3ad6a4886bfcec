"""Recordings that are silent or too short, and such that are neither though they come near."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from features.ports import ObjectStore
from models.content_moderation import Rules
from models.face_gallery import EMPTY
from models.media.analysis import MediaAnalyser
from schemas.errors import BadMediaError
from tests.bench.appearing.films import Nobody, told
from tests.media.desk import analysed
from tests.media.make_hostile import audio, noise, tone, video, wav

HZ = 16_000
FORMS: dict[str, Callable[[np.ndarray], bytes]] = {
    "wav": wav,
    "flac": lambda samples: audio("flac", "flac", samples, HZ),
    "mp3": lambda samples: audio("libmp3lame", "mp3", samples, HZ),
    "aac": lambda samples: audio("aac", "mp4", samples, HZ),
    "opus": lambda samples: audio("libopus", "ogg", samples, HZ),
}
LEVELS_DB = (-80, -70, -50, -40, -20)
"""Silence is what stays 10 dB under the limit of the windows; sound is what stays 10 dB over it."""
QUIET_DB = -60
SILENT_SHARES = (0.5, 0.9)
SHORT_MS = (150, 400, 700, 900, 1100, 1500, 3000)
SHORT_VIDEO_MS = (200, 400, 600, 1000, 3000)
SMALL_BYTES = 8_000
"""Files under this are too short by the baseline."""
FPS = 25


@dataclass(frozen=True)
class Recording:
    """One upload.

    Attributes:
        name: For tables.
        kind: ``audio`` or ``video``.
        data: The file.
        code: Reason that it must be rejected for; empty: none of the two.
        plain: Whether the baseline rejects it.
    """

    name: str
    kind: str
    data: bytes
    code: str
    plain: bool


def quiet_ones() -> Iterator[Recording]:
    """Two seconds each. Baseline: every sample is zero."""
    random = np.random.default_rng(3)
    whole = np.zeros(2 * HZ, np.float32)
    sounds = {"tone": tone(2.0) * 2, "hiss": random.standard_normal(2 * HZ).astype(np.float32)}
    sounds = {name: sound / np.sqrt(np.mean(sound**2)) for name, sound in sounds.items()}
    for form, encode in FORMS.items():
        yield Recording(f"{form}, digital silence", "audio", encode(whole), "media-silent", plain=True)
        for name, sound in sounds.items():
            for level in LEVELS_DB:
                for silent in SILENT_SHARES:
                    samples = (sound * 10 ** (level / 20)).astype(np.float32)
                    samples[: int(silent * len(samples))] = 0
                    code = "media-silent" if level < QUIET_DB else ""
                    label = f"{form}, {name} at {level} dBFS, {silent:g} of it zero"
                    yield Recording(label, "audio", encode(samples.clip(-1, 1)), code, plain=False)


def short_ones(rules: Rules) -> Iterator[Recording]:
    """A tone or moving noise. Baseline: the size of the file."""
    for form, encode in FORMS.items():
        for length in SHORT_MS:
            data = encode(tone(length / 1000))
            code = "media-too-short" if length < rules.audio_min_ms else ""
            yield Recording(f"{form}, {length} ms", "audio", data, code, plain=len(data) < SMALL_BYTES)
    for length in SHORT_VIDEO_MS:
        frames = [np.roll(noise(1), 2 * number, axis=1) for number in range(length * FPS // 1000)]
        data = video(frames, rate=FPS)
        code = "media-too-short" if length < rules.video_min_ms else ""
        yield Recording(f"mp4, {length} ms", "video", data, code, plain=len(data) < SMALL_BYTES)


async def codes_of(recording: Recording, objects: ObjectStore, analyser: MediaAnalyser) -> set[str]:
    """Reasons for which an upload is rejected, whether by the decoding or by the rules."""
    try:
        event = await analysed(objects, analyser, recording.data, recording.kind)
    except BadMediaError as error:
        return {error.code}
    record = await told(event, objects, EMPTY, Nobody())
    return {reason.code for reason in record.reasons} if record.decision == "reject" else set()
