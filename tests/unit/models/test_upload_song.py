"""What of an upload comes into its prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.audio_embedding import MSD_TAGS, MTT_TAGS, AudioFeatures
from models.image_embedding import CLASSES, ImageFeatures, class_names
from models.media.facts import EmbeddedText
from models.song_prompt import Song
from models.upload_song import INSTRUMENTS, upload_song, with_media
from schemas.media import MediaAnalysed
from tests.fakes.runtime import NOW


def event(**more: Any) -> MediaAnalysed:
    values: dict[str, Any] = {
        "event_id": "a",
        "source_event_id": "u",
        "occurred_at": NOW,
        "produced_at": NOW,
        "media_id": "m",
        "kind": "audio",
        "uploader": "id-of-a-user",
        "language": "en",
        "duration_ms": 1000,
        "analyser_version": "1",
    }
    return MediaAnalysed(**values | more)


def heard(**scores: float) -> AudioFeatures:
    """Scores by tag; blanks in tags are underscores here."""
    named = {name.replace("_", " "): score for name, score in scores.items()}
    mtt, msd = (np.array([named.get(tag, 0.0) for tag in tags], np.float32) for tags in (MTT_TAGS, MSD_TAGS))
    return AudioFeatures(np.zeros(200, np.float32), mtt, msd)


def seen(*odds: dict[str, float]) -> ImageFeatures:
    names = class_names()
    logits = np.log(np.array([[frame.get(name, 1e-9) for name in names] for frame in odds], np.float32))
    return ImageFeatures(np.zeros((len(odds), 1280), np.float32), logits)


def test_what_the_uploader_says_goes_before_what_the_file_says() -> None:
    said = EmbeddedText(
        {"title": "x", "artist": "Ada", "genre": "Jazz", "comment": "y", "year": "1998", "lyrics": "la"}
    )
    song = upload_song(event(title="Dawn", text="mine", tags=("calm",)), said)
    assert song is not None
    assert (song.title, song.about, song.by, song.year, song.lyrics) == ("Dawn", "mine", "Ada", 1998, "la")
    assert song.keywords == ("calm", "Jazz")
    assert (song.language, song.seconds) == ("", None)
    fallen_back = upload_song(event(), said)
    assert fallen_back is not None
    assert (fallen_back.title, fallen_back.about) == ("x", "y")


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("1998", 1998),
        ("1998-05-01", 1998),
        ("98", None),
        ("May 1998", None),
        ("0000", None),
        ("", None),
    ],
)
def test_the_year_of_a_date(date: str, year: int | None) -> None:
    song = upload_song(event(title="t"), EmbeddedText({"date": date}))
    assert song is not None
    assert song.year == year


def test_instruments_are_apart_and_what_is_lacking_is_not_said() -> None:
    found = heard(piano=0.3, guitar=0.5, slow=0.2, no_vocals=0.9, jazz=0.4, rock=0.09)
    song = with_media(Song("t"), found, None)
    assert song.instruments == ("guitar", "piano")
    assert song.tags["sound"] == ("slow", "guitar", "jazz")
    assert set(MTT_TAGS) >= INSTRUMENTS


def test_only_sure_classes_of_all_frames_together_are_said() -> None:
    frames = seen({"valley": 0.9, "stage": 0.1}, {"valley": 0.5, "stage": 0.4, "menu": 0.1})
    song = with_media(Song("t"), None, frames)
    assert song.tags["picture"] == ("valley", "stage")


def test_class_names_are_in_the_order_of_the_network() -> None:
    names = class_names()
    assert len(set(names)) == CLASSES
    # what the card says of the coffee picture and the cat of scikit-image
    assert (names[967], names[285], names[0], names[999]) == ("espresso", "Egyptian cat", "tench", "toilet tissue")


def test_without_words_there_is_no_song() -> None:
    assert upload_song(event(title=" \u200b"), EmbeddedText({"artist": " "})) is None
    assert upload_song(event(), EmbeddedText(subtitles="the rails hum")) is not None
    assert upload_song(event(), EmbeddedText({"album": "Rails"})) is not None


def test_lyrics_of_an_mp3_carry_their_language_in_the_name() -> None:
    song = upload_song(event(title="Dawn"), EmbeddedText({"lyrics-eng": "la la"}))
    assert song is not None
    assert song.lyrics == "la la"
