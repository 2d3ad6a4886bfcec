"""What the community uploads: themes, how each looks and sounds, and who likes it."""

from __future__ import annotations

from dataclasses import dataclass

from infra.demo.material import Kind
from infra.demo.rendering import CELLO, GUITAR, ORGAN, PIANO, VIOLA, VIOLIN
from models.training.material import drawings, sounds

CHOIR, OBOE, BASSOON, CLARINET, FLUTE = 52, 68, 70, 71, 73
QUARTETS = (
    ("Mozart: Quartet K. 155", "mozart/k155/movement{}.mxl", (1, 2, 3)),
    ("Mozart: Quartet K. 156", "mozart/k156/movement{}.mxl", (4,)),
    ("Mozart: Quartet K. 458", "mozart/k458/movement{}.mxl", (2,)),
    ("Schumann: Quartet op. 41 no. 1", "schumann_robert/opus41no1/movement{}.mxl", (2, 3)),
    ("Haydn: Quartet op. 74 no. 1", "haydn/opus74no1/movement{}.mxl", (4,)),
)
KEYBOARD = (
    ("Clara Schumann: Polonaise op. 1", "schumann_clara/polonaise_op1n{}.mxl", (1, 2, 3, 4)),
    ("Joplin: Maple Leaf Rag", "joplin/maple_leaf_rag.mxl", (0,)),
)
CHORALES = (("Bach: Chorale BWV", "bach/bwv{}.mxl", ("1.6", "10.7", "101.7", "103.6", "108.6")),)
Pieces = tuple[tuple[str, str, tuple[int | str, ...]], ...]


@dataclass(frozen=True)
class Music:
    """Scores of music21's corpus, played by these instruments; none of them is in the demo.

    Attributes:
        scores: Title, path with a place for the number, numbers.
        programs: General MIDI program of each part.
        instrument: As titles name it.
    """

    scores: Pieces
    programs: tuple[int, ...]
    instrument: str


@dataclass(frozen=True)
class Theme:
    """One kind of upload.

    Attributes:
        kind: Of the upload.
        family: Who likes one theme of a family likes the others more than strangers do.
        born: Middle year of birth of those who like it most.
        lean: Above 0 to men, below to women.
        music: Scores to be rendered; None: ``sound`` says.
        sound: Kinds of made sound; empty: none.
        picture: Kinds of drawing; empty: none.
        silent: Share of the videos that have no sound.
        caption: Label of the captions' grammar; empty: the title is that of the music.
        tags: What uploaders of videos add.
    """

    kind: Kind
    family: str
    born: float
    lean: float
    music: Music | None = None
    sound: tuple[sounds.Kind, ...] = ()
    picture: tuple[drawings.Kind, ...] = ()
    silent: float = 0.0
    caption: str = ""
    tags: tuple[str, ...] = ()


THEMES = {
    "piano": Theme("audio", "chamber", 1965, -0.1, Music((*KEYBOARD, *QUARTETS[:1]), (PIANO,), "piano")),
    "strings": Theme("audio", "chamber", 1962, -0.1, Music(QUARTETS, (VIOLIN, VIOLIN, VIOLA, CELLO), "strings")),
    "winds": Theme(
        "audio", "chamber", 1970, 0.0, Music((*QUARTETS[:1], *CHORALES), (FLUTE, OBOE, CLARINET, BASSOON), "winds")
    ),
    "organ": Theme("audio", "choral", 1955, 0.1, Music(CHORALES, (ORGAN,), "organ")),
    "choir": Theme("audio", "choral", 1958, -0.2, Music(CHORALES, (CHOIR,), "choir")),
    "guitar": Theme("audio", "songs", 1985, 0.2, Music((*KEYBOARD, *CHORALES), (GUITAR,), "guitar")),
    "dance": Theme("audio", "club", 1998, 0.2, sound=("dance",), caption="electronic-dance"),
    "ambient": Theme("audio", "club", 1990, 0.0, sound=("pad",), caption="ambient"),
    "street": Theme(
        "video", "film", 1996, 0.2, None, ("dance", "plucked"), ("landscape",), 0.7, "neutral", ("city", "film")
    ),
    "cartoon": Theme(
        "video",
        "film",
        1998,
        0.1,
        None,
        ("plucked", "pad"),
        ("animal", "abstract"),
        0.3,
        "neutral",
        ("animation", "film"),
    ),
    "talk": Theme("video", "film", 1992, 0.1, None, ("voice",), ("portrait",), 0.5, "talk", ("talk", "film")),
    "nature": Theme("post", "outdoors", 1975, -0.2, picture=("landscape",), caption="landscape"),
    "pets": Theme("post", "outdoors", 1995, -0.4, picture=("animal",), caption="pets"),
    "words": Theme("post", "outdoors", 1985, -0.2, caption="landscape"),
    "pages": Theme("score", "practice", 1980, 0.0, picture=("sheet",), caption="sheet-music"),
    "lists": Theme("screenshot", "practice", 2000, 0.0, picture=("playlist",), caption="playlist"),
}
