"""Word lists: dressed-up spellings are found, harmless neighbours are not."""

from pathlib import Path

import pytest

from models.text_moderation import CATEGORIES, LISTS
from models.word_matching import WordLists, fold


@pytest.fixture(scope="module")
def lists() -> WordLists:
    return WordLists((LISTS,))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("you IDIOT", "idiot"),
        ("you 1d10t!", "idiot"),
        ("i d i o t", "idiot"),
        ("i.d.i.o.t", "idiot"),
        ("Idioooot", "idiot"),
        ("ídïot", "idiot"),
        ("id\u200biot", "idiot"),
        ("ＩＤＩＯＴ", "idiot"),
        ("as$hole", "asshole"),
        ("fuck-you", "fuck you"),
        ("go   KILL\nyourself", "go kill yourself"),
        ("I'm going to kill you", "im going to kill you"),
        ("加微信领福利", "加微信"),
        ("加 微.信", "加微信"),
        ("加\u200b薇❤信", "加薇信"),
        ("加我VX", "加我vx"),
        ("你这个废 物", "废物"),
        ("idiot你好", "idiot"),
    ],
)
def test_found(lists: WordLists, text: str, word: str) -> None:
    assert word in [hit.word for hit in lists.find(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe", "assess the class", "therapist", "Penistone choir", "analysis of bass lines", "cocktail piano",
        "American Idiot (cover)", "Killing Me Softly", "shut up and dance with me", "A B C D E F G", "1 2 3 4 5",
        "cafe 4 you, 5 7 9", "废物利用手工", "预防自杀热线", "看片尾彩蛋", "", "🎵", "skill yourself up", "Kill! Bill",
        "大家加油，微信读书真好用",
    ],
)  # fmt: skip
def test_not_found(lists: WordLists, text: str) -> None:
    assert lists.find(text) == ()


def test_an_allowed_phrase_does_not_hide_the_next_word(lists: WordLists) -> None:
    assert [hit.word for hit in lists.find("American Idiot is sung by an idiot")] == ["idiot"]
    assert [hit.word for hit in lists.find("废物利用，你个废物")] == ["废物"]
    # and taking it out does not join its neighbours to a word
    assert lists.find("加废物利用微信") == ()


def test_each_word_once_and_the_most_severe_first(lists: WordLists) -> None:
    hits = lists.find("idiot idiot 1diot kill yourself")
    assert [hit.word for hit in hits] == ["kill yourself", "idiot"]
    assert hits[0].category == "threat"


def test_the_lists_use_the_classifier_s_categories() -> None:
    stems = {path.stem.rpartition(".")[0] for path in LISTS.glob("*.txt")}
    assert stems == {*CATEGORIES[1:], "allowed"}


def test_an_operator_adds_lists(tmp_path: Path) -> None:
    (tmp_path / "hate.de.txt").write_text("# Liste\n[0.9]\nblödmann\n", encoding="utf-8")
    hits = WordLists((LISTS, tmp_path)).find("du Blodmann")
    assert [(hit.word, hit.category, hit.severity) for hit in hits] == [("blödmann", "hate", 0.9)]


@pytest.mark.parametrize(
    ("name", "content"), [("abuse.txt", "x"), ("abuse.en.txt", "[2]\nx"), ("abuse.en.txt", "!!"), ("abuse.en.txt", "")]
)
def test_malformed_lists_are_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"list|severity|look for"):
        WordLists((tmp_path,))


def test_long_texts_take_linear_time(lists: WordLists) -> None:
    assert lists.find("a " * 20_000 + "!" * 20_000 + "加" * 20_000) == ()


def test_folding() -> None:
    assert fold("Ｃａｆé\u200b ＡＢＣ") == "cafe abc"
