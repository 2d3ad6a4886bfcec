"""Scores played by a synthesiser: music21 reads, FluidSynth plays, PyAV writes the clip."""

from __future__ import annotations

import shutil
import subprocess
import wave
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from infra.demo.cache import Cache
from infra.demo.errors import DemoError
from infra.demo.packaged import Packaged

SOUND_FONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
RATE = 44_100
FADE_S = 1.5
SYNTHESIS_LIMIT_S = 120
CODECS = {".wav": "pcm_s16le", ".flac": "flac", ".mp3": "libmp3lame"}

# General MIDI programs, counted from 0
PIANO, GUITAR, ORGAN, VIOLIN, VIOLA, CELLO = 0, 24, 19, 40, 41, 42


@dataclass(frozen=True)
class Recording:
    """A clip to be rendered.

    Attributes:
        score: The score; its composer died more than a hundred years ago.
        programs: General MIDI program of each part, repeated when there are more parts.
        suffix: `.wav`, `.flac` or `.mp3`.
        seconds: Length of the clip.
        measures: First and last measure played; enough for `seconds`.
        quarters_per_minute: Tempo; None: the score's own.
        tags: Title and artist as the file itself carries them.
    """

    score: Packaged
    programs: tuple[int, ...]
    suffix: str
    seconds: float = 22.0
    measures: tuple[int, int] = (0, 40)
    quarters_per_minute: float | None = None
    tags: dict[str, str] = field(default_factory=dict)


def render(name: str, recording: Recording, cache: Cache) -> Path:
    """The clip as a file, from the cache if it was rendered before.

    Raises:
        DemoError: FluidSynth, its sounds or music21 are missing, or FluidSynth fails.
    """
    source = recording.score.locate()
    recipe = f"1 {version('music21')} {recording}"

    def make(clip: Path) -> None:
        midi, sound = clip.with_suffix(".mid"), clip.with_name("full.wav")
        _write_midi(source, recording, midi)
        _synthesise(midi, sound)
        _encode(_cut(_samples(sound), recording.seconds), clip, recording.tags)

    return cache.get(f"{name}{recording.suffix}", recipe, make)


def write_silence(clip: Path, seconds: float) -> None:
    """A recording of nothing: WAV, mono, 16 bit, every sample 0."""
    with wave.open(str(clip), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(bytes(2 * round(RATE * seconds)))


def _write_midi(source: Path, recording: Recording, midi: Path) -> None:
    # takes seconds to import, and a second run needs none of it
    from music21 import converter, instrument, spanner, tempo

    score: Any = converter.parse(source, forceSource=True, storePickle=False)
    played = score.measures(*recording.measures)
    _drop(played, instrument.Instrument)
    _drop(played, spanner.RepeatBracket)
    for measure in played.recurse().getElementsByClass("Measure"):
        # an excerpt cuts repeats in half, and half a repeat cannot be played
        measure.leftBarline = measure.rightBarline = None
    for number, part in enumerate(played.parts):
        program = recording.programs[number % len(recording.programs)]
        part.insert(0, instrument.instrumentFromMidiProgram(program))
    if recording.quarters_per_minute is not None:
        _drop(played, tempo.MetronomeMark)
        played.parts[0].insert(0, tempo.MetronomeMark(number=recording.quarters_per_minute))
    played.write("midi", fp=midi)


def _drop(score: Any, kind: type) -> None:
    for element in list(score.recurse().getElementsByClass(kind)):
        element.activeSite.remove(element)


def _synthesise(midi: Path, sound: Path) -> None:
    program = shutil.which("fluidsynth")
    if program is None or not SOUND_FONT.exists():
        raise DemoError("FluidSynth or its sounds are missing: apt-get install fluidsynth timgm6mb-soundfont")
    command = [program, "-n", "-i", "-q", "-g", "0.7", "-r", str(RATE), "-F", str(sound), str(SOUND_FONT), str(midi)]
    try:
        result = subprocess.run(  # noqa: S603 - a program of the distribution with paths of ours
            command, capture_output=True, text=True, check=False, timeout=SYNTHESIS_LIMIT_S
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"FluidSynth needs more than {SYNTHESIS_LIMIT_S} s for {midi.name}") from error
    if result.returncode or not sound.exists():
        raise DemoError(f"FluidSynth fails on {midi.name}: {result.stderr.strip()[-300:]}")


def _samples(sound: Path) -> NDArray[np.int16]:
    """Stereo samples [n, 2] of FluidSynth's WAV."""
    with wave.open(str(sound), "rb") as recorded:
        return np.frombuffer(recorded.readframes(recorded.getnframes()), "<i2").reshape(-1, 2)


def _cut(samples: NDArray[np.int16], seconds: float) -> NDArray[np.int16]:
    """The first `seconds`, faded out at the end.

    Args:
        samples: Stereo samples [n, 2].

    Raises:
        DemoError: the synthesiser has played nothing.
    """
    cut = samples[: round(seconds * RATE)].astype(np.float32)
    if not cut.any():
        raise DemoError("FluidSynth has played silence")
    fade = min(len(cut), round(FADE_S * RATE))
    cut[len(cut) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)[:, None]
    louder: NDArray[np.int16] = (cut * (0.8 * 32767 / np.abs(cut).max())).astype(np.int16)
    return louder


def _encode(samples: NDArray[np.int16], clip: Path, tags: dict[str, str]) -> None:
    with av.open(str(clip), "w") as container:
        container.metadata.update(tags)
        stream: Any = container.add_stream(CODECS[clip.suffix], rate=RATE)
        stream.layout = "stereo"
        resampler = av.AudioResampler(stream.format, "stereo", RATE)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), "s16", "stereo")
        frame.sample_rate = RATE
        for converted in resampler.resample(frame):
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
