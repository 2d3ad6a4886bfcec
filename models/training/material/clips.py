"""Labelled items of sound, picture and text for the cross-modal classifier.

Thirteen classes. What decides differs: five are decided by the sound (their pictures and captions are
those of others too), five by the picture, three by the caption; the two other modalities are drawn
from what several classes share. In ``HINTS`` of the items of a class that is decided by sound or picture,
the caption names it as well. So no modality alone can be right about all, and the same piano may be
a piano item, somebody's sheet music or a lesson.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from models.content_classification import CLASSES
from models.training.material import drawings, sounds
from models.training.material.templates import read_grammar

FOLDER = Path(__file__).parent / "captions"
LANGUAGES = ("en", "zh")
SECONDS = 3.2
HINTS = 0.35

Split = Literal["train", "validation", "held_out"]

_MUSIC: tuple[sounds.Kind, ...] = ("piano", "plucked", "dance", "pad")
_PEOPLE: tuple[drawings.Kind, ...] = ("portrait", "abstract")


@dataclass(frozen=True, slots=True)
class _Recipe:
    decided_by: Literal["audio", "image", "text"]
    audio: tuple[sounds.Kind, ...]
    image: tuple[drawings.Kind, ...]


_RECIPES: dict[str, _Recipe] = {
    "piano": _Recipe("audio", ("piano",), _PEOPLE),
    "guitar": _Recipe("audio", ("plucked",), _PEOPLE),
    "electronic-dance": _Recipe("audio", ("dance",), _PEOPLE),
    "ambient": _Recipe("audio", ("pad",), _PEOPLE),
    "talk": _Recipe("audio", ("voice",), _PEOPLE),
    "concert": _Recipe("image", ("piano", "plucked", "dance"), ("concert",)),
    "sheet-music": _Recipe("image", ("piano", "plucked"), ("sheet",)),
    "playlist": _Recipe("image", (*_MUSIC, "voice"), ("playlist",)),
    "landscape": _Recipe("image", _MUSIC, ("landscape",)),
    "pets": _Recipe("image", (*_MUSIC, "voice"), ("animal",)),
    "tutorial": _Recipe("text", ("piano", "plucked", "voice"), (*_PEOPLE, "sheet")),
    "review": _Recipe("text", (*_MUSIC, "voice"), (*_PEOPLE, "playlist")),
    "heartbreak": _Recipe("text", _MUSIC, (*_PEOPLE, "landscape")),
}
DECIDED_BY = {label: recipe.decided_by for label, recipe in _RECIPES.items()}


@dataclass(frozen=True, slots=True)
class Clip:
    """How to make one item; its sound and picture are made when they are asked for.

    Attributes:
        label: One of ``CLASSES``.
        audio: Kind of sound.
        image: Kind of picture.
        text: Caption.
        seed: Seed of sound and picture.
        where: Range of the parameters.
    """

    label: str
    audio: sounds.Kind
    image: drawings.Kind
    text: str
    seed: int
    where: sounds.Range

    def sound(self) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        """int16 [51200], mono, 16 kHz."""
        return sounds.make(self.audio, self.where, SECONDS, np.random.default_rng([self.seed, 1]))

    def picture(self) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
        """uint8 [256, 256, 3] RGB."""
        return drawings.make(self.image, self.where, np.random.default_rng([self.seed, 2]))


def generate(split: Split, count: int, seed: int) -> list[Clip]:
    """``count`` items, the classes in turn. The same arguments always give the same items."""
    random = np.random.default_rng([seed, *split.encode()])
    held_out = split == "held_out"
    name = "held_out" if held_out else "train"
    grammars = {language: read_grammar(FOLDER / f"{name}.{language}.txt") for language in LANGUAGES}
    clips = []
    for number in range(count):
        label = CLASSES[number % len(CLASSES)]
        recipe = _RECIPES[label]
        hinted = recipe.decided_by == "text" or random.random() < HINTS
        grammar = grammars[LANGUAGES[int(random.integers(2))]]
        clips.append(
            Clip(
                label=label,
                audio=recipe.audio[int(random.integers(len(recipe.audio)))],
                image=recipe.image[int(random.integers(len(recipe.image)))],
                text=grammar.sentence(label if hinted else "neutral", random),
                seed=int(random.integers(2**31)),
                where="unseen" if held_out else "seen",
            )
        )
    return clips
