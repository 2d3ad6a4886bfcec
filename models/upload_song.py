"""An upload as the song of a prompt: what its uploader and its file say of it, and what was heard and seen in it.

Only uploads with words are one: tags alone would say in another way what the vectors of sound and picture say.
Language and length are left out: vectors shall not be near for these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.audio_embedding import MSD_TAGS, MTT_TAGS, AudioFeatures
from models.image_embedding import ImageFeatures, class_names
from models.media.facts import EmbeddedText
from models.recommender import known_year
from models.song_prompt import NAME_CHARS, Song, one_line
from schemas.media import MediaAnalysed

INSTRUMENTS = frozenset(
    {"guitar", "strings", "drums", "piano", "violin", "synth", "harpsichord", "flute", "sitar", "harp", "cello"}
)
"""Those of ``MTT_TAGS``; of the others, what a recording lacks ("no vocals") is not said."""
HEARD_FROM, SEEN_FROM = 0.1, 0.2
"""Least mean score of a tag; musicnn's are low, since its training data lack most tags that fit."""
MOST_INSTRUMENTS, MOST_HEARD, MOST_SEEN = 4, 4, 3
"""Tags of each kind, the surest; those heard from each of the two networks."""

_ARTISTS = ("artist", "album_artist", "performer", "composer")
_YEARS = ("date", "year", "originaldate", "originalyear")
_ABOUT = ("description", "synopsis", "comment")
_LYRICS = ("lyrics", "unsyncedlyrics")
_LYRICS_IN = "lyrics-"
"""Before the language, as PyAV names what an MP3 holds."""
Scores = NDArray[np.float32]


def upload_song(event: MediaAnalysed, said: EmbeddedText) -> Song | None:
    """What is written of an upload; None if nothing is.

    Args:
        event: What was uploaded.
        said: Text in the file; its tags fill in what the uploader did not give.
    """
    tags = {name: text for name, text in said.tags.items() if text.strip()}
    song = Song(
        title=event.title.strip() or _first(tags, ("title",)),
        by=_first(tags, _ARTISTS),
        year=_year(_first(tags, _YEARS)),
        keywords=(*event.tags, *filter(None, [tags.get("genre", "")])),
        about=event.text.strip() or _first(tags, (*_ABOUT, "album")),
        lyrics=_lyrics(tags) or said.subtitles,
    )
    words = (song.title, song.by, song.about, song.lyrics, *song.keywords)
    return song if any(one_line(word, NAME_CHARS) for word in words) else None


def with_media(song: Song, heard: AudioFeatures | None, seen: ImageFeatures | None) -> Song:
    """The song with the tags of its sound and its frames; None where it has none."""
    return replace(
        song,
        instruments=() if heard is None else _instruments(heard),
        tags={"picture": () if seen is None else _seen(seen), "sound": () if heard is None else _heard(heard)},
    )


def _lyrics(tags: Mapping[str, str]) -> str:
    return _first(tags, (*_LYRICS, *(name for name in tags if name.startswith(_LYRICS_IN))))


def _first(tags: Mapping[str, str], names: Sequence[str]) -> str:
    return next((tags[name] for name in names if name in tags), "")


def _year(text: str) -> int | None:
    """Year of a date as files have it: ``1998``, ``1998-05-01``."""
    digits = text.strip()[:4]
    return (known_year(int(digits)) or None) if len(digits) == 4 and digits.isascii() and digits.isdecimal() else None


def _instruments(heard: AudioFeatures) -> tuple[str, ...]:
    return _surest(heard.mtt, [tag if tag in INSTRUMENTS else "" for tag in MTT_TAGS], HEARD_FROM, MOST_INSTRUMENTS)


def _heard(heard: AudioFeatures) -> tuple[str, ...]:
    others = ["" if tag in INSTRUMENTS or tag.startswith("no ") else tag for tag in MTT_TAGS]
    return (
        *_surest(heard.mtt, others, HEARD_FROM, MOST_HEARD),
        *_surest(heard.msd, MSD_TAGS, HEARD_FROM, MOST_HEARD),
    )


def _seen(seen: ImageFeatures) -> tuple[str, ...]:
    logits = seen.logits.mean(axis=0, dtype=np.float64)
    odds = np.exp(logits - logits.max())
    return _surest((odds / odds.sum()).astype(np.float32), class_names(), SEEN_FROM, MOST_SEEN)


def _surest(scores: Scores, names: Sequence[str], least: float, most: int) -> tuple[str, ...]:
    """Names with at least that score, best first; an empty name is passed over."""
    order = np.argsort(-scores, kind="stable")
    return tuple(names[i] for i in order if scores[i] >= least and names[i])[:most]
