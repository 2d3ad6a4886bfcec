"""Labelled sentences for text moderation, Chinese and English.

Three sets that share no template: ``train`` and ``validation`` (every fifth template of the training
files), and ``held_out`` (files of their own, with their own words). ``handwritten`` is a fourth one
whose sentences are no templates at all. Sentences are dressed as users do: emoji, capitals, a second
sentence of a clean kind before or behind, doubled marks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from models.text_moderation import CATEGORIES, CLEAN
from models.training.material.templates import Grammar, read_grammar

FOLDER = Path(__file__).parent / "moderation"
LANGUAGES = ("en", "zh")
CLEAN_SHARE = 0.55
_VALIDATION_EVERY = 5
_TAILS = {
    "en": ("", "", "", "!", "!!", " lol", " 😂", " 🎵", " #music", " ...", " 🔥🔥", " xx"),
    "zh": ("", "", "", "！", "！！", "哈哈", "😂", "🎵", " #音乐", "……", "🔥🔥", "啊啊啊"),
}

Split = Literal["train", "validation", "held_out"]


@dataclass(frozen=True, slots=True)
class LabelledText:
    """One sentence.

    Attributes:
        text: The sentence.
        label: One of ``CATEGORIES``.
        language: ``en`` or ``zh``.
    """

    text: str
    label: str
    language: str


def generate(split: Split, count: int, seed: int) -> list[LabelledText]:
    """``count`` sentences, half of each language, ``CLEAN_SHARE`` of them clean.

    The same arguments always give the same sentences; two splits never share a template.
    """
    random = np.random.default_rng([seed, *split.encode()])
    grammars = {language: _grammar(split, language) for language in LANGUAGES}
    items = []
    for number in range(count):
        language = LANGUAGES[number % len(LANGUAGES)]
        label = CLEAN
        if random.random() >= CLEAN_SHARE:
            label = CATEGORIES[1 + int(random.integers(len(CATEGORIES) - 1))]
        text = _dressed(grammars[language], label, language, random)
        items.append(LabelledText(text, label, language))
    return items


def handwritten() -> list[LabelledText]:
    """Sentences written one by one, of no template: ``label<TAB>language<TAB>text`` a line."""
    lines = (FOLDER / "handwritten.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return [LabelledText(text, label, language) for label, language, text in rows]


def titles() -> list[str]:
    """Harmless titles of real works and short everyday texts, some of them with dark words."""
    return (FOLDER / "titles.txt").read_text(encoding="utf-8").splitlines()


def _grammar(split: Split, language: str) -> Grammar:
    if split == "held_out":
        return read_grammar(FOLDER / f"held_out.{language}.txt")
    whole = read_grammar(FOLDER / f"train.{language}.txt")
    return whole.only(_VALIDATION_EVERY - 1, _VALIDATION_EVERY, inverse=split == "train")


def _dressed(grammar: Grammar, label: str, language: str, random: np.random.Generator) -> str:
    text = grammar.sentence(label, random)
    if random.random() < 0.2:
        other = grammar.sentence(CLEAN, random)
        joint = {"en": ". ", "zh": "，"}[language]
        text = joint.join((other, text) if random.random() < 0.5 else (text, other))
    if language == "en" and random.random() < 0.3:
        text = text.upper() if random.random() < 0.3 else text.capitalize()
    tails = _TAILS[language]
    return text + tails[int(random.integers(len(tails)))]
