"""What the demo uploads, who plays what of it, and what is expected of each item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from infra.demo import packaged
from infra.demo.cache import Cache
from infra.demo.damage import write_truncated
from infra.demo.drawing import draw_playlist, draw_score
from infra.demo.packaged import Packaged
from infra.demo.rendering import CELLO, GUITAR, ORGAN, PIANO, VIOLA, VIOLIN, Recording, render, write_silence

Kind = Literal["video", "audio", "post", "score", "screenshot"]
End = Literal["published", "rejected", "refused"]


@dataclass(frozen=True)
class Item:
    """One upload.

    Attributes:
        key: Short name, unique within a run.
        kind: As `POST /v1/uploads` takes it.
        title: Shown to people.
        source: Where the content comes from.
        file: The file; None for a post of text only.
        sent_as: File name in the form.
        text: Text of a post.
        tags: Words the uploader chose.
        language: BCP 47 tag.
        end: What must become of it; `refused`: no 202, the answer is 415.
        codes: Reason codes of which a rejection must name one.
        duration_ms: Length of what can be played; for pictures and texts the time a reader stays.
    """

    key: str
    kind: Kind
    title: str
    source: str = ""
    file: Path | None = None
    sent_as: str = ""
    text: str = ""
    tags: tuple[str, ...] = ()
    language: str | None = None
    end: End = "published"
    codes: frozenset[str] = frozenset()
    duration_ms: int = 12_000


@dataclass(frozen=True)
class Listener:
    """A user of the demo.

    Attributes:
        name: Short name; the run's id is added to it.
        likes: The taste in words.
        plays: Item key -> completion, 0..1.
        suits: Items that nobody plays in the run and that suit this taste.
    """

    name: str
    likes: str
    plays: dict[str, float]
    suits: frozenset[str]


LISTENERS = (
    Listener(
        "anna",
        "piano and strings",
        {"chopin": 1.0, "mozart": 0.96, "corelli": 0.93, "aloha": 0.08},
        frozenset({"bach", "haydn"}),
    ),
    # a meadow and a street: by content both are the open air as much as they are films
    Listener(
        "ben",
        "films and the open air",
        {"bunny": 1.0, "bikes": 0.97, "chorale": 0.05},
        frozenset({"carphone", "lake", "china"}),
    ),
    Listener(
        "cleo",
        "pictures and posts of nature",
        {"flower": 1.0, "mountains": 0.95},
        frozenset({"chelsea", "lake", "china"}),
    ),
)
"""Unplayed by all three: bach, haydn, carphone, chelsea, china, lake, ode, playlist."""

KEPT_SHARE = 0.4
"""Share of its bytes that the truncated video keeps."""

ABUSE = "You pathetic dumbass, you are an idiot and a loser. Shut up and get lost, everybody here hates you!"
"""Mild as abuse goes; nobody is meant."""

CLIPS: dict[str, tuple[str, Recording]] = {
    "chopin": (
        "Chopin: Mazurka op. 6 no. 2, piano",
        Recording(
            packaged.score("chopin/mazurka06-2.krn"), (PIANO,), ".mp3", tags={"title": "Mazurka", "artist": "Chopin"}
        ),
    ),
    "mozart": (
        "Mozart: Sonata K. 545, piano",
        Recording(packaged.score("mozart/k545/movement1_exposition.mxl"), (PIANO,), ".flac"),
    ),
    "bach": ("Bach: Prelude BWV 846, piano", Recording(packaged.score("bach/bwv846.mxl"), (PIANO,), ".mp3")),
    "corelli": (
        "Corelli: Sonata op. 3 no. 1, strings",
        Recording(packaged.score("corelli/opus3no1/1grave.xml"), (VIOLIN, VIOLIN, CELLO), ".flac"),
    ),
    "haydn": (
        "Haydn: Quartet op. 1 no. 1, strings",
        Recording(packaged.score("haydn/opus1no1/movement1.mxl"), (VIOLIN, VIOLIN, VIOLA, CELLO), ".wav"),
    ),
    "aloha": (
        "Liliuokalani: Aloha Oe, guitar",
        Recording(packaged.score("liliuokalani/aloha_oe.mxl"), (GUITAR,), ".mp3"),
    ),
    "chorale": ("Bach: Chorale BWV 66.6, organ", Recording(packaged.score("bach/bwv66.6.mxl"), (ORGAN,), ".mp3")),
}


def collect(folder: Path, progress: Callable[[str], None]) -> tuple[Item, ...]:
    """Every item in the order of upload; files that have to be made are made in `folder` or found there.

    Args:
        folder: Kept between runs.
        progress: Told what is being made.

    Raises:
        DemoError: a package or a program is missing.
    """
    cache = Cache(folder)
    found = {item.key: item for item in (*_videos(), *_posts(), *_drawn(cache), *_unwanted(cache))}
    for key, (title, recording) in CLIPS.items():
        progress(f"rendering {title}")
        found[key] = _clip(key, title, recording, cache)
    return tuple(found[key] for key in ORDER)


ORDER = (
    *("chopin", "bunny", "flower", "mountains", "corelli", "notes", "bikes", "china", "mozart", "abuse"),
    *("ode", "haydn", "carphone", "cut", "lake", "bach", "chelsea", "aloha", "silence", "playlist", "chorale"),
)


def _clip(key: str, title: str, recording: Recording, cache: Cache) -> Item:
    return Item(
        key,
        "audio",
        title,
        f"music21 {recording.score.path.removeprefix('corpus/')}, FluidSynth",
        render(key, recording, cache),
        sent_as=f"{key}{recording.suffix}",
        duration_ms=round(recording.seconds * 1000),
    )


def _videos() -> tuple[Item, ...]:
    return (
        _of_package(
            packaged.video("bigbuckbunny.mp4"),
            Item("bunny", "video", "Big Buck Bunny, the meadow", tags=("animation", "film"), duration_ms=5_280),
        ),
        _of_package(
            packaged.video("bikes.mp4"),
            Item("bikes", "video", "Bikes in the street", tags=("city", "film"), duration_ms=10_000),
        ),
        _of_package(
            packaged.video("carphone_pristine.mp4"),
            Item("carphone", "video", "A call from the car", tags=("talk", "film"), duration_ms=4_000),
        ),
    )


def _posts() -> tuple[Item, ...]:
    return (
        _of_package(
            packaged.photo("flower.jpg"),
            Item("flower", "post", "In the garden", text="The first dahlia of the summer has opened.", language="en"),
        ),
        _of_package(
            packaged.photo("china.jpg"),
            Item("china", "post", "颐和园", text="夏天的公园，湖边的古塔和绿树。", language="zh"),
        ),
        _of_package(
            packaged.picture("chelsea.png"),
            Item("chelsea", "post", "Chelsea", text="My cat in the afternoon sun.", tags=("cat",), language="en"),
        ),
        Item(
            "mountains",
            "post",
            "山里的清晨",
            "text written for the demo",
            text="清晨的山谷里有薄雾，树林很安静，鸟在唱歌，溪水从石头上流过。",
            language="zh",
        ),
        Item(
            "lake",
            "post",
            "A walk by the lake",
            "text written for the demo",
            text="We walked around the lake this morning: fog on the water, birds in the trees, wild flowers.",
            language="en",
        ),
    )


def _drawn(cache: Cache) -> tuple[Item, ...]:
    return (
        Item(
            "ode",
            "score",
            "Ode to Joy, sheet music (drawn)",
            "drawn with Pillow",
            cache.get("ode.jpg", "1", draw_score),
            sent_as="ode.jpg",
        ),
        Item(
            "playlist",
            "screenshot",
            "Quiet evening, playlist (drawn)",
            "drawn with Pillow",
            cache.get("playlist.png", "1", draw_playlist),
            sent_as="playlist.png",
        ),
    )


def _unwanted(cache: Cache) -> tuple[Item, ...]:
    """Uploads that the system must not publish."""
    bunny = packaged.video("bigbuckbunny.mp4").locate()
    cut = cache.get("cut.mp4", f"1 {KEPT_SHARE}", lambda file: write_truncated(bunny, file, KEPT_SHARE))
    return (
        Item(
            "cut",
            "video",
            "Upload cut off in the middle",
            f"the first {KEPT_SHARE:.0%} of bigbuckbunny.mp4",
            cut,
            sent_as="cut.mp4",
            end="rejected",
            codes=frozenset({"media-truncated", "media-unreadable"}),
        ),
        Item(
            "abuse",
            "post",
            "To all of you",
            "text written for the demo",
            text=ABUSE,
            language="en",
            end="rejected",
            codes=frozenset({"text-blocked"}),
        ),
        Item(
            "silence",
            "audio",
            "Five seconds of nothing",
            "made: every sample 0",
            cache.get("silence.wav", "1", lambda file: write_silence(file, 5.0)),
            sent_as="silence.wav",
            end="rejected",
            codes=frozenset({"media-silent"}),
        ),
        Item(
            "notes",
            "audio",
            "A text file called song.mp3",
            "text written for the demo",
            cache.get("song.mp3", "1", lambda file: file.write_text("These are only the words of a song.\n" * 40)),
            sent_as="song.mp3",
            end="refused",
        ),
    )


def _of_package(file: Packaged, item: Item) -> Item:
    path = file.locate()
    return replace(item, source=f"{file.distribution} {path.name}", file=path, sent_as=path.name)
