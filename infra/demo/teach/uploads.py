"""Files and words of the community's uploads."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from infra.demo import packaged
from infra.demo.cache import Cache
from infra.demo.material import Item
from infra.demo.rendering import RATE, Recording, render
from infra.demo.teach.themes import THEMES, Music, Theme
from models.training.material import drawings, sounds
from models.training.material.clips import FOLDER as CAPTIONS
from models.training.material.clips import LANGUAGES
from models.training.material.templates import Grammar, read_grammar

CLIP_S, SCORE_S, VIDEO_S, FRAMES_A_SECOND = 9.0, 30.0, 4.0, 8
MEASURES, QUARTERS_PER_MINUTE = (0, 16), 100.0
SOUND_RATE = sounds.RATE
TOLD = 0.5
"""Share of the titles and captions that tell the theme: where words always told it, nothing else would be heeded."""
Random = np.random.Generator
K = TypeVar("K")


class Uploads:
    """Makes the files; each is kept.

    Args:
        folder: Where they lie.
        seed: The same gives the same files.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._cache, self._seed = Cache(folder), seed

    def of(self, themes: list[str]) -> Iterator[Item]:
        """One upload for each theme named."""
        for number, name in enumerate(themes):
            yield self._item(f"{name}-{number}", THEMES[name], np.random.default_rng([self._seed, number]))

    def _item(self, key: str, theme: Theme, random: Random) -> Item:
        language = LANGUAGES[int(random.integers(len(LANGUAGES)))]
        told = not theme.music and (random.random() < TOLD or not (theme.sound or theme.picture))
        caption = _grammar(language).sentence(theme.caption if told else "neutral", random)
        recipe = f"2 {self._seed} {key} {theme}"
        if theme.music is not None:
            title, samples = self._played(theme.music, random)
            file = self._cache.get(f"{key}.wav", recipe, lambda place: _write_sound(place, samples, RATE))
            return Item(key, "audio", title, file=file, sent_as=file.name)
        picture = self._picture(theme, random)
        sound = _one_of(theme.sound, random)
        if theme.kind == "video" and sound is not None and picture is not None:
            heard = None if random.random() < theme.silent else sounds.make(sound, "seen", VIDEO_S, random)
            file = self._cache.get(f"{key}.mp4", recipe, lambda place: _write_video(place, picture, heard, random))
            return Item(key, "video", caption, file=file, sent_as=file.name, tags=theme.tags, language=language)
        if sound is not None:
            heard = sounds.make(sound, "seen", CLIP_S, random)
            file = self._cache.get(f"{key}.wav", recipe, lambda place: _write_sound(place, heard, SOUND_RATE))
            return Item(key, "audio", caption, file=file, sent_as=file.name, language=language)
        if picture is None:
            return Item(
                key, "post", caption[:40], text=f"{caption} {_grammar(language).sentence(theme.caption, random)}"
            )
        file = self._cache.get(f"{key}.png", recipe, lambda place: Image.fromarray(picture).save(place, "PNG"))
        return Item(
            key, theme.kind, caption, file=file, sent_as=file.name, text=caption if theme.kind == "post" else ""
        )

    def _played(self, music: Music, random: Random) -> tuple[str, NDArray[np.int16]]:
        """A title and ``CLIP_S`` of a score, int16 mono at ``RATE``."""
        title, path, numbers = music.scores[int(random.integers(len(music.scores)))]
        number = numbers[int(random.integers(len(numbers)))]
        # fifty clips of a score cost one rendering
        score = packaged.score(path.format(number))
        recording = Recording(score, music.programs, ".wav", SCORE_S, MEASURES, QUARTERS_PER_MINUTE)
        samples = _mono(render(f"{path.format(number).replace('/', '-')}-{music.instrument}", recording, self._cache))
        most = max(len(samples) - int(CLIP_S * RATE), 1)
        begin = int(random.integers(most))
        shown = f"{title} no. {number}" if number else title
        shown = f"{shown}, {music.instrument}" if random.random() < TOLD else shown
        return shown, samples[begin : begin + int(CLIP_S * RATE)]

    def _picture(self, theme: Theme, random: Random) -> NDArray[np.uint8] | None:
        kind = _one_of(theme.picture, random)
        return None if kind is None else drawings.make(kind, "seen", random)


@cache
def _grammar(language: str) -> Grammar:
    return read_grammar(CAPTIONS / f"train.{language}.txt")


@cache
def _mono(file: Path) -> NDArray[np.int16]:
    with wave.open(str(file), "rb") as sound:
        both = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2)
    mono: NDArray[np.int16] = both.astype(np.int32).mean(axis=1).astype(np.int16)
    return mono


def _one_of(kinds: tuple[K, ...], random: Random) -> K | None:
    return kinds[int(random.integers(len(kinds)))] if kinds else None


def _write_sound(place: Path, samples: NDArray[np.int16], rate: int) -> None:
    with wave.open(str(place), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(samples.astype("<i2").tobytes())


def _write_video(place: Path, picture: NDArray[np.uint8], heard: NDArray[np.int16] | None, random: Random) -> None:
    """MP4 of a camera that goes over a picture: H.264 224x224, AAC mono if there is a sound."""
    number = int(VIDEO_S * FRAMES_A_SECOND)
    way = np.linspace(random.integers(32, size=2), random.integers(32, size=2), number).astype(np.int64)
    with av.open(str(place), "w") as container:
        shown: Any = container.add_stream("libx264", rate=FRAMES_A_SECOND)
        shown.width = shown.height = 224
        shown.pix_fmt = "yuv420p"
        played: Any = None if heard is None else container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for y, x in way:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[y : y + 224, x : x + 224]), "rgb24")
            container.mux(shown.encode(frame))
        container.mux(shown.encode(None))
        if heard is None:
            return
        sound = av.AudioFrame.from_ndarray(heard[None], "s16", "mono")
        sound.sample_rate = SOUND_RATE
        sound.time_base = Fraction(1, SOUND_RATE)
        for converted in av.AudioResampler("fltp", "mono", SOUND_RATE).resample(sound):
            container.mux(played.encode(converted))
        container.mux(played.encode(None))
