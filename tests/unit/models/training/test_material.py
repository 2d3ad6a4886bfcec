"""Made material: repeatable, labelled, the held-out part really apart."""

import itertools

import numpy as np
import pytest

from models.content_classification import CLASSES
from models.text_moderation import CATEGORIES
from models.training.material import clips, drawings, moderation_texts, sounds
from models.training.material.templates import read_grammar

SPLITS = ("train", "validation", "held_out")


def test_moderation_sentences_repeat_and_cover_all() -> None:
    first = moderation_texts.generate("train", 300, 3)
    assert first == moderation_texts.generate("train", 300, 3)
    assert first != moderation_texts.generate("train", 300, 4)
    assert {item.label for item in first} == set(CATEGORIES)
    assert {item.language for item in first} == {"en", "zh"}


def test_sets_share_no_bad_sentence() -> None:
    bad = {
        split: {item.text for item in moderation_texts.generate(split, 2000, 3) if item.label != "clean"}
        for split in SPLITS
    }
    by_hand = {item.text for item in moderation_texts.handwritten()}
    for one, other in itertools.combinations([*bad.values(), by_hand], 2):
        assert not one & other


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("folder", [moderation_texts.FOLDER, clips.FOLDER])
def test_held_out_files_share_no_template_and_no_slot_word(folder, language: str) -> None:
    train, unseen = (read_grammar(folder / f"{name}.{language}.txt") for name in ("train", "held_out"))
    assert train.templates.keys() == unseen.templates.keys()
    for label, lines in train.templates.items():
        assert not set(lines) & set(unseen.templates[label])
    words = [{word for choices in grammar.slots.values() for word in choices} for grammar in (train, unseen)]
    assert not words[0] & words[1]


def test_handwritten_sentences_have_known_labels() -> None:
    items = moderation_texts.handwritten()
    assert len(items) >= 60
    assert {item.label for item in items} == set(CATEGORIES)


def test_clips_repeat_and_cover_all_classes() -> None:
    items = clips.generate("train", 26, 1)
    assert items == clips.generate("train", 26, 1)
    assert [item.label for item in items[:13]] == list(CLASSES)
    assert set(clips.DECIDED_BY.values()) == {"audio", "image", "text"}
    assert np.array_equal(items[0].picture(), items[0].picture())
    assert np.array_equal(items[0].sound(), items[0].sound())


def test_no_modality_decides_alone() -> None:
    items = clips.generate("train", 1300, 1)
    for part in ("audio", "image"):
        labels: dict[str, set[str]] = {}
        for item in items:
            labels.setdefault(getattr(item, part), set()).add(item.label)
        assert sum(len(found) > 1 for found in labels.values()) >= 3
    assert {item.where for item in clips.generate("held_out", 13, 1)} == {"unseen"}


@pytest.mark.parametrize("kind", sounds.KINDS)
@pytest.mark.parametrize("where", ["seen", "unseen"])
def test_sounds_are_sounds(kind: sounds.Kind, where: sounds.Range) -> None:
    wave = sounds.make(kind, where, 1.0, np.random.default_rng(1))
    assert wave.shape == (sounds.RATE,)
    assert wave.dtype == np.int16
    assert np.abs(wave.astype(int)).max() > 1000


@pytest.mark.parametrize("kind", drawings.KINDS)
@pytest.mark.parametrize("where", ["seen", "unseen"])
def test_drawings_are_pictures(kind: drawings.Kind, where: sounds.Range) -> None:
    picture = drawings.make(kind, where, np.random.default_rng(1))
    assert picture.shape == (drawings.SIZE, drawings.SIZE, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 5
