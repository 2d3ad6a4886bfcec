"""What a language model is told about a song: one template, and the models that turn it into a vector.

Version 2 of the template. One line a part, in this order; a part that is missing has no line:

    title: <title>
    by: <display name of the artist>
    year: <year of release>
    language: <BCP 47 tag>
    length: <minutes>:<seconds>
    keywords: <tag of the uploader> / <tag> / ...
    instruments: <tag> / <tag> / ...
    <name of a modality>: <its tags, for example "sound: calm / slow">
    about: <what the uploader wrote about it>
    lyrics: <lyrics or words said>
    reviews: <review> / <review> / ...

What lies in every song stands first, since a small encoder reads the first 2000 characters only. Texts come from
users: each is one line without control or formatting characters, cut to its bound, and the characters of which chat
templates make their marks (angle and square brackets, braces, bars, grave accents) become round brackets, slashes and
apostrophes. So no text can begin a part or end a message; it can still lie in words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

VERSION = "2"
"""Of the template; vectors of prompts of two versions do not compare."""

NAME_CHARS = 120
TAG_CHARS = 40
TAGS = 12
"""Tags of one part, the first ones."""
MODALITIES = 4
ABOUT_CHARS = 500
LYRICS_CHARS = 500
REVIEW_CHARS = 160
REVIEWS = 6
PARTS = frozenset(
    {"title", "by", "year", "language", "length", "keywords", "instruments", "about", "lyrics", "reviews"}
)
"""Names that a modality may not have."""

_SEPARATOR = " / "
_MARKS = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "{": "(", "}": ")", "|": "/", "`": "'"})


@dataclass(frozen=True, slots=True)
class Song:
    """What is known about a song; all but the title may be missing.

    Attributes:
        title: Title.
        by: Display name of the artist, never an id.
        year: Year of release.
        language: BCP 47 tag.
        seconds: Length, s.
        keywords: Tags that people gave it.
        instruments: Tags of instruments, surest first.
        tags: Tags by modality (``sound``, ``cover``), surest first.
        about: What is written about it, line ends allowed.
        lyrics: Lyrics or words said, line ends allowed.
        reviews: Reviews or comments, best first.
    """

    title: str
    by: str = ""
    year: int | None = None
    language: str = ""
    seconds: float | None = None
    keywords: Sequence[str] = ()
    instruments: Sequence[str] = ()
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    about: str = ""
    lyrics: str = ""
    reviews: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """One song as a model is shown it.

    Attributes:
        text: By `song_prompt`.
        picture: Its cover, JPEG, PNG or WebP; only embedders whose ``reads_pictures`` is true look at it.
    """

    text: str
    picture: bytes | None = None


class PromptEmbedder(Protocol):
    """A model that turns prompts into vectors."""

    @property
    def version(self) -> str:
        """Model and template, as it stands in events."""

    @property
    def dim(self) -> int:
        """Width of its vectors."""

    @property
    def reads_pictures(self) -> bool:
        """Whether the picture of a prompt changes its vector."""

    def embed(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Vectors float32 [N, dim], norm 1, in the order of the prompts.

        Raises:
            AppError: ``retryable`` says whether the same prompts may succeed later.
        """


def song_prompt(song: Song) -> str:
    """The template filled in; the same song always gives the same text.

    Raises:
        ValueError: A modality has the name of another part or no plain name.
    """
    lines = [
        _line("title", one_line(song.title, NAME_CHARS)),
        _line("by", one_line(song.by, NAME_CHARS)),
        _line("year", "" if song.year is None else str(song.year)),
        _line("language", one_line(song.language, TAG_CHARS)),
        _line("length", "" if song.seconds is None else f"{int(song.seconds) // 60}:{int(song.seconds) % 60:02d}"),
        _line("keywords", _joined(song.keywords, TAGS, TAG_CHARS)),
        _line("instruments", _joined(song.instruments, TAGS, TAG_CHARS)),
    ]
    for name in sorted(song.tags)[:MODALITIES]:
        if name in PARTS or not (name.isascii() and name.isalpha() and name.islower()):
            raise ValueError(f"{name!r} cannot name the tags of a modality")
        lines.append(_line(name, _joined(song.tags[name], TAGS, TAG_CHARS)))
    lines.append(_line("about", one_line(song.about, ABOUT_CHARS)))
    lines.append(_line("lyrics", one_line(song.lyrics, LYRICS_CHARS)))
    lines.append(_line("reviews", _joined(song.reviews, REVIEWS, REVIEW_CHARS)))
    return "\n".join(line for line in lines if line)


def one_line(text: str, limit: int) -> str:
    """Untrusted text as one line of at most ``limit`` characters that holds no marks of a template."""
    near = text[: 4 * limit]  # bounds the work; what normalisation joins or drops is rarely more than that
    kept = "".join(each if _printable(each) else " " for each in unicodedata.normalize("NFKC", near))
    return " ".join(kept.translate(_MARKS).split())[:limit].rstrip()


def versioned(model: str) -> str:
    """Version of the vectors that a model gives prompts of this template."""
    return f"{model}+song-prompt@{VERSION}"


def _printable(character: str) -> bool:
    """Neither control, format, surrogate, private, unassigned nor a line or paragraph separator."""
    return unicodedata.category(character)[0] != "C" and unicodedata.category(character) not in ("Zl", "Zp")


def _joined(texts: Iterable[str], most: int, limit: int) -> str:
    """The first different texts, each one line; the separator inside a text becomes a comma."""
    cleaned = (one_line(text, limit).replace(_SEPARATOR, ", ") for text in texts)
    return _SEPARATOR.join(list(dict.fromkeys(text for text in cleaned if text))[:most])


def _line(name: str, value: str) -> str:
    return f"{name}: {value}" if value else ""
